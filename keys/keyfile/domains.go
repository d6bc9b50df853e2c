package keyfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"mailseal/keys"
	"mailseal/keys/files"
)

// The reasons why a domain without a key file is not treated as a domain without a key.
// Mail of the domain is deferred.
var (
	ErrLost = errors.New("a domain that signed in the last 30 days has lost its key")
	ErrTree = errors.New("the directory of the domains' keys does not exist")
)

// maxDomains bounds the keys of domains that stay in memory, 5 KB each. Users of ours fill it, by
// the domains that they write as; beyond, some key is read again when it signs next.
const maxDomains = 10_000

// DomainEntry is a line of the key table whose file has "%" in its path. The author's
// domain replaces "%", and the domain signs if that file exists.
type DomainEntry struct {
	Domain   string // the d= tag; "%" for the author's
	Selector string
	File     string // the path, with "%"
}

// Directory returns the directory above the part of the path that has the domain in its name. If it
// does not exist, a disk may not be mounted, and a missing key does not mean that the domain has
// none.
func (e DomainEntry) Directory() string {
	return filepath.Dir(e.File[:strings.Index(e.File, "%")+
		1])
}

// Path returns the file of a domain.
func (e DomainEntry) Path(domain string) string { return strings.ReplaceAll(e.File, "%", domain) }

// Memory remembers which domains had keys lately.
type Memory interface {
	// HasKey notes that a domain has signed with a key of that name.
	HasKey(domain, name string)
	// HadKeys returns the names of the keys with which a domain signed in the last 30 days.
	HadKeys(domain string) []string
}

// DomainOptions say how keys of domains are kept.
type DomainOptions struct {
	RequireSafe bool                 // refuse keys that others can read or replace
	As          *Reader              // as in Options
	Test        func(keys.Key) error // tries a key before it signs; nil: none is tried
	// is called once for each state of a file, with the finding about it; may be nil
	Note func(Finding)
}

// Domains finds the keys of domains below "%". It is safe for concurrent use.
type Domains struct {
	options DomainOptions
	entries map[string]DomainEntry
	checker checker

	mu     sync.Mutex
	memory Memory
	held   map[heldName]heldKey
}

// heldName identifies the key in a file: entries with different selectors may share a file.
type heldName struct{ entry, path string }

// heldKey is a key in memory, or why it cannot sign, and the state of its file.
type heldKey struct {
	stamp files.Stamp
	key   keys.Key
	err   error
}

// NewDomains makes the source of entries, which are by name. Nothing is read yet.
func NewDomains(entries map[string]DomainEntry, o DomainOptions) *Domains {
	return &Domains{
		options: o, entries: entries, checker: newChecker(o.As), held: map[heldName]heldKey{},
	}
}

// Is reports whether the source was made from these entries with the same strictness, so that its
// keys in memory can be kept.
func (d *Domains) Is(entries map[string]DomainEntry, requireSafe bool) bool {
	return d != nil && maps.Equal(d.entries, entries) && d.options.RequireSafe == requireSafe
}

// Remember sets the Memory that decides which domains have lost a key. The Domains report
// to it the domains that sign.
func (d *Domains) Remember(m Memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory = m
}

// Entry returns the entry of a name in the key table. A name with the domain in place of
// "%" finds the entry, too: rules write mail._domainkey.% and ask for
// mail._domainkey.example.com.
func (d *Domains) Entry(name, domain string) (DomainEntry, string, bool) {
	if e, ok := d.entries[name]; ok {
		return e, name, true
	}
	if domain == "" {
		return DomainEntry{}, "", false
	}
	general := strings.ReplaceAll(name, domain, "%")
	e, ok := d.entries[general]
	return e, general, ok
}

// KeyFor returns the key that signs for a domain. The error wraps keys.ErrNone if the
// domain has no key, and keys.ErrNotFound if the key table has no such entry.
func (d *Domains) KeyFor(ctx context.Context, name, domain string) (keys.Key, error) {
	k, err := d.Look(ctx, name, domain)
	if err == nil {
		d.mu.Lock()
		memory := d.memory
		d.mu.Unlock()
		if memory != nil {
			memory.HasKey(domain, k.Name)
		}
	}
	return k, err
}

// Look returns the key as KeyFor does, but does not remember the domain as one that signed.
func (d *Domains) Look(_ context.Context, name, domain string) (keys.Key, error) {
	e, general, ok := d.Entry(name, domain)
	if !ok {
		return keys.Key{}, fmt.Errorf("%w: %q", keys.ErrNotFound, name)
	}
	if !isHostName(domain) {
		return keys.Key{}, fmt.Errorf("%w: %q cannot be the name of a key in a directory",
			keys.ErrNone, domain)
	}
	path := e.Path(domain)
	stamp, err := files.Look(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.missing(e, general, domain, path)
	}
	if err != nil {
		return keys.Key{}, fmt.Errorf("key %q of %s: %w", general, domain, err)
	}
	have := d.load(e, general, domain, path, stamp)
	return have.key, have.err
}

// missing returns the error for a domain without a file.
func (d *Domains) missing(e DomainEntry, name, domain, path string) error {
	dir := e.Directory()
	isThere, err := isDirectory(dir)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTree, err)
	case !isThere:
		return fmt.Errorf("%w: %s; check that the disk is mounted", ErrTree, dir)
	}
	if link, err := brokenLink(dir, path); err != nil || link != "" {
		if err == nil {
			err = fmt.Errorf("the target of the symbolic link %s does not exist", link)
		}
		return err
	}
	if d.isLost(name, domain) {
		return fmt.Errorf("%w: %s does not exist; restore it, or if it was removed on purpose, "+
			"run \"mailseal reload --accept\", and the domain's mail goes unsigned", ErrLost, path)
	}
	return fmt.Errorf("%w: there is no %s", keys.ErrNone, path)
}

// Lost reports whether a domain signed lately with keys that no longer exist.
func (d *Domains) Lost(ctx context.Context, domain string) bool {
	for name := range d.entries {
		if _, err := d.Look(ctx, name, domain); errors.Is(err, ErrLost) {
			return true
		}
	}
	return false
}

// isLost reports whether a domain had a key of this name, or a key of an entry that no
// longer exists, which may have had another name.
func (d *Domains) isLost(name, domain string) bool {
	d.mu.Lock()
	memory := d.memory
	d.mu.Unlock()
	if memory == nil {
		return false
	}
	for _, had := range memory.HadKeys(domain) {
		if _, isThere := d.entries[had]; had == name || !isThere {
			return true
		}
	}
	return false
}

// load returns the key in a file, from memory if the file is as it was.
func (d *Domains) load(e DomainEntry, name, domain, path string, now files.Stamp) heldKey {
	d.mu.Lock()
	at := heldName{name, path}
	have, ok := d.held[at]
	d.mu.Unlock()
	if ok && have.stamp == now && now.Changed != 0 {
		return have
	}
	have = heldKey{stamp: now}
	have.key, have.err = d.read(e, name, domain, path)
	if have.err != nil {
		// the cause may be the disk or a directory; then it can pass without a change of the
		// file
		return have
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.held) >= maxDomains {
		for other := range d.held { // whichever comes first
			delete(d.held, other)
			break
		}
	}
	d.held[at] = have
	return have
}

// read reads, judges and tries a key.
func (d *Domains) read(e DomainEntry, name, domain, path string) (keys.Key, error) {
	for _, f := range d.checker.check(path) {
		if d.options.RequireSafe {
			return keys.Key{}, fmt.Errorf("key %q of %s: %w: %s", name, domain, ErrUnsafe, f.Text)
		}
		if f.Name = name; d.options.Note != nil {
			d.options.Note(f)
		}
	}
	text, err := files.Read(path, keys.MaxSize)
	if err != nil {
		return keys.Key{}, fmt.Errorf("key %q of %s: %w", name, domain, err)
	}
	k := keys.Key{Name: name, Domain: e.Domain, Selector: e.Selector}
	if k.Signer, err = keys.Parse(text); err != nil {
		return keys.Key{}, fmt.Errorf("key %q in %s: %w", name, path, err)
	}
	if d.options.Test == nil {
		return k, nil
	}
	probe := k
	if probe.Domain == "%" {
		probe.Domain = domain
	}
	if err := d.options.Test(probe); err != nil {
		return keys.Key{}, fmt.Errorf("key %q in %s does not sign: %w", name, path, err)
	}
	return k, nil
}

// List returns the domains for which an entry has a file, sorted. Names that are not domains are
// left out.
func (d *Domains) List(name string) ([]string, error) {
	e, ok := d.entries[name]
	if !ok {
		return nil, nil
	}
	var out []string
	err := files.Do(e.Directory(), func() error {
		found, err := os.ReadDir(e.Directory())
		for _, f := range found {
			if domain, ok := e.domainIn(f.Name()); ok {
				out = append(out, domain)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	out = slices.DeleteFunc(out, func(domain string) bool {
		_, err := files.Look(e.Path(domain))
		return errors.Is(err, fs.ErrNotExist)
	})
	slices.Sort(out)
	return out, nil
}

// domainIn returns the domain in a name below Directory.
func (e DomainEntry) domainIn(name string) (string, bool) {
	segment, _, _ := strings.Cut(strings.TrimPrefix(e.File[len(e.Directory()):], "/"), "/")
	before, after, _ := strings.Cut(segment, "%")
	if len(name) < len(before)+len(after) || !strings.HasPrefix(name, before) {
		return "", false
	}
	domain := name[len(before):max(len(before), len(name)-len(after))]
	return domain, isHostName(domain) && strings.ReplaceAll(segment, "%", domain) == name
}

// Names returns the names of the entries, sorted.
func (d *Domains) Names() []string {
	var out []string
	for name := range d.entries {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// isHostName reports whether a domain is one of A-labels, and so one name of a directory that leads
// nowhere else.
func isHostName(domain string) bool {
	if len(domain) > 253 {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}

// isDirectory reports whether there is a directory of that name.
func isDirectory(path string) (bool, error) {
	found := false
	err := files.Do(path, func() error {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		found = info.IsDir()
		return nil
	})
	return found, err
}

// brokenLink returns the dangling symbolic link between a directory and a file below it, or
// "".
func brokenLink(dir, path string) (string, error) {
	found := ""
	err := files.Do(path, func() error {
		rest := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		at := dir
		for part := range strings.SplitSeq(rest, "/") {
			at = filepath.Join(at, part)
			info, err := os.Lstat(at)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case info.Mode()&fs.ModeSymlink == 0:
				continue
			}
			if _, err := os.Stat(at); err != nil {
				found = at
				return nil
			}
		}
		return nil
	})
	return found, err
}
