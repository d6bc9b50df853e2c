// Package storetest makes stores of reports for tests. To make one takes all migrations, which cost
// a second with the race detector; here they run once for each test program.
package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mailseal/keys/database"
	"mailseal/milter/report/store"
)

// SQLite returns the path of an empty store, as store.Open makes it, in a directory of the test.
func SQLite(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reports.db")
	content, err := empty()
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// empty is the file of an empty store.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mailseal-store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "r.db")
	s, err := store.Open(context.Background(), store.Options{Driver: database.SQLite, DSN: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if _, left := os.Stat(path + "-wal"); left == nil {
		err = errors.Join(err, errors.New("storetest: SQLite left a log behind"))
	}
	return content, err
})
