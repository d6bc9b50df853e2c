// Package signed records which domains signed mail in the last days, so that a reload or a start
// can find out which of them it would leave unsigned. The list is in a file of the state directory.
package signed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mailseal/keys/files"
)

const (
	// Window is how long a domain counts after its last signature.
	Window = 7 * 24 * time.Hour

	// KeyWindow is how long it is remembered that a domain signed with a key of its own file.
	KeyWindow = 30 * 24 * time.Hour
)

const (
	// maxNames bounds the list: 100,000 names take about 20 MB. Users of ours fill it, with the
	// domains that they write as their own; when it is full, one that has not signed for long makes
	// room, and its loss would not be noticed.
	maxNames = 100_000

	maxFile = 64 << 20 // bytes
	maxName = 255      // bytes of a domain

	// maxKeys bounds the keys of a domain. The configuration fills it, which names them.
	maxKeys = 16

	// precision is how exactly times are remembered: the list is written when it has changed.
	precision = time.Hour

	// sample is how many names are compared to find one that has not signed for long.
	sample = 32
)

// Name is a domain, and as what it signed.
type Name struct {
	Name   string    `json:"name"`
	Author bool      `json:"author,omitempty"` // of From, of mail of ours
	Signer bool      `json:"signer,omitempty"` // the d= tag
	Last   time.Time `json:"last"`             // signature, to the hour

	// Keys are the keys of files of its own that it signed with, by their names in the key table,
	// and when last.
	Keys map[string]time.Time `json:"keys,omitempty"`
}

// List is the list. Safe for concurrent use.
type List struct {
	now func() time.Time

	mu      sync.Mutex
	names   map[string]*Name
	changed bool // since it was read or written
}

// New returns an empty list. Now is nil for time.Now.
func New(now func() time.Time) *List {
	if now == nil {
		now = time.Now
	}
	return &List{now: now, names: map[string]*Name{}}
}

// Author notes that mail of a domain was signed.
func (l *List) Author(name string) { l.note(name, func(n *Name) *bool { return &n.Author }) }

// Signer notes that a domain signed, as the d= tag says.
func (l *List) Signer(name string) { l.note(name, func(n *Name) *bool { return &n.Signer }) }

// HasKey notes that a domain signed with a key that is a file of the domain's own.
func (l *List) HasKey(name, key string) {
	if name == "" || len(name) > maxName {
		return
	}
	now := l.now().UTC().Truncate(precision)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.entry(name)
	if at, isKnown := n.Keys[key]; at.Equal(now) || !isKnown && len(n.Keys) >= maxKeys {
		return
	}
	if n.Keys == nil {
		n.Keys = map[string]time.Time{}
	}
	n.Keys[key], l.changed = now, true
}

// HadKeys returns the names of the keys that HasKey noted of a domain within KeyWindow, in order.
func (l *List) HadKeys(name string) []string {
	since := l.now().Add(-KeyWindow)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names[name]
	if n == nil {
		return nil
	}
	var out []string
	for key, at := range n.Keys {
		if at.After(since) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// WithKeys returns the domains of which HadKeys has keys, in order.
func (l *List) WithKeys() []string {
	var out []string
	since := l.now().Add(-KeyWindow)
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range l.names {
		if n.newestKey().After(since) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// newestKey returns when a domain last signed with a key of its own file.
func (n *Name) newestKey() time.Time {
	var newest time.Time
	for _, at := range n.Keys {
		if at.After(newest) {
			newest = at
		}
	}
	return newest
}

// entry returns the entry of a name, which is made if there is none. The list is locked.
func (l *List) entry(name string) *Name {
	n := l.names[name]
	if n == nil {
		l.makeRoom()
		n = &Name{Name: name}
		l.names[name] = n
	}
	return n
}

func (l *List) note(name string, as func(*Name) *bool) {
	if name == "" || len(name) > maxName {
		return
	}
	now := l.now().UTC().Truncate(precision)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.entry(name)
	if role := as(n); !*role || !n.Last.Equal(now) {
		*role, n.Last, l.changed = true, now, true
	}
}

// makeRoom drops the oldest of some names when the list is full.
func (l *List) makeRoom() {
	if len(l.names) < maxNames {
		return
	}
	var oldest *Name
	seen := 0
	for _, n := range l.names { // in an order of chance
		if oldest == nil || n.newest().Before(oldest.newest()) {
			oldest = n
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(l.names, oldest.Name)
}

// newest returns when a domain last signed.
func (n *Name) newest() time.Time {
	if at := n.newestKey(); at.After(n.Last) {
		return at
	}
	return n.Last
}

// Recent returns the names that signed within Window, in order. A name whose time is in the future,
// because a clock was wrong, is included.
func (l *List) Recent() []Name {
	since := l.now().Add(-Window)
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Name
	for _, n := range l.names {
		if n.Last.After(since) {
			one := *n
			one.Keys = nil
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b Name) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// kept returns the names that are written to the file, in order: those whose time is not over.
func (l *List) kept() []Name {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Name
	for _, n := range l.names {
		if !l.isKept(n) {
			continue
		}
		one := *n
		one.Keys = maps.Clone(n.Keys)
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Name) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// isKept reports whether anything of a name still counts.
func (l *List) isKept(n *Name) bool {
	now := l.now()
	return n.Last.After(now.Add(-Window)) || n.newestKey().After(now.Add(-KeyWindow))
}

// Forget drops names that are lost on purpose.
func (l *List) Forget(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		delete(l.names, name)
		l.changed = true
	}
}

// document is the file.
type document struct {
	Version int    `json:"version"`
	Names   []Name `json:"names"`
}

const version = 1

// path is that of the file in a state directory.
func path(dir string) string { return filepath.Join(dir, "signed.json") }

// Read adds the contents of the file in a state directory. A missing file is not an error.
func (l *List) Read(dir string) error {
	text, err := files.Read(path(dir), maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("signed.json: %w", err)
	}
	found, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path(dir), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range found {
		if len(l.names) < maxNames {
			l.names[n.Name] = &n
		}
	}
	return nil
}

func parse(text []byte) ([]Name, error) {
	var d document
	if err := json.Unmarshal(bytes.TrimSpace(text), &d); err != nil {
		return nil, err
	}
	if d.Version != version {
		return nil, fmt.Errorf("it has version %d, and this program reads version %d", d.Version,
			version)
	}
	for _, n := range d.Names {
		if n.Name == "" || len(n.Name) > maxName {
			return nil, fmt.Errorf("%q is not a domain", n.Name)
		}
		if len(n.Keys) > maxKeys {
			return nil, fmt.Errorf("%q has %d keys, at most %d are read", n.Name, len(n.Keys),
				maxKeys)
		}
	}
	return d.Names, nil
}

// Write writes the file, if the list has changed, without the names whose time is over.
func (l *List) Write(dir string) error {
	l.mu.Lock()
	changed := l.changed
	l.changed = false
	l.mu.Unlock()
	if !changed {
		return nil
	}
	text, err := json.MarshalIndent(document{version, l.kept()}, "", " ")
	if err == nil {
		err = files.Replace(path(dir), append(text, '\n'))
	}
	if err != nil {
		l.mu.Lock()
		l.changed = true
		l.mu.Unlock()
		return fmt.Errorf("signed.json: %w", err)
	}
	l.drop()
	return nil
}

// drop lets go of the names whose time is over.
func (l *List) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range l.names {
		if !l.isKept(n) {
			delete(l.names, name)
		}
	}
}
