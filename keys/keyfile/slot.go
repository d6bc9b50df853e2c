package keyfile

import (
	"errors"
	"fmt"
	"sync"

	"mailseal/keys"
	"mailseal/keys/files"
)

// slot is an entry and its key, if that is held.
type slot struct {
	name  string
	entry Entry

	mu       sync.Mutex
	tried    bool
	stamp    files.Stamp
	key      keys.Key // Signer nil: not held
	err      error    // why there is none
	findings []Finding
}

// use returns the slot's key, loading it if it is not held.
func (l *slot) use(s *Source) (keys.Key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.key.Signer != nil || l.err != nil:
		return l.key, l.err
	case l.tried:
		return l.read(false)
	}
	l.tried = true
	l.first(s)
	k := l.key
	if l.err == nil && s.held.Add(1) > int64(s.options.Held) {
		l.key = keys.Key{}
	}
	return k, l.err
}

// first loads the key for the first time, judges its permissions, and falls back on what the source
// before had.
func (l *slot) first(s *Source) {
	before := l.previous(s.previous.Load())
	var unsafe []Finding
	if l.entry.File != "" {
		unsafe = s.checker.check(l.entry.File)
		l.note(unsafe...)
	}
	now, err := l.look()
	switch {
	case len(unsafe) > 0 && s.options.RequireSafe:
		err = fmt.Errorf("%w: %s", ErrUnsafe, unsafe[0].Text)
	case err == nil && before.Signer != nil && now == l.stamp:
		l.key = before
		return
	case err == nil:
		_, err = l.read(true)
	}
	if err == nil {
		return
	}
	f := s.checker.unusable(l.entry.File, err)
	if before.Signer != nil && !errors.Is(err, ErrUnsafe) {
		f.Err, f.IsKept = nil, true
		f.Text += "; the key that was loaded before stays in use until the daemon is restarted"
		l.key, l.err = before, nil
	} else {
		l.key, l.err = keys.Key{}, fmt.Errorf("key %q: %w", l.name, err)
	}
	l.note(f)
}

func (l *slot) note(fs ...Finding) {
	for _, f := range fs {
		f.Name = l.name
		l.findings = append(l.findings, f)
	}
}

// previous returns the key that the source before held for the same entry, and takes over its
// stamp.
func (l *slot) previous(s *Source) keys.Key {
	if s == nil {
		return keys.Key{}
	}
	p, ok := s.slots[l.name]
	if !ok || p.entry != l.entry {
		return keys.Key{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.stamp = p.stamp
	return p.key
}

// look returns the state of the key's file, the zero Stamp for a key in the configuration.
func (l *slot) look() (files.Stamp, error) {
	if l.entry.File == "" {
		return files.Stamp{}, nil
	}
	return files.Look(l.entry.File)
}

// read reads the key and, if hold is set, keeps it.
func (l *slot) read(hold bool) (keys.Key, error) {
	text, now := []byte(l.entry.Text), files.Stamp{}
	if l.entry.File != "" {
		var err error
		if text, now, err = files.ReadStamped(l.entry.File, keys.MaxSize); err != nil {
			return keys.Key{}, fmt.Errorf("key %q: %w", l.name, err)
		}
	}
	signer, err := keys.Parse(text)
	if err != nil {
		return keys.Key{}, fmt.Errorf("key %q in %s: %w", l.name, l.place(), err)
	}
	k := keys.Key{Name: l.name, Domain: l.entry.Domain, Selector: l.entry.Selector, Signer: signer}
	if hold {
		l.key, l.stamp = k, now
	}
	return k, nil
}

func (l *slot) place() string {
	if l.entry.File == "" {
		return "the configuration"
	}
	return l.entry.File
}
