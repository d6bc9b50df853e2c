package keysql

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
)

// TestKeyDir has a column with paths: files below key_dir are read, and nothing else is.
func TestKeyDir(t *testing.T) {
	top := t.TempDir()
	path, dir := filepath.Join(top, "keys.db"), filepath.Join(top, "keys")
	sqliteWith(t, path, "mail")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "mail.pem"),
		filepath.Join(top, "secret.pem")} {
		if err := os.WriteFile(file, []byte(seed(1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		column, dir string
		want        string // in the error; "": a key
	}{
		{"mail.pem", dir, ""},
		{filepath.Join(dir, "mail.pem"), dir, ""},
		{filepath.Join(top, "secret.pem"), dir, "not below"},
		{"../secret.pem", dir, "escapes"},
		{filepath.Join(dir, "mail.pem"), "", "key_dir"},
	} {
		query := "SELECT 'a.example', 'mail', '" + tt.column + "' WHERE $1 <> ''"
		_, err := source(t, Options{Driver: SQLite, DSN: path, KeyQuery: query,
			KeyDir: tt.dir}).Key(t.Context(), "k")
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s below %q: %v", tt.column, tt.dir, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s below %q: got %v, want %q", tt.column, tt.dir, err, tt.want)
		}
	}
}

// TestSkippedParameter asks with $3 before $1 and without $2, as the sketch of an import does.
func TestSkippedParameter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	sqliteWith(t, path, "mail")
	query := "SELECT CASE WHEN $3 = 'a@b.example' AND $1 = 'b.example' THEN 'right' ELSE 'wrong' END"
	s := source(t, Options{Driver: SQLite, DSN: path, SigningQuery: query})
	found, err := s.Choose(t.Context(), keys.Query{Domain: "b.example", Login: "joe",
		Address: "a@b.example"})
	if err != nil || len(found) != 1 || found[0].Name != "right" {
		t.Errorf("got %v, %v", found, err)
	}
	if n := s.Narrow(keys.Query{Login: "joe", Address: "a@b.example"}); n.Login != "" ||
		n.Address == "" {
		t.Errorf("narrowed to %+v", n)
	}
}
