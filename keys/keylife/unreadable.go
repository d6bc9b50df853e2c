package keylife

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"
)

// Unreadable is an active key whose private key cannot be read from its file.
type Unreadable struct {
	Name     string // of the key
	Err      error  // names the file
	IsLoaded bool   // the key in memory signs, until the process ends
}

// loadBudget is how long Unreadable parses keys: of those behind, it only reads the files.
const loadBudget = 5 * time.Second

// Unreadable returns the active keys whose files cannot be read now, by name. It reads all of
// them, also those that are in memory.
func (s *Source) Unreadable() []Unreadable {
	s.mu.Lock()
	active := slices.Concat(slices.Collect(maps.Values(s.active))...)
	s.mu.Unlock()
	slices.SortFunc(active, func(a, b Key) int { return strings.Compare(a.Name(), b.Name()) })
	var out []Unreadable
	began := time.Now()
	for _, k := range active {
		var err error
		if time.Since(began) < loadBudget {
			_, err = s.store.Load(k)
		} else {
			err = s.store.tryRead(k)
		}
		if err != nil {
			s.mu.Lock()
			_, isLoaded := s.loaded[k.Name()+" "+k.Fingerprint]
			s.mu.Unlock()
			out = append(out, Unreadable{Name: k.Name(), Err: err, IsLoaded: isLoaded})
		}
	}
	return out
}

// tryRead returns why the file of a key cannot be read.
func (s Store) tryRead(k Key) error {
	_, err := files.Read(filepath.Join(s.Dir, k.file()), keys.MaxSize)
	return err
}
