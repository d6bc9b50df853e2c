package keylife

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mailseal/keys/files"
	"maps"
	"path/filepath"
	"time"
)

// FallBack is which keys sign in place of active ones that the DNS does not show. It is kept beside
// the state: a daemon that starts again would else sign with the missing keys until it has looked
// at the DNS.
type FallBack struct {
	Version int `json:"version"`
	// names of active keys, and of those that sign in their place
	Signs map[string]string `json:"signs"`
	// when those signed for the last time, as far as it is known
	Until map[string]time.Time `json:"until"`
}

// fallBackPath is that of the file.
func (s Store) fallBackPath() string { return filepath.Join(s.Dir, "fallback.json") }

// maxFallBack bounds what is read.
const maxFallBack = 16 << 20

// ReadFallBack returns what was written last; without a file, nothing falls back.
func (s Store) ReadFallBack() (FallBack, error) {
	path := s.fallBackPath()
	text, err := files.Read(path, maxFallBack)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return FallBack{Version: version}, nil
	case err != nil:
		return FallBack{}, fmt.Errorf("fallback.json: %w", err)
	}
	var out FallBack
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return FallBack{}, fmt.Errorf("%s: %w", path, err)
	}
	if out.Version != version {
		return FallBack{}, fmt.Errorf(
			"%s has version %d, but this version of Mailseal reads only version %d", path,
			out.Version, version)
	}
	return out, nil
}

// writeFallBack replaces the file.
func (s Store) writeFallBack(f FallBack) error {
	if err := s.makeDir(s.Dir); err != nil {
		return fmt.Errorf("fallback.json: %w", err)
	}
	lock, err := s.lock()
	if err != nil {
		return fmt.Errorf("fallback.json: %w", err)
	}
	defer lock.Close()
	sweep(s.fallBackPath())
	f.Version = version
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("fallback.json: %w", err)
	}
	if err := s.write(s.fallBackPath(), append(text, '\n')); err != nil {
		return fmt.Errorf("fallback.json: %w", err)
	}
	return nil
}

// FallBack has other keys, retiring or active ones, sign in place of active ones: names by names.
// What was set before is forgotten. An error means that it is in effect, and cannot be remembered
// beyond the end of the process.
func (s *Source) FallBack(names map[string]string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.fallBack
	s.fallBack = names
	if len(names) == 0 && len(before) == 0 {
		return nil
	}
	f := FallBack{Signs: names, Until: map[string]time.Time{}}
	for name, until := range s.until { // of those that may still have mail on its way
		if _, ok := s.byName[name]; ok {
			f.Until[name] = until
		}
	}
	for _, name := range names {
		f.Until[name] = now.UTC()
	}
	for _, name := range before { // it signed until now
		f.Until[name] = now.UTC()
	}
	s.until = f.Until
	return s.store.writeFallBack(f)
}

// FallenBack returns the names of active keys in whose place others sign, and the names of those.
func (s *Source) FallenBack() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.fallBack)
}

// Restore applies the state that an earlier process stored. Keys no longer active or
// retiring do not sign because of it.
func (s *Source) Restore() error {
	f, err := s.store.ReadFallBack()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallBack, s.until = f.Signs, f.Until
	return nil
}
