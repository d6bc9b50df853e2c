package keyfile_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"
	"mailseal/keys/keyfile"
)

// seed makes a key that differs by n.
func seed(n int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(fmt.Appendf(nil, "an Ed25519 seed for tests, %05d", n)[:32])
}

func pemOf(t *testing.T, k crypto.Signer) string {
	t.Helper()
	text, err := keys.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// touch gives the file a time of its own: writes of one test can be too fast for the clock of the
// file system.
func touch(t *testing.T, path string, hour int) {
	t.Helper()
	at := time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func findings(t *testing.T, s *keyfile.Source) []keyfile.Finding {
	t.Helper()
	fs, err := s.Findings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// signs reports whether the source's key of that name is want.
func signs(t *testing.T, s *keyfile.Source, name string, want ed25519.PrivateKey) bool {
	t.Helper()
	k, err := s.Key(t.Context(), name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	return k.Signer.(ed25519.PrivateKey).Equal(want)
}

func TestSource(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/good.pem", pemOf(t, seed(1)))
	write(t, dir+"/bad.pem", "-----BEGIN PRIVATE KEY-----\n")
	write(t, dir+"/long.pem", strings.Repeat("A", keys.MaxSize+1))
	s := keyfile.New(t.Context(), map[string]keyfile.Entry{
		"good":      {Domain: "example.com", Selector: "mail", File: dir + "/good.pem"},
		"inline":    {Domain: "example.com", Selector: "ed", Text: pemOf(t, seed(2))},
		"bad":       {File: dir + "/bad.pem"},
		"missing":   {File: dir + "/missing.pem"},
		"directory": {File: dir},
		"device":    {File: "/dev/zero"},
		"long":      {File: dir + "/long.pem"},
		"bad text":  {Text: "x"},
	}, keyfile.Options{})
	k, err := s.Key(t.Context(), "good")
	if err != nil || k.Name != "good" || k.Domain != "example.com" || k.Selector != "mail" ||
		!signs(t, s, "good", seed(1)) {
		t.Errorf("good: got %v, %v", k, err)
	}
	if !signs(t, s, "inline", seed(2)) {
		t.Error("inline: got another key")
	}
	if _, err := s.Key(t.Context(), "unknown"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("unknown: got %v, want %v", err, keys.ErrNotFound)
	}
	tests := []struct {
		name string
		want error
		says string
	}{
		{"bad", keys.ErrMalformed, dir + "/bad.pem"},
		{"missing", os.ErrNotExist, dir + "/missing.pem"},
		{"directory", nil, "not a regular file"},
		{"device", nil, "not a regular file"},
		{"long", files.ErrLarge, "at most"},
		{"bad text", keys.ErrMalformed, "the configuration"},
	}
	byName := map[string]keyfile.Finding{}
	for _, f := range findings(t, s) {
		if f.Err != nil {
			byName[f.Name] = f
		}
	}
	if len(byName) != len(tests) {
		t.Errorf("got %d broken keys, want %d: %v", len(byName), len(tests), byName)
	}
	for _, tt := range tests {
		f := byName[tt.name]
		if tt.want != nil && !errors.Is(f.Err, tt.want) || !strings.Contains(f.String(), tt.says) {
			t.Errorf("%s: got %v, want %v that says %q", tt.name, f, tt.want, tt.says)
		}
		if _, err := s.Key(t.Context(), tt.name); err == nil || errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s: got %v, want another error than %v", tt.name, err, keys.ErrNotFound)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	entries := map[string]keyfile.Entry{}
	for i, name := range []string{"same", "new", "broken", "gone", "other domain"} {
		path := filepath.Join(dir, name)
		write(t, path, pemOf(t, seed(i)))
		touch(t, path, 1)
		entries[name] = keyfile.Entry{Domain: "example.com", Selector: "s", File: path}
	}
	before := keyfile.New(t.Context(), entries, keyfile.Options{})
	if fs := findings(t, before); len(fs) > 0 && fs[0].Err != nil {
		t.Fatal(fs)
	}

	// and yet its time says that nothing changed
	write(t, dir+"/same", strings.Repeat("x", len(pemOf(t, seed(0)))))
	touch(t, dir+"/same", 1)
	write(t, dir+"/new", pemOf(t, seed(7)))
	touch(t, dir+"/new", 2)
	write(t, dir+"/broken", "half a ke")
	if err := os.Remove(dir + "/gone"); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/other domain", "half a ke")
	entries["other domain"] = keyfile.Entry{Domain: "example.org", Selector: "s", File: dir +
		"/other domain"}
	after := keyfile.New(t.Context(), entries, keyfile.Options{Previous: before})

	for name, want := range map[string]ed25519.PrivateKey{"same": seed(0), "new": seed(7),
		"broken": seed(2), "gone": seed(3)} {
		if !signs(t, after, name, want) {
			t.Errorf("%s: got another key", name)
		}
	}
	if !signs(t, before, "new", seed(1)) {
		t.Error("new: the source before has changed under messages that began with it")
	}
	if _, err := after.Key(t.Context(), "other domain"); err == nil {
		t.Error("other domain: got a key that stood for another one")
	}
	kept := 0
	for _, f := range findings(t, after) {
		if strings.Contains(f.Text, "stays in use") && f.Err == nil {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("got %d findings of keys that were kept, want 2", kept)
	}
}

// TestFilesAreReadOnce changes a file behind a key that is held, and one behind a key that is not.
func TestFilesAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/k", pemOf(t, seed(1)))
	entries := map[string]keyfile.Entry{"k": {File: dir + "/k"}}
	tests := []struct {
		name string
		held int
		want ed25519.PrivateKey
	}{
		{"held", 1, seed(1)},
		{"not held", -1, seed(2)},
	}
	for _, tt := range tests {
		write(t, dir+"/k", pemOf(t, seed(1)))
		s := keyfile.New(t.Context(), entries, keyfile.Options{Held: tt.held})
		write(t, dir+"/k", pemOf(t, seed(2)))
		if !signs(t, s, "k", tt.want) {
			t.Errorf("%s: got another key", tt.name)
		}
	}
}

func TestBackground(t *testing.T) {
	entries := map[string]keyfile.Entry{}
	for i := range 200 {
		entries[fmt.Sprint(i)] = keyfile.Entry{Text: pemOf(t, seed(i))}
	}
	entries["broken"] = keyfile.Entry{Text: "x"}
	s := keyfile.New(t.Context(), entries, keyfile.Options{Background: true})
	for i := range 200 { // while they are loaded
		if !signs(t, s, fmt.Sprint(i), seed(i)) {
			t.Errorf("%d: got another key", i)
		}
	}
	if fs := findings(t, s); len(fs) != 1 || fs[0].Name != "broken" {
		t.Errorf("got findings %v, want the broken key", fs)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := keyfile.New(ctx, entries, keyfile.Options{Background: true, Previous: s})
	if fs := findings(t, stopped); len(fs) > 0 {
		t.Errorf("got findings %v of a source that was stopped before it began", fs)
	}
	if !signs(t, stopped, "7", seed(7)) {
		t.Error("7: a source that was stopped loads no more keys")
	}
}

// TestReadsAll takes the files away once New has returned: all keys have been read, however many.
func TestReadsAll(t *testing.T) {
	const many = 1500
	dir := t.TempDir()
	entries := map[string]keyfile.Entry{}
	for i := range many {
		file := filepath.Join(dir, fmt.Sprint(i))
		write(t, file, pemOf(t, seed(i)))
		entries[fmt.Sprint(i)] = keyfile.Entry{File: file}
	}
	s := keyfile.New(t.Context(), entries, keyfile.Options{})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if !signs(t, s, fmt.Sprint(i), seed(i)) {
			t.Errorf("%d: got another key", i)
		}
	}
}
