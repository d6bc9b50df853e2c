// Package store is the database of "mailseal reports serve": received DMARC reports, and outgoing
// ones. There is one schema with two drivers: SQLite for one host, PostgreSQL for several. It is
// opened by the reports process and its commands, never beside mail.
//
// Rollups, the tables in_day_reporter and in_day_source, are changed in the transaction that stores
// the records they sum. Verify recounts them. Times are Unix seconds in UTC, days are days since 1
// January 1970 in UTC.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"mailseal/keys/database"
	"mailseal/keys/files"
)

// ErrDriver reports a driver that the store does not have.
var ErrDriver = errors.New(`the store needs driver "sqlite" or "postgres"`)

// Options say where the store is.
type Options struct {
	Driver database.Driver // SQLite or Postgres
	DSN    string          // the path of the file, or the DSN of PostgreSQL
	Read   bool            // nothing is written: the file and its tables must be there
	// Existing has Open refuse a store that is not there (ErrMissing) instead of creating it; an
	// older one is updated.
	Existing bool
	Host     string // what this host is called among those that share the store
}

// Store is an open store. Its methods may be called at the same time.
type Store struct {
	driver database.Driver
	dsn    string
	host   string
	db     *sql.DB
	leases *sql.DB     // keeps no connection: a lease ends with the one that it has
	writes *sync.Mutex // SQLite has one writer: waiting here is fair, waiting in SQLite is polling
	names  *dictionaries
	held   func() *Lease // under which changes are made; nil: none
}

// Bounds of the pool. The intake writes with one connection, the page reads with the others.
const (
	timeout        = 10 * time.Second
	maxConnections = 8
)

// settings have PostgreSQL end a transaction that a host is in the middle of and says nothing more
// about, being stopped or cut off: what it has locked, other hosts wait for. They do not wait
// longer. "mailseal reports serve" asks again.
var settings = map[string]string{
	"idle_in_transaction_session_timeout": "60s",
	"lock_timeout":                        "60s",
	"tcp_keepalives_idle":                 "5",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "2",
}

// Open connects to the store, makes the file of SQLite (mode 0600) where it is missing, and brings
// the tables to the state that this version needs; not so where it is only read. Errors name the
// file or the server.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Driver != database.SQLite && o.Driver != database.Postgres {
		return nil, fmt.Errorf("%w, not %q", ErrDriver, o.Driver)
	}
	access := database.Write
	if o.Driver == database.SQLite && (o.Read || o.Existing) {
		if err := isThere(o.DSN); err != nil {
			return nil, err
		}
	}
	switch {
	case o.Read:
		access = database.Read
	case o.Driver == database.SQLite && !o.Existing:
		if err := makeFile(o.DSN); err != nil {
			return nil, err
		}
	}
	connect := func() (*sql.DB, error) {
		return database.Open(database.Options{Driver: o.Driver, DSN: o.DSN, Timeout: timeout,
			Access: access, Keep: true, Settings: settings})
	}
	db, err := connect()
	if err != nil {
		return nil, fmt.Errorf("the store of reports: %w", err)
	}
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	leases, err := connect()
	if err != nil {
		return nil, fmt.Errorf("the store of reports: %w", errors.Join(err, db.Close()))
	}
	leases.SetMaxIdleConns(0)
	s := &Store{driver: o.Driver, dsn: o.DSN, host: o.Host, db: db, leases: leases,
		writes: &sync.Mutex{},
		names:  newDictionaries()}
	if o.Read {
		// The first query finds out whether the tables are there.
		if _, err := s.Verdicts(ctx); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	if o.Existing {
		if err := s.hasTables(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, s.wrap("open", err)
	}
	return s, nil
}

// ErrMissing reports that there is no store of reports where one was to be opened.
var ErrMissing = errors.New("there is no store of reports")

// creators are the commands that make a store, behind an error.
const creators = `; "mailseal reports serve" and "mailseal reports import" create it`

// isThere refuses a path at which there is no file.
func isThere(path string) error {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w at %s%s", ErrMissing, path, creators)
	case err != nil:
		return fmt.Errorf("the store of reports: %w%s", err, files.OfReports(path, err))
	}
	return nil
}

// hasTables refuses a database without the tables of a store: it may be that of another program.
func (s *Store) hasTables(ctx context.Context) error {
	query := "SELECT count(*) FROM sqlite_master WHERE name = 'mailseal_schema'"
	if s.driver == database.Postgres {
		query = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('mailseal_schema')"
	}
	var n int
	if err := s.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return s.wrap("open", err)
	}
	if n > 0 {
		return nil
	}
	where := s.dsn
	if s.driver == database.Postgres {
		where = "this database of PostgreSQL"
	}
	return fmt.Errorf("%w in %s: it has none of its tables%s", ErrMissing, where, creators)
}

// makeFile makes an empty file that only its owner may read: reports name who writes to whom.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the store of reports: %w%s", err, files.OfReports(path, err))
	}
	return errors.Join(files.AsDirectory(path), f.Close())
}

// Close closes the connections, and gives up what leases there are.
func (s *Store) Close() error { return errors.Join(s.db.Close(), s.leases.Close()) }

// Tx is a transaction. Queries have their parameters as $1, $2, which both drivers know.
type Tx struct {
	*sql.Tx
	driver database.Driver
	conn   *sql.Conn
}

// Update runs do in a transaction that may write. It is committed, and on the disk, when Update
// returns nil; any error undoes all of it.
func (s *Store) Update(ctx context.Context, do func(*Tx) error) error {
	var lease *Lease
	if s.held != nil {
		if lease = s.held(); lease == nil {
			return ErrLeaseLost
		}
	}
	if s.driver == database.SQLite {
		s.writes.Lock()
		defer s.writes.Unlock()
	}
	return s.transaction(ctx, nil, func(tx *Tx) error {
		if err := tx.fence(ctx, lease); err != nil {
			return err
		}
		return do(tx)
	})
}

// View runs do in a transaction that only reads, and sees one state of the store throughout.
func (s *Store) View(ctx context.Context, do func(*Tx) error) error {
	return s.transaction(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.snapshot()}, do)
}

// snapshot returns the isolation level at which a reader sees one state. SQLite always
// reads like that, and has no name for it.
func (s *Store) snapshot() sql.IsolationLevel {
	if s.driver == database.Postgres {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

func (s *Store) transaction(ctx context.Context, o *sql.TxOptions, do func(*Tx) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.wrap("connect", err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, o)
	if err != nil {
		return s.wrap("begin", err)
	}
	defer tx.Rollback() // of no effect after Commit
	if err := do(&Tx{tx, s.driver, conn}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return s.wrap("commit", err)
	}
	return nil
}

// wrap names the store and what was being done.
func (s *Store) wrap(doing string, err error) error {
	where := "PostgreSQL"
	if s.driver == database.SQLite {
		where = s.dsn
	}
	err = database.Explain(s.driver, s.dsn, database.Redact(err))
	if errors.Is(err, database.ErrConnect) {
		return fmt.Errorf("the store of reports: %w", err)
	}
	return fmt.Errorf("store %s: %s: %w", where, doing, err)
}

// IsShared reports whether several hosts may use the store.
func (s *Store) IsShared() bool { return s.driver == database.Postgres }

// onlyIn is a condition for the rows of one value, of all rows for "". A condition that is true for
// "" as well would read all rows, since no index can be used for it.
func onlyIn(column, parameter, value string) string {
	if value == "" {
		return parameter + " = ''"
	}
	return column + " = " + parameter
}
