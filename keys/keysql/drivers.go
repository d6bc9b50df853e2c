package keysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
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
	"mailseal/keys/files"
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
		return openSQLite(dsn, sqliteName(dsn, timeout, readOnly)), nil
	}
	return nil, fmt.Errorf("keysql: no driver %q", d)
}

// openSQLite keeps no connection: one that is open has the file that was there when it was made, which may have been
// replaced or written over since. A new one takes a tenth of what a signature does, and the cache asks once in ttl.
func openSQLite(dsn, name string) *sql.DB {
	db := sql.OpenDB(newSQLite(dsn, name))
	if !isMemory(dsn) {
		db.SetMaxIdleConns(0)
	}
	return db
}

func openPostgres(dsn string, timeout time.Duration) (*sql.DB, error) {
	if _, err := postgresConfig(dsn, timeout); err != nil {
		return nil, err
	}
	connect := func(ctx context.Context) (driver.Conn, error) {
		c, err := postgresConfig(dsn, timeout)
		if err != nil {
			return nil, err
		}
		return stdlib.GetConnector(*c).Connect(ctx)
	}
	return sql.OpenDB(connector{stdlib.GetDefaultDriver(), connect}), nil
}

// postgresConfig reads a DSN, and the files of certificates and passwords that it names.
func postgresConfig(dsn string, timeout time.Duration) (c *pgx.ConnConfig, err error) {
	parse := func() (err error) {
		c, err = pgx.ParseConfig(dsn)
		return err
	}
	if err := files.Do("a file that the dsn names", parse); err != nil {
		if errors.Is(err, files.ErrSlow) {
			return nil, fmt.Errorf("%w: %w", ErrDSN, files.ErrSlow)
		}
		return nil, fmt.Errorf(`%w: it is like "host=/run/postgresql dbname=mail user=mailseal" or "postgres://user@host/mail"`, ErrDSN)
	}
	if limit := timeout / time.Duration(hosts(c)); c.ConnectTimeout == 0 || c.ConnectTimeout > limit {
		c.ConnectTimeout = limit
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "mailseal"
	}
	return c, nil
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
	if _, err := newMySQL(dsn, t, timeout); err != nil {
		return nil, err
	}
	connect := func(ctx context.Context) (driver.Conn, error) {
		c, err := newMySQL(dsn, t, timeout)
		if err != nil {
			return nil, err
		}
		return c.Connect(ctx)
	}
	return sql.OpenDB(connector{&mysql.MySQLDriver{}, connect}), nil
}

// newMySQL reads a DSN, and the files of certificates.
func newMySQL(dsn string, t keys.TLS, timeout time.Duration) (driver.Connector, error) {
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
	out, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("%w: its parameters do not fit together", ErrDSN)
	}
	return out, nil
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
	if clean := keys.Mask(lineBreaks.Replace(secrets.ReplaceAllString(text, "…"))); clean != text {
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
