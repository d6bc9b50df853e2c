package keylife

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"
)

// Source answers which keys of a domain sign now. It notices by itself when the state file changes.
// Safe for concurrent use.
type Source struct {
	store Store
	tell  func(error)

	mu     sync.Mutex
	looked time.Time   // when the file was last looked at
	stamp  files.Stamp // of the file when it was last read
	// of a file that could not be read, or of none; nil when the last one could be
	failed   *files.Stamp
	active   map[string][]Key    // by domain
	began    map[string]bool     // domains of which a key signs or has signed
	byName   map[string]Key      // those that might sign: active and retiring
	loaded   map[string]keys.Key // by name and fingerprint
	fallBack map[string]string   // names of active keys, and of those that sign in their place
	accepted bool                // that the state file is missing; see AcceptGone

	until map[string]time.Time // FallBack.Until
}

// lookEvery is how often at most the file is looked at.
const lookEvery = time.Second

// NewSource reads the state. It calls tell once for each change of the file with the reason why the
// state cannot be read; the previous state then stays in effect.
func NewSource(s Store, tell func(error)) (*Source, error) {
	out := &Source{store: s, tell: tell, loaded: map[string]keys.Key{}, began: map[string]bool{}}
	out.looked = time.Now()
	return out, out.read()
}

// ErrGone means that the state file is missing although it existed before and had keys.
// Those keys remain in effect: the loss of a file must not leave mail unsigned.
var ErrGone = errors.New("the state file keys.json is missing")

func (s *Source) read() error {
	state, stamp, err := s.store.readStamped()
	if err == nil && stamp == (files.Stamp{}) {
		err = s.missing()
	}
	if err != nil {
		return err
	}
	s.stamp = stamp
	s.active, s.byName = map[string][]Key{}, map[string]Key{}
	for _, k := range state.Keys {
		if k.Vendor {
			continue
		}
		if k.hasSigned() {
			s.began[k.Domain] = true
		}
		switch k.Stage {
		case keys.Active:
			s.active[k.Domain] = append(s.active[k.Domain], k)
			s.byName[k.Name()] = k
		case keys.Retiring:
			s.byName[k.Name()] = k
		}
	}
	for id, k := range s.loaded { // private keys that no longer sign are let go of
		if _, ok := s.byName[k.Name]; !ok {
			delete(s.loaded, id)
		}
	}
	return nil
}

// missing returns why a missing state file is an error: it existed before, or its directory is
// missing as well. Otherwise the host has no keys yet, or its operator accepts the loss.
func (s *Source) missing() error {
	if s.accepted {
		return nil
	}
	if len(s.byName) > 0 {
		return fmt.Errorf("%w: %s", ErrGone, s.store.path())
	}
	return s.store.CheckDirectory()
}

// refresh reads the state again when the file is another one than the last time.
func (s *Source) refresh(now time.Time) {
	if d := now.Sub(s.looked); d >= 0 && d < lookEvery {
		return
	}
	s.looked = now
	stamp, _ := files.Look(s.store.path()) // without a file, the zero Stamp
	if stamp == s.stamp || s.failed != nil && stamp == *s.failed {
		return
	}
	err := s.read()
	if err == nil {
		s.failed = nil
		return
	}
	if s.failed == nil || stamp != *s.failed {
		s.tell(fmt.Errorf("the previous keys stay in use: %w", err))
	}
	s.failed = &stamp
}

// Look looks at the file at once, whenever that was done last.
func (s *Source) Look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = time.Time{}
	s.refresh(time.Now())
}

// Reload reads the file at once. Its error is why the previous keys stay in use; it wraps
// ErrGone if the file no longer exists.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = time.Now()
	return s.read()
}

// AcceptGone is for a file whose going is meant: its keys no longer sign.
func (s *Source) AcceptGone() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = true
	defer func() { s.accepted = false }()
	return s.read()
}

// Keys returns the keys that sign for a domain: all that can be loaded. Without any, the error says
// why; it wraps keys.ErrNotFound when no key of the domain is active.
func (s *Source) Keys(domain string) ([]keys.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(time.Now())
	var out []keys.Key
	err := fmt.Errorf("%w: none is active for %s", keys.ErrNotFound, domain)
	for _, k := range s.active[domain] {
		have, failed := s.load(s.inPlaceOf(k))
		if failed != nil {
			err = failed
			continue
		}
		out = append(out, have)
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, err
}

// Any reports whether any domain has an active key.
func (s *Source) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(time.Now())
	return len(s.active) > 0
}

// HasSigned reports whether a key of the domain signs or has ever signed. What is known once is not
// forgotten when the state file is lost.
func (s *Source) HasSigned(domain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(time.Now())
	return s.began[domain]
}

// inPlaceOf is the key itself, or the one that signs until the DNS shows it again.
func (s *Source) inPlaceOf(k Key) Key {
	if other, ok := s.byName[s.fallBack[k.Name()]]; ok && other.Domain == k.Domain {
		return other
	}
	return k
}

// load reads each private key once.
func (s *Source) load(k Key) (keys.Key, error) {
	id := k.Name() + " " + k.Fingerprint
	if have, ok := s.loaded[id]; ok {
		return have, nil
	}
	have, err := s.store.Load(k)
	if err == nil {
		s.loaded[id] = have
	}
	return have, err
}
