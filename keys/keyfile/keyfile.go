// Package keyfile keeps private keys that live in files, or in the configuration itself. What is
// wrong with them is found when they are loaded; at run time only the key's presence matters.
package keyfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"mailseal/keys"
)

// ErrUnsafe means that a key was refused because other users could read or replace it
// (Options.RequireSafe).
var ErrUnsafe = errors.New("others can read or replace the key")

// Entry is a line of the key table.
type Entry struct {
	Domain   string
	Selector string
	File     string // the path of the key
	Text     string // the key itself, where File is ""
}

// Options say how keys are kept. The zero value is a good choice.
type Options struct {
	RequireSafe bool // refuse keys that others can read or replace, instead of saying so
	// the user whom the daemon runs as, for judging permissions; nil: that of this process
	As *Reader
	// where keys of unchanged files are taken from, and those whose files have gone bad since
	Previous *Source
	// New does not wait until all keys are loaded: that asks for one waits for that one
	Background bool
	// so many keys stay in memory, 5 KB each; others are read again whenever they sign; 0: 10,000
	Held int
}

const defaultHeld = 10000 // of Options

// Source is a keys.Source over a fixed set of entries. It does not change: for new entries or
// changed files make another one, with Options.Previous.
type Source struct {
	options  Options
	previous atomic.Pointer[Source]
	slots    map[string]*slot
	held     atomic.Int64
	loaded   chan struct{} // closed when all slots have been loaded once
	findings []Finding     // complete when loaded is closed
	checker  checker
}

var _ keys.Source = (*Source)(nil)

// New loads the keys of the entries, which are by name. A key that cannot be loaded is a finding,
// not an error: the others can sign. A thousand RSA keys take a fifth of a second. When ctx ends,
// loading in the background ends.
func New(ctx context.Context, entries map[string]Entry, o Options) *Source {
	if o.Held == 0 {
		o.Held = defaultHeld
	}
	s := &Source{options: o, slots: make(map[string]*slot, len(entries)),
		loaded: make(chan struct{}), checker: newChecker(o.As)}
	s.previous.Store(o.Previous)
	s.options.Previous = nil
	for name, e := range entries {
		s.slots[name] = &slot{name: name, entry: e}
	}
	if o.Background {
		go s.loadAll(ctx)
	} else {
		s.loadAll(ctx)
	}
	return s
}

// loadAll loads every slot, on half of the processors when mail is served meanwhile.
func (s *Source) loadAll(ctx context.Context) {
	defer close(s.loaded)
	workers := runtime.GOMAXPROCS(0)
	if s.options.Background {
		workers = max(1, workers/2)
	}
	names := make(chan string)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for name := range names {
				s.slots[name].use(s)
			}
		})
	}
	for _, name := range s.Names() {
		if ctx.Err() != nil {
			break
		}
		names <- name
	}
	close(names)
	wg.Wait()
	s.findings = s.gather()
	s.previous.Store(nil) // and let go of the keys that it held
}

// gather collects the findings of all slots by name, each once: a thousand keys may lie in one
// directory.
func (s *Source) gather() []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, name := range s.Names() {
		slot := s.slots[name]
		slot.mu.Lock()
		for _, f := range slot.findings {
			if key := f.String(); f.Err != nil || !seen[key] {
				seen[key] = true
				out = append(out, f)
			}
		}
		slot.findings = nil
		slot.mu.Unlock()
	}
	return out
}

// Findings waits until every key has been loaded once, and returns what was found, by the names of
// the keys. Its error is ctx's.
func (s *Source) Findings(ctx context.Context) ([]Finding, error) {
	select {
	case <-s.loaded:
		return slices.Clone(s.findings), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Key returns the key of that name. The error is keys.ErrNotFound if there is no such
// entry, and another one if its key is not usable.
func (s *Source) Key(_ context.Context, name string) (keys.Key, error) {
	slot, ok := s.slots[name]
	if !ok {
		return keys.Key{}, fmt.Errorf("%w: %q", keys.ErrNotFound, name)
	}
	return slot.use(s)
}

// Has reports whether there is an entry of that name. A nil Source has none.
func (s *Source) Has(name string) bool { return s != nil && s.slots[name] != nil }

// Names returns the names of all entries, sorted.
func (s *Source) Names() []string { return slices.Sorted(maps.Keys(s.slots)) }
