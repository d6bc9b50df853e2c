package keysql

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"mailseal/keys/database"
	"mailseal/keys/files"
)

// sqliteWith makes a database with a key named k, whose selector says which database it is.
func sqliteWith(t *testing.T, path, selector string) {
	t.Helper()
	db, err := database.Open(database.Options{Driver: SQLite, DSN: "file:" + path + "?mode=rwc",
		Timeout: defaultTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec(t, db, "CREATE TABLE dkim_keys (name TEXT PRIMARY KEY, domain TEXT, selector TEXT, private_key TEXT)")
	exec(t, db, fmt.Sprintf("INSERT INTO dkim_keys VALUES ('k', 'example.com', '%s', '%s')",
		selector, seed(1)))
}

func copyInto(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(to, text, 0o600),
		os.Chtimes(to, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

// TestSQLiteReplaced replaces the file of a source in use in every way, breaks it and repairs it,
// one after another in all orders: what is at the path is what answers.
func TestSQLiteReplaced(t *testing.T) {
	changes := []struct {
		name string
		do   func(t *testing.T, path, fresh string)
	}{
		{"mv over it", func(t *testing.T, path, fresh string) {
			if err := os.Rename(fresh, path); err != nil {
				t.Fatal(err)
			}
		}},
		{"cp -p in place", func(t *testing.T, path, fresh string) { copyInto(t, fresh, path) }},
		{"a link to another", func(t *testing.T, path, fresh string) {
			if err := errors.Join(os.Remove(path), os.Symlink(fresh, path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed and made again", func(t *testing.T, path, fresh string) {
			text, err := os.ReadFile(fresh)
			if err := errors.Join(err, os.Remove(path),
				os.WriteFile(path, text, 0o600)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	breaks := []struct {
		name string
		do   func(path string) error
	}{
		{"whole", func(string) error { return nil }},
		{"truncated", func(path string) error { return os.Truncate(path, 0) }},
		{"cut in the middle", func(path string) error { return os.Truncate(path, 5000) }},
		{"no database", func(path string) error { return os.WriteFile(path, make([]byte, 9000), 0o600) }},
		{"removed", func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) }},
	}
	for _, broken := range breaks {
		for _, first := range changes {
			for _, second := range changes {
				t.Run(broken.name+", "+first.name+", "+second.name, func(t *testing.T) {
					dir := t.TempDir()
					path := filepath.Join(dir, "keys.db")
					sqliteWith(t, path, "s0")
					s := source(t, Options{Driver: SQLite, DSN: path, KeyQuery: keyQuery})
					wantSelector(t, s, "s0")
					for i, change := range []func(*testing.T, string, string){first.do, second.do} {
						if err := broken.do(path); err != nil {
							t.Fatal(err)
						}
						// it has looked at the broken one, and may have failed
						_, _ = s.Key(t.Context(), "k")
						selector := fmt.Sprint("s", i+1)
						fresh := filepath.Join(dir, selector)
						sqliteWith(t, fresh, selector)
						change(t, path, fresh)
						wantSelector(t, s, selector)
					}
				})
			}
		}
	}
}

func wantSelector(t *testing.T, s *Source, want string) {
	t.Helper()
	k, err := s.Key(t.Context(), "k")
	if err != nil || k.Selector != want {
		t.Errorf("selector %q, %v; want %q", k.Selector, err, want)
	}
}

// TestSQLiteSpecial wants what is no file refused: opening a pipe would wait for a writer.
func TestSQLiteSpecial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := source(t, Options{Driver: SQLite, DSN: path}).Key(t.Context(), "a")
	if !errors.Is(err, files.ErrSpecial) {
		t.Errorf("got %v, want %v", err, files.ErrSpecial)
	}
}
