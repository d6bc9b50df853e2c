// Package signed remembers which domains signed mail lately, so that a reload or a start can tell what it would lose.
// The list is in a file of the state directory.
package signed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mailseal/keys/files"
)

// Window is how long a domain counts after its last signature.
const Window = 7 * 24 * time.Hour

const (
	// maxNames bounds the list: 100,000 names take about 20 MB. Users of ours fill it, with the domains that they write
	// as their own; when it is full, one that has not signed for long makes room, and its loss would not be noticed.
	maxNames = 100_000

	maxFile = 64 << 20 // bytes
	maxName = 255      // bytes of a domain

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

func (l *List) note(name string, as func(*Name) *bool) {
	if name == "" || len(name) > maxName {
		return
	}
	now := l.now().UTC().Truncate(precision)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names[name]
	if n == nil {
		l.makeRoom()
		n = &Name{Name: name}
		l.names[name] = n
	}
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
		if oldest == nil || n.Last.Before(oldest.Last) {
			oldest = n
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(l.names, oldest.Name)
}

// Recent returns the names that signed within Window, in order. One whose time is to come, since a clock was wrong,
// counts.
func (l *List) Recent() []Name {
	since := l.now().Add(-Window)
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Name
	for _, n := range l.names {
		if n.Last.After(since) {
			out = append(out, *n)
		}
	}
	slices.SortFunc(out, func(a, b Name) int { return cmp.Compare(a.Name, b.Name) })
	return out
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

// Read adds what the file in a state directory has; none is no error.
func (l *List) Read(dir string) error {
	text, err := files.Read(path(dir), maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("signed: %w", err)
	}
	found, err := parse(text)
	if err != nil {
		return fmt.Errorf("signed: %s: %w", path(dir), err)
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
		return nil, fmt.Errorf("it is of version %d, this program knows %d", d.Version, version)
	}
	for _, n := range d.Names {
		if n.Name == "" || len(n.Name) > maxName {
			return nil, fmt.Errorf("%q is not a domain", n.Name)
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
	text, err := json.MarshalIndent(document{version, l.Recent()}, "", " ")
	if err == nil {
		err = files.Replace(path(dir), append(text, '\n'))
	}
	if err != nil {
		l.mu.Lock()
		l.changed = true
		l.mu.Unlock()
		return fmt.Errorf("signed: %w", err)
	}
	l.drop()
	return nil
}

// drop lets go of the names whose time is over.
func (l *List) drop() {
	since := l.now().Add(-Window)
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range l.names {
		if !n.Last.After(since) {
			delete(l.names, name)
		}
	}
}
