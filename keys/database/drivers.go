// Package database connects to PostgreSQL, MariaDB or MySQL, and SQLite by what an operator writes
// in a setting, and turns what the drivers report into texts that can be shown: without keys, on
// one line, with what to do about it. It knows no table: keys/keysql and milter/report/store bring
// their own.
package database

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

// Driver is a kind of database.
type Driver string

// The drivers.
const (
	Postgres Driver = "postgres"
	MySQL    Driver = "mysql" // and MariaDB
	SQLite   Driver = "sqlite"
)

// ErrDSN reports that a DSN cannot be read. Its text is not repeated: there may be a password in
// it, and what is malformed cannot be redacted for sure.
var ErrDSN = errors.New("the dsn cannot be read")

// Access is what a caller may do with a database file.
type Access int

// The kinds of access. Only SQLite uses them: a server manages permissions itself.
const (
	Read   Access = iota // nothing is written, a missing file is an error
	Write                // a missing file is an error
	Create               // a missing file is made, for the owner alone
)

// Options say which database to open. Driver and DSN are required.
type Options struct {
	Driver  Driver
	DSN     string        // in the driver's own form; for SQLite a path or a URI "file:…"
	TLS     keys.TLS      // MySQL only: PostgreSQL has it in the DSN
	Timeout time.Duration // for a connection; for SQLite, how long to wait for another writer
	Access  Access

	// Keep leaves connections to a file open. Without it, each query opens the file that is at the
	// path by then, which may have been replaced since: right for a file that another program
	// writes, slow for a store of our own.
	Keep bool

	// Schema is where tables are looked for first, and made; PostgreSQL only. "": as the DSN says.
	Schema string

	// Settings are set by name on each connection; PostgreSQL only. A server that does not know one
	// does without. They are not sent as it is opened: poolers refuse that.
	Settings map[string]string
}

// Open makes a pool of connections. It connects to nothing yet. The error wraps ErrDSN for a DSN
// that cannot be read.
func Open(o Options) (*sql.DB, error) {
	switch o.Driver {
	case Postgres:
		return openPostgres(o)
	case MySQL:
		return openMySQL(o.DSN, o.TLS, o.Timeout)
	case SQLite:
		return openSQLite(o), nil
	}
	return nil, fmt.Errorf("no database driver %q: use %s, %s or %s", o.Driver, SQLite, Postgres,
		MySQL)
}

func openSQLite(o Options) *sql.DB {
	db := sql.OpenDB(newSQLite(o.DSN, sqliteName(o)))
	if !o.Keep && !isMemory(o.DSN) {
		db.SetMaxIdleConns(0)
	}
	return db
}

func openPostgres(o Options) (*sql.DB, error) {
	if _, err := postgresConfig(o.DSN, o.Timeout); err != nil {
		return nil, err
	}
	connect := func(ctx context.Context) (driver.Conn, error) {
		c, err := postgresConfig(o.DSN, o.Timeout)
		if err != nil {
			return nil, err
		}
		if o.Schema != "" {
			c.RuntimeParams["search_path"] = o.Schema
		}
		return stdlib.GetConnector(*c, stdlib.OptionAfterConnect(o.set)).Connect(ctx)
	}
	return sql.OpenDB(connector{stdlib.GetDefaultDriver(), connect}), nil
}

// set sets Settings.
func (o *Options) set(ctx context.Context, c *pgx.Conn) error {
	for name, value := range o.Settings {
		_, err := c.Exec(ctx, "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1",
			name, value)
		if err != nil {
			return err
		}
	}
	return nil
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
		return nil, fmt.Errorf(`%w: it is like "host=/run/postgresql dbname=mail user=mailseal" `+
			`or "postgres://USER@HOST/mail"`, ErrDSN)
	}
	if limit := timeout / time.Duration(hosts(c)); c.ConnectTimeout == 0 ||
		c.ConnectTimeout > limit {
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
		return nil, fmt.Errorf(`%w: it is like `+
			`"mailseal:password@unix(/run/mysqld/mysqld.sock)/mail" or "mailseal:password@tcp(host:3306)/mail"`, ErrDSN)
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
		return nil, fmt.Errorf("%w: its parameters contradict each other", ErrDSN)
	}
	return out, nil
}

// sqliteName makes a URI of a file's name. It does not change a DSN that is a URI already.
func sqliteName(o Options) string {
	if strings.HasPrefix(o.DSN, "file:") || o.DSN == ":memory:" {
		return o.DSN
	}
	mode := map[Access]string{Read: "ro", Write: "rw", Create: "rwc"}[o.Access]
	path := (&url.URL{Path: o.DSN}).EscapedPath()
	name := fmt.Sprintf("file:%s?mode=%s&_pragma=busy_timeout(%d)", path, mode,
		o.Timeout.Milliseconds())
	if o.Keep && o.Access != Read {
		// Readers do not wait for the writer, and a commit is on the disk when it returns.
		name += "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	if o.Keep {
		name += "&_pragma=foreign_keys(1)"
	}
	return name
}

// failure is a driver's error, without anything that may be part of a key: servers quote
// values that they cannot convert.
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

// Redact returns the error with its text on one line and without anything that may be a key or a
// password.
func Redact(err error) error {
	text := err.Error()
	if clean := keys.Mask(lineBreaks.Replace(secrets.ReplaceAllString(text, "…"))); clean != text {
		return &failure{clean, err}
	}
	return err
}

// IsQueryError reports whether the server refuses the query itself, now and next time, rather than
// being away.
func IsQueryError(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite.Error
	switch {
	// class 42 is "syntax error or access rule violation", 08P01 a wrong number of parameters
	case errors.As(err, &pg):
		return strings.HasPrefix(pg.Code, "42") || pg.Code == "08P01"
	case errors.As(err, &my):
		switch my.Number {
		// no such column, syntax, may not (twice), no such table, wrong parameters
		case 1054, 1064, 1142, 1143, 1146, 1210:
			return true
		}
	case errors.As(err, &lite):
		return lite.Code()&0xff == 1 // SQLITE_ERROR
	}
	return false
}

// IsDataError reports whether the server refuses one value, such as a login name that is not UTF-8.
func IsDataError(err error) bool {
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
