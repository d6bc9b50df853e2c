package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"mailseal/keys"
)

// slot is an entry and its key, if that is held.
type slot struct {
	name  string
	entry Entry

	mu       sync.Mutex
	tried    bool
	stamp    stamp
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

// first loads the key for the first time, judges its permissions, and falls back on what the source before had.
func (l *slot) first(s *Source) {
	before := l.previous(s.previous.Load())
	var unsafe []Finding
	if l.entry.File != "" {
		unsafe = s.checker.check(l.entry.File)
		l.note(unsafe...)
	}
	now, err := l.stat()
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
		f.Err, f.Text = nil, f.Text+"; the key stays in force as it was before"
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

// previous returns the key that the source before held for the same entry, and takes over its stamp.
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

// stamp tells one state of a file from another.
type stamp struct {
	inode    uint64
	size     int64
	modified int64 // nanoseconds
}

func stampOf(info fs.FileInfo) stamp {
	out := stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		out.inode = sys.Ino
	}
	return out
}

func (l *slot) stat() (stamp, error) {
	if l.entry.File == "" {
		return stamp{}, nil
	}
	info, err := os.Stat(l.entry.File)
	if err != nil {
		return stamp{}, err
	}
	return stampOf(info), nil
}

// read reads the key and, if hold is set, keeps it.
func (l *slot) read(hold bool) (keys.Key, error) {
	text, now := []byte(l.entry.Text), stamp{}
	if l.entry.File != "" {
		var err error
		if text, now, err = readFile(l.entry.File); err != nil {
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

// readFile reads a regular file of bounded size: a path may name a directory, or a device without end.
func readFile(path string) ([]byte, stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, stamp{}, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, stamp{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, keys.MaxSize+1))
	return text, stampOf(info), err
}
