package database

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// A file that is missing is made for Create alone.
func TestAccess(t *testing.T) {
	for _, tc := range []struct {
		name   string
		access Access
		want   bool
	}{{"read", Read, false}, {"write", Write, false}, {"create", Create, true}} {
		db, err := Open(Options{Driver: SQLite, DSN: filepath.Join(t.TempDir(), "x.db"),
			Timeout: time.Second, Access: tc.access})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(); (err == nil) != tc.want {
			t.Errorf("%s: got %v, want success %v", tc.name, err, tc.want)
		}
	}
}

// What a server quotes of a value that it cannot convert may be part of a key.
func TestRedact(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`invalid input syntax for type integer: "` + strings.Repeat("Bwc", 12) + `"`,
			`invalid input syntax for type integer: "…"`},
		{"bad value -----BEGIN PRIVATE KEY-----\nMC4C\n", "bad value …"},
		{"connection refused", "connection refused"},
		{"failed to connect:\n\t127.0.0.1: refused\n\t127.0.0.2: refused",
			"failed to connect: 127.0.0.1: refused; 127.0.0.2: refused"},
	} {
		if got := Redact(errors.New(tc.text)).Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// A wrong password is the administrator's to mend: the source is away until then.
func TestIsQueryError(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"MySQL: access denied", &mysql.MySQLError{Number: 1045}, false},
		{"MySQL: too many connections", &mysql.MySQLError{Number: 1040}, false},
		{"MySQL: no such table", &mysql.MySQLError{Number: 1146}, true},
		{"PostgreSQL: password", &pgconn.PgError{Code: "28P01"}, false},
		{"PostgreSQL: no such column", &pgconn.PgError{Code: "42703"}, true},
		{"PostgreSQL: statement timeout", &pgconn.PgError{Code: "57014"}, false},
	} {
		if got := IsQueryError(fmt.Errorf("wrapped: %w", tc.err)); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}
