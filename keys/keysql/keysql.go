// Package keysql finds keys, and who signs with which, in a database: PostgreSQL, MariaDB or MySQL,
// SQLite. The queries are the administrator's own.
package keysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailseal/keys"
	"mailseal/keys/database"
)

// Options say where the database is and what it is asked. They can be compared.
type Options struct {
	Name   string // of the source, for errors
	Driver Driver
	DSN    string
	// for MySQL, and only if it says something: the DSN of others has words for it
	TLS      keys.TLS
	KeyQuery string // $1: the key's name; columns: domain, selector, private key
	// $1: the author's domain, $2: the login, $3: the author's address; column: a key's name; may
	// be ""
	SigningQuery string
	KeyDir       string // below which a key column may name a file instead; "": nowhere
	// $1: a key's name; column: the names of keys that follow it, some hundreds at once; may be ""
	ListQuery string
	Timeout   time.Duration // to connect, and for an answer; 0: 5 s
}

// Driver is a kind of database.
type Driver = database.Driver

// The drivers.
const (
	Postgres = database.Postgres
	MySQL    = database.MySQL // and MariaDB
	SQLite   = database.SQLite
)

// ErrDSN reports that a DSN cannot be read.
var ErrDSN = database.ErrDSN

// connection is what the options say of reaching the database.
func (o Options) connection(a database.Access) database.Options {
	return database.Options{Driver: o.Driver, DSN: o.DSN, TLS: o.TLS, Timeout: o.Timeout, Access: a}
}

// Bounds of the pool. A cache is before it; what comes through is short.
const (
	defaultTimeout = 5 * time.Second
	maxConnections = 10
	maxIdle        = 3
	idleTime       = 5 * time.Minute
	lifetime       = time.Hour // after which a connection follows a server that has moved
)

// Source is a keys.Source and keys.Chooser over a database. It connects when it is asked for
// something, and again when a connection has broken.
type Source struct {
	options Options
	db      *sql.DB
	key     query
	signing query // text "" for none
	list    query // text "" for none
}

var _ keys.Remote = (*Source)(nil)

// New makes a source. It connects to nothing, so that a database that is away does not matter yet;
// Check does. Errors wrap ErrDSN or ErrQuery, and never show a password.
func New(o Options) (*Source, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	s := &Source{options: o}
	var err error
	for _, q := range []struct {
		to            *query
		setting, text string
		most          int // parameters
	}{{&s.key, "key_query", o.KeyQuery, 1}, {&s.signing, "signing_query", o.SigningQuery, 3},
		{&s.list, "list_query", o.ListQuery, 1}} {
		if q.text == "" && q.to != &s.key {
			continue
		}
		if *q.to, err = newQuery(q.setting, q.text, o.Driver, q.most); err != nil {
			return nil, err
		}
	}
	if s.db, err = database.Open(o.connection(database.Read)); err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(maxConnections)
	if o.Driver != SQLite { // it keeps no connection: the file may have been replaced since
		s.db.SetMaxIdleConns(maxIdle)
	}
	s.db.SetConnMaxIdleTime(idleTime)
	s.db.SetConnMaxLifetime(lifetime)
	return s, nil
}

// Reopen ends connections that are idle: the next ones find the server, the certificates and
// passwords as they are now. It reports whether the database may be another one, with other
// answers: a file may have been replaced.
func (s *Source) Reopen() bool {
	if s.options.Driver == SQLite {
		return true // no connection is kept
	}
	s.db.SetMaxIdleConns(0)
	s.db.SetMaxIdleConns(maxIdle)
	return false
}

// Close ends all connections, after the queries in progress.
func (s *Source) Close() error { return s.db.Close() }

// fail names the source and the setting, never a value that the database holds.
func (s *Source) fail(q query, err error) error {
	err = database.Explain(s.options.Driver, s.options.DSN, database.Redact(err))
	switch {
	case database.IsQueryError(err):
		return fmt.Errorf("source %q: %s: %w: %w", s.options.Name, q.setting, ErrQuery, err)
	case database.IsDataError(err):
		return fmt.Errorf("source %q: %s: %w: %w", s.options.Name, q.setting, keys.ErrAnswer, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("source %q: %s: no answer within %s%s: %w", s.options.Name, q.setting,
			s.options.Timeout, s.shortOfConnections(), err)
	}
	return fmt.Errorf("source %q: %s: %w", s.options.Name, q.setting, err)
}

// shortOfConnections tells when it was our own pool that a question waited for.
func (s *Source) shortOfConnections() string {
	if stats := s.db.Stats(); stats.InUse == stats.MaxOpenConnections {
		return fmt.Sprintf(", all %d connections are waiting for answers", stats.InUse)
	}
	return ""
}

// unusable is an answer that is there and wrong.
func (s *Source) unusable(q query, format string, args ...any) error {
	return fmt.Errorf("source %q: %s: %w: %w", s.options.Name, q.setting, keys.ErrAnswer,
		fmt.Errorf(format, args...))
}

// each runs a query and calls row for each row. It returns an error unless all rows have been seen:
// half an answer could leave out the key that signs.
func (s *Source) each(ctx context.Context, q query, columns int, args []any,
	row func(*sql.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, q.text, args...)
	if err != nil {
		return s.fail(q, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return s.fail(q, err)
	}
	if len(names) != columns {
		return s.fail(q, fmt.Errorf("%w: it has %d columns, not %d", ErrQuery, len(names), columns))
	}
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return s.fail(q, err)
	}
	return nil
}

// Key implements keys.Source. The error is keys.ErrNotFound if there is no row, and
// keys.ErrAnswer if the row has no key.
func (s *Source) Key(ctx context.Context, name string) (keys.Key, error) {
	var found []keys.Key
	err := s.each(ctx, s.key, 3, s.key.args(name), func(rows *sql.Rows) error {
		if len(found) > 0 {
			return s.unusable(s.key, "there are several rows for %q", name)
		}
		k, err := s.read(rows, name)
		found = append(found, k)
		return err
	})
	if err != nil {
		return keys.Key{}, err
	}
	if len(found) == 0 {
		return keys.Key{}, fmt.Errorf("%w: %q in source %q", keys.ErrNotFound, name, s.options.Name)
	}
	return found[0], nil
}

func (s *Source) read(rows *sql.Rows, name string) (keys.Key, error) {
	var domain, selector sql.NullString
	var private []byte
	if err := rows.Scan(&domain, &selector, &private); err != nil {
		return keys.Key{}, s.fail(s.key, err)
	}
	signer, err := keys.ParseBelow(private, s.options.KeyDir)
	clear(private)
	if err != nil {
		return keys.Key{}, s.unusable(s.key, "the row of %q (selector %q, domain %q): %w", name,
			selector.String, domain.String, err)
	}
	return keys.Key{Name: name, Domain: domain.String, Selector: selector.String, Signer: signer},
		nil
}

// Choose implements keys.Chooser: the names that the signing query finds.
func (s *Source) Choose(ctx context.Context, q keys.Query) ([]keys.Key, error) {
	if s.signing.text == "" {
		return nil, fmt.Errorf("source %q: %w: there is no signing_query", s.options.Name, ErrQuery)
	}
	var found []keys.Key
	seen := map[string]bool{}
	err := s.each(ctx, s.signing, 1, s.signing.args(q.Domain, q.Login, q.Address),
		func(rows *sql.Rows) error {
			var name sql.NullString
			if err := rows.Scan(&name); err != nil {
				return s.fail(s.signing, err)
			}
			switch {
			case name.String == "":
				return s.unusable(s.signing, "a row without a name")
			case seen[name.String]:
				return nil
			case len(found) == keys.MaxChosen:
				return s.unusable(s.signing, "more than %d keys", keys.MaxChosen)
			}
			seen[name.String] = true
			found = append(found, keys.Key{Name: name.String})
			return nil
		})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Narrow implements keys.Chooser: what the signing query has no parameter for does not matter.
func (s *Source) Narrow(q keys.Query) keys.Query {
	if !s.signing.uses(2) {
		q.Login = ""
	}
	if !s.signing.uses(3) {
		q.Address = ""
	}
	return q
}

// probe is a name that no table has: RFC 2606 section 2.
const probe = "mailseal-check.invalid"

// Check connects and tries each query, and says what it found. The error wraps ErrQuery when a
// query can never work; else the database is away.
func (s *Source) Check(ctx context.Context) (string, error) {
	if _, err := s.Key(ctx, probe); err != nil && !errors.Is(err, keys.ErrNotFound) {
		return "", err
	}
	said := fmt.Sprintf("%s answers key_query", s.options.Driver)
	if s.signing.text != "" {
		if _, err := s.Choose(ctx, keys.Query{Domain: probe}); err != nil &&
			!errors.Is(err, keys.ErrAnswer) {
			return "", err
		}
		said += " and signing_query"
	}
	return said, nil
}
