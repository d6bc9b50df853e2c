package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// listen answers each connection with a text, and closes it after the client's first packet.
func listen(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, text)
			if text == "" {
				_, _ = c.Read(make([]byte, 100))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// closed is an address at which nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestExplainServer connects to what is not a database that answers: the text names the server and
// what to look at, in one sentence without the driver's own.
func TestExplainServer(t *testing.T) {
	smtp, silent, nothing := listen(t, "220 mx.example.com ESMTP\r\n"), listen(t, ""), closed(t)
	missing := filepath.Join(t.TempDir(), "none")
	for _, tc := range []struct {
		name   string
		driver Driver
		dsn    string
		want   string
	}{
		{"PostgreSQL: refused", Postgres, "postgres://u@" + nothing + "/d",
			"PostgreSQL at " + nothing + " does not answer: connection refused; is it running, and"},
		{"PostgreSQL: a mail server", Postgres, "postgres://u@" + smtp + "/d",
			"the server at " + smtp + " does not speak the protocol of PostgreSQL"},
		{"PostgreSQL: a mail server, with TLS", Postgres, "postgres://u@" + smtp +
			"/d?sslmode=require", "PostgreSQL at " + smtp + " offers no TLS"},
		{"PostgreSQL: closes", Postgres, "postgres://u@" + silent + "/d", "the server at " + silent},
		{"PostgreSQL: no socket", Postgres, "host=" + missing + " user=u dbname=d",
			"PostgreSQL at the socket " + missing + "/.s.PGSQL.5432 does not answer: there is no"},
		{"MariaDB: refused", MySQL, "u:p@tcp(" + nothing + ")/d",
			"MariaDB or MySQL at " + nothing + " does not answer: connection refused"},
		{"MariaDB: a mail server", MySQL, "u:p@tcp(" + smtp + ")/d",
			"the server at " + smtp + " does not speak the protocol of MariaDB or MySQL"},
		{"MariaDB: closes", MySQL, "u:p@tcp(" + silent + ")/d", "the server at " + silent},
		{"MariaDB: no socket", MySQL, "u:p@unix(" + missing + ")/d",
			"MariaDB or MySQL at " + missing + " does not answer: there is no such file"},
	} {
		err := connected(t, tc.driver, tc.dsn)
		if err == nil || !errors.Is(err, ErrConnect) || !strings.HasPrefix(err.Error(), tc.want) ||
			strings.Contains(err.Error(), "rights") {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// connected is the explained error of a first connection.
func connected(t *testing.T, d Driver, dsn string) error {
	t.Helper()
	db, err := Open(Options{Driver: d, DSN: dsn, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	return Explain(d, dsn, Redact(db.PingContext(ctx)))
}

// TestExplainRefusals explains what servers answer, by their codes.
func TestExplainRefusals(t *testing.T) {
	pg := func(code string) error { return &pgconn.PgError{Code: code, Message: "its reason"} }
	my := func(n uint16) error { return &mysql.MySQLError{Number: n, Message: "its reason"} }
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tc := range []struct {
		driver Driver
		err    error
		want   string // "": as it was
	}{
		{Postgres, pg("28P01"), `PostgreSQL at h:1 refuses the user "u" or the password: its reason`},
		{Postgres, pg("28000"), "pg_hba.conf has no line"},
		{Postgres, pg("3D000"), `PostgreSQL at h:1 has no database "d": its reason`},
		{Postgres, pg("53300"), "accepts no more connections"},
		{Postgres, pg("42501"), ""},
		{Postgres, pg("42P01"), ""},
		{MySQL, my(1045), `MariaDB or MySQL at h:1 refuses the user "u" or the password`},
		{MySQL, my(1049), `has no database "d"`},
		{MySQL, my(1044), "GRANT gives the right"},
		{MySQL, my(1040), "accepts no more connections"},
		{MySQL, my(1142), ""},
		{MySQL, mysql.ErrNoTLS, "offers no TLS"},
		{MySQL, dial(&net.DNSError{Name: "h", IsNotFound: true}), `there is no host "h"`},
		{MySQL, dial(&net.DNSError{Name: "h", IsTimeout: true}), "the DNS does not answer"},
		{MySQL, dial(&net.DNSError{Name: "h", IsNotFound: true}), `there is no host "h"`},
	} {
		dsn := map[Driver]string{Postgres: "postgres://u@h:1/d", MySQL: "u:p@tcp(h:1)/d"}[tc.driver]
		err := Explain(tc.driver, dsn, fmt.Errorf("wrapped: %w", tc.err))
		switch {
		case tc.want == "" && err.Error() != "wrapped: "+tc.err.Error():
			t.Errorf("%v: got %v, want it unchanged", tc.err, err)
		case tc.want != "" && !strings.Contains(err.Error(), tc.want),
			(tc.want != "") != errors.Is(err, ErrConnect):
			t.Errorf("%v: got %v, want %q", tc.err, err, tc.want)
		}
	}
}

func TestIsDenied(t *testing.T) {
	for _, tc := range []struct {
		err          error
		denied, full bool
	}{
		{&pgconn.PgError{Code: "42501"}, true, false},
		{&pgconn.PgError{Code: "53100"}, false, true},
		{&mysql.MySQLError{Number: 1142}, true, false},
		{&mysql.MySQLError{Number: 1114}, false, true},
		{errors.New("other"), false, false},
	} {
		if IsDenied(tc.err) != tc.denied || IsFull(tc.err) != tc.full {
			t.Errorf("%v: denied %v, full %v", tc.err, IsDenied(tc.err), IsFull(tc.err))
		}
	}
}
