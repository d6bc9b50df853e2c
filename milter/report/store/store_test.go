package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
)

// stores runs a test with each driver. PostgreSQL is left out under -short.
func stores(t *testing.T, test func(*testing.T, Options)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, Options{Driver: database.SQLite, DSN: filepath.Join(t.TempDir(), "reports.db")})
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts a real server")
		}
		test(t, Options{Driver: database.Postgres, DSN: rig.Postgres(t).DSN})
	})
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOpenAgain(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		first, second := open(t, o), open(t, o)
		err := first.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), "INSERT INTO in_name (name) VALUES ($1)",
				"example.com")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, second); got != 1 {
			t.Errorf("the other handle sees %d names, want 1", got)
		}
	})
}

func names(t *testing.T, s *Store) (n int) {
	t.Helper()
	err := s.View(t.Context(), func(tx *Tx) error {
		return tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM in_name").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpdateUndoesAll(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, stop := open(t, o), errors.New("stop")
		err := s.Update(t.Context(), func(tx *Tx) error {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO in_name (name) VALUES ($1)",
				"example.com"); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Errorf("got %v, want %v", err, stop)
		}
		if got := names(t, s); got != 0 {
			t.Errorf("%d names are left of a transaction that was undone", got)
		}
	})
}

func TestDictionary(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := open(t, o)
		ids := func(words ...string) (out []int64) {
			var l *lookup
			err := s.Update(t.Context(), func(tx *Tx) error {
				l = s.lookup(tx)
				for _, word := range words {
					id, err := l.id(t.Context(), "in_name", "name", word)
					if err != nil {
						return err
					}
					out = append(out, id)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			l.commit()
			return out
		}
		first := ids("a.example", "b.example", "a.example")
		if first[0] != first[2] || first[0] == first[1] {
			t.Errorf("ids %v: the same word has one id, another word another", first)
		}
		s.names = newDictionaries()
		if again := ids("b.example"); again[0] != first[1] {
			t.Errorf("b.example is %d after a restart, was %d", again[0], first[1])
		}
	})
}

func TestViewDoesNotWrite(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := open(t, o)
		err := s.View(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), "INSERT INTO in_name (name) VALUES ('x')")
			return err
		})
		if o.Driver == database.SQLite {
			return // knows transactions that wait for no lock, not ones that may not write
		}
		if err == nil {
			t.Error("a transaction that only reads has written")
		}
	})
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/text", []byte(strings.Repeat("not a database", 1000)),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		o    Options
		want []string
	}{
		{"no driver", Options{DSN: "x"}, []string{"sqlite", "postgres"}},
		{"another driver", Options{Driver: database.MySQL, DSN: "x"}, []string{`not "mysql"`}},
		{"no directory", Options{Driver: database.SQLite, DSN: dir + "/none/reports.db"},
			[]string{dir + "/none", "create the directory"}},
		{"no database", Options{Driver: database.SQLite, DSN: dir + "/text"},
			[]string{dir + "/text", "not a database"}},
		{"a bad DSN", Options{Driver: database.Postgres, DSN: "port=x password=secret"}, []string{"cannot be read"}},
	} {
		s, err := Open(context.Background(), tc.o)
		if err == nil {
			s.Close()
			t.Errorf("%s: opened", tc.name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: got %q, want %q in it", tc.name, err, want)
			}
		}
	}
}
