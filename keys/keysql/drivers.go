package keysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"mailseal/keys"
)

// Driver is a kind of data base.
type Driver string

// The drivers.
const (
	Postgres Driver = "postgres"
	MySQL    Driver = "mysql" // and MariaDB
	SQLite   Driver = "sqlite"
)

// ErrDSN says that a DSN cannot be read. Its text is not repeated: there may be a password in it, and what is malformed
// cannot be redacted for sure.
var ErrDSN = errors.New("keysql: the dsn cannot be read")

// open makes a pool of connections. It connects to nothing yet.
func open(d Driver, dsn string, t keys.TLS, timeout time.Duration, readOnly bool) (*sql.DB, error) {
	switch d {
	case Postgres:
		return openPostgres(dsn, timeout)
	case MySQL:
		return openMySQL(dsn, t, timeout)
	case SQLite:
		return sql.Open("sqlite", sqliteName(dsn, timeout, readOnly))
	}
	return nil, fmt.Errorf("keysql: no driver %q", d)
}

func openPostgres(dsn string, timeout time.Duration) (*sql.DB, error) {
	c, err := postgresConfig(dsn, timeout)
	if err != nil {
		return nil, fmt.Errorf(`%w: it is like "host=/run/postgresql dbname=mail user=mailseal" or "postgres://user@host/mail"`, ErrDSN)
	}
	// The files that a DSN names, of authorities, certificates and passwords, are read with it. They are renewed while the
	// daemon runs, so each connection reads them anew.
	renew := func(_ context.Context, c *pgx.ConnConfig) error {
		now, err := postgresConfig(dsn, timeout)
		if err != nil {
			return fmt.Errorf("the dsn, or a file that it names: %w", withoutDSN(err))
		}
		*c = *now
		return nil
	}
	return stdlib.OpenDB(*c, stdlib.OptionBeforeConnect(renew)), nil
}

func postgresConfig(dsn string, timeout time.Duration) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if limit := timeout / time.Duration(hosts(c)); c.ConnectTimeout == 0 || c.ConnectTimeout > limit {
		c.ConnectTimeout = limit
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "mailseal"
	}
	return c, nil
}

// withoutDSN is the cause of an error that repeats the DSN.
func withoutDSN(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return ErrDSN
}

// hosts is how many servers a DSN names. A first one that is silent must leave time for the others.
func hosts(c *pgx.ConnConfig) int {
	found := map[string]bool{fmt.Sprint(c.Host, " ", c.Port): true}
	for _, f := range c.Fallbacks { // the same server again, where TLS is optional
		found[fmt.Sprint(f.Host, " ", f.Port)] = true
	}
	return len(found)
}

func openMySQL(dsn string, t keys.TLS, timeout time.Duration) (*sql.DB, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf(`%w: it is like "mailseal:password@unix(/run/mysqld/mysqld.sock)/mail" or "mailseal:password@tcp(host:3306)/mail"`, ErrDSN)
	}
	for _, limit := range []*time.Duration{&c.Timeout, &c.ReadTimeout, &c.WriteTimeout} {
		if *limit == 0 || *limit > timeout {
			*limit = timeout
		}
	}
	if t != (keys.TLS{}) {
		if c.TLS, err = t.Config(); err != nil {
			return nil, err
		}
	}
	c.Logger = &mysql.NopLogger{} // what it has to say comes as an error, too
	if err := c.Apply(mysql.BeforeConnect(renewTLS(t))); err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("%w: its parameters do not fit together", ErrDSN)
	}
	return sql.OpenDB(connector), nil
}

// renewTLS has each connection read the authorities' certificates anew, as it does ours.
func renewTLS(t keys.TLS) func(context.Context, *mysql.Config) error {
	return func(_ context.Context, c *mysql.Config) error {
		if t == (keys.TLS{}) {
			return nil
		}
		now, err := t.Config()
		if err != nil {
			return err
		}
		now.ServerName = c.TLS.ServerName // which the driver has filled in
		c.TLS = now
		return nil
	}
}

// sqliteName makes a DSN of a file's name: a file that is missing is not made, and nothing is written to.
func sqliteName(dsn string, timeout time.Duration, readOnly bool) string {
	if strings.HasPrefix(dsn, "file:") || dsn == ":memory:" {
		return dsn
	}
	mode := "rw"
	if readOnly {
		mode = "ro"
	}
	path := (&url.URL{Path: dsn}).EscapedPath()
	return fmt.Sprintf("file:%s?mode=%s&_pragma=busy_timeout(%d)", path, mode, timeout.Milliseconds())
}

// failure is what a driver said, without anything that may be part of a key. Servers quote values that they cannot
// convert.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// secrets are the beginning of PEM armour with what follows, and runs that may be base64.
var secrets = regexp.MustCompile(`(?s)-----BEGIN.*|[A-Za-z0-9+/=]{32,}`)

// lineBreaks are what drivers put between the tries of several hosts.
var lineBreaks = strings.NewReplacer(":\n\t", ": ", "\n\t", "; ", "\n", "; ")

func redact(err error) error {
	text := err.Error()
	if clean := lineBreaks.Replace(secrets.ReplaceAllString(text, "…")); clean != text {
		return &failure{clean, err}
	}
	return err
}

// isQueryError tells what the server has against a query, now and next time, from a server that is away.
func isQueryError(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg): // class 42 is "syntax error or access rule violation", 08P01 a wrong number of parameters
		return strings.HasPrefix(pg.Code, "42") || pg.Code == "08P01"
	case errors.As(err, &my):
		switch my.Number {
		case 1054, 1064, 1142, 1143, 1146, 1210: // no such column, syntax, may not (twice), no such table, wrong parameters
			return true
		}
	case errors.As(err, &lite):
		return lite.Code()&0xff == 1 // SQLITE_ERROR
	}
	return false
}

// isDataError tells what a server has against one value, such as a login name that is no UTF-8.
func isDataError(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	switch {
	case errors.As(err, &pg): // "data exception"
		return strings.HasPrefix(pg.Code, "22")
	case errors.As(err, &my): // wrong character sets
		return my.Number == 1267 || my.Number == 1366 || my.Number == 3854
	}
	return false
}
