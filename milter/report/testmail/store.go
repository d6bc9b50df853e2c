// Package testmail stores the results of mails to the address for tests, shows each on its own
// page, and answers them by mail if that is configured. Its store is a small file beside the store
// of reports, which it never opens.
package testmail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"mailseal/keys/database"
	keyfiles "mailseal/keys/files"
	"mailseal/milter/report/evidence"
)

// Bounds of the store. Strangers fill it: the oldest mails make room.
const (
	maxMails    = 10_000
	maxPerToken = 10 // of one token: those who write again and again see the newest
)

// Store has the mails of the last days: in a SQLite file, or in a PostgreSQL that several hosts
// share, so that each of them shows the mails that any of them received.
type Store struct {
	db     *sql.DB
	driver database.Driver
	where  string // the file, or the server
	keep   time.Duration
}

const schema = `
CREATE TABLE IF NOT EXISTS mails (
	id {{id}},
	token TEXT NOT NULL,
	at {{bigint}} NOT NULL,
	file TEXT NOT NULL UNIQUE,
	mail {{blob}} NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_token ON mails (token, at);
CREATE TABLE IF NOT EXISTS answers (
	at {{bigint}} NOT NULL,
	address TEXT NOT NULL,
	domain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_at ON answers (at);
`

// words are the parts of SQL that differ between the two databases.
var words = map[database.Driver]*strings.Replacer{
	database.SQLite: strings.NewReplacer("{{id}}", "INTEGER PRIMARY KEY", "{{bigint}}", "INTEGER",
		"{{blob}}", "BLOB"),
	database.Postgres: strings.NewReplacer("{{id}}",
		"BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"{{bigint}}", "BIGINT", "{{blob}}", "BYTEA"),
}

// sharedSchema is the schema of PostgreSQL that the tables are in, beside those of reports.
const sharedSchema = "mailseal_test"

// timeout is how long a connection, or another writer, is waited for.
const timeout = 10 * time.Second

// OpenShared opens the store in a PostgreSQL, and makes its tables where they are missing.
func OpenShared(ctx context.Context, dsn string, keep time.Duration) (*Store, error) {
	db, err := database.Open(database.Options{Driver: database.Postgres, DSN: dsn, Timeout: timeout,
		Access: database.Write, Keep: true, Schema: sharedSchema})
	if err != nil {
		return nil, fmt.Errorf("test mails: %w", err)
	}
	db.SetMaxOpenConns(2)
	s := &Store{db: db, driver: database.Postgres, where: "PostgreSQL", keep: keep}
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := makeSchema(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, words[s.driver].Replace(schema))
		return err
	})
	if err != nil {
		_ = db.Close() // there is another error to return
		return nil, err
	}
	return s, nil
}

// makeSchema makes the schema unless it is there: IF NOT EXISTS would want the right CREATE on the
// database even then.
func makeSchema(ctx context.Context, tx *sql.Tx) error {
	var has bool
	const look = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)"
	if err := tx.QueryRowContext(ctx, look, sharedSchema).Scan(&has); err != nil || has {
		return err
	}
	_, err := tx.ExecContext(ctx, "CREATE SCHEMA "+sharedSchema)
	return err
}

// change makes a change of several statements. Hosts that share a store make one at a time.
func (s *Store) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap(err)
	}
	defer tx.Rollback() // of no effect after Commit
	if s.driver == database.Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)",
			sharedLock); err != nil {
			return s.wrap(err)
		}
	}
	if err := do(tx); err != nil {
		return s.wrap(err)
	}
	if err := tx.Commit(); err != nil {
		return s.wrap(err)
	}
	return nil
}

// sharedLock is the advisory lock of changes, "mstest".
const sharedLock = 0x6d7374657374

// Open opens the store in a file, and makes its file, which only its owner reads, where it is
// missing.
func Open(ctx context.Context, path string, keep time.Duration) (*Store, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("test mails: %w%s", err, keyfiles.OfReports(path, err))
	}
	if err := errors.Join(keyfiles.AsDirectory(path), f.Close()); err != nil {
		return nil, fmt.Errorf("test mails: %w", err)
	}
	db, err := database.Open(database.Options{Driver: database.SQLite, DSN: path, Timeout: timeout,
		Access: database.Write, Keep: true})
	if err != nil {
		return nil, fmt.Errorf("test mails: %w", err)
	}
	db.SetMaxOpenConns(1) // it is small, and one writer cannot be locked out by another
	s := &Store{db: db, driver: database.SQLite, where: path, keep: keep}
	if _, err := db.ExecContext(ctx, words[s.driver].Replace(schema)); err != nil {
		_ = db.Close() // there is another error to return
		return nil, s.wrap(err)
	}
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) wrap(err error) error {
	return fmt.Errorf("test mails: %s: %w", s.where, database.Redact(err))
}

// Put keeps a mail that the spool holds under a file name. It is new unless that file was kept
// before.
func (s *Store) Put(ctx context.Context, file string, m evidence.Mail) (isNew bool, err error) {
	text, err := evidence.Encode(m)
	if err != nil {
		return false, s.wrap(err)
	}
	if err := ctx.Err(); err != nil {
		return false, s.wrap(err)
	}
	// A driver may say that its caller has left although the row was stored: then the mail would
	// count as seen, and never be answered. The database's own timeout bounds the wait.
	ctx = context.WithoutCancel(ctx)
	done, err := s.db.ExecContext(ctx, `INSERT INTO mails (token, at, file, mail)
		VALUES ($1, $2, $3, $4) ON CONFLICT (file) DO NOTHING`, m.Token, m.Time.Unix(), file, text)
	if err != nil {
		return false, s.wrap(err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, s.wrap(err)
	}
	const older = `DELETE FROM mails WHERE token = $1 AND id NOT IN
		(SELECT id FROM mails WHERE token = $1 ORDER BY at DESC, id DESC LIMIT $2)`
	if _, err := s.db.ExecContext(ctx, older, m.Token, maxPerToken); err != nil {
		return false, s.wrap(err)
	}
	return n > 0, nil
}

// Expire removes expired mails, and the oldest beyond the bound.
func (s *Store) Expire(ctx context.Context, now time.Time) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM mails WHERE at < $1 OR id NOT IN
		(SELECT id FROM mails ORDER BY at DESC, id DESC LIMIT $2)`, now.Add(-s.keep).Unix(), maxMails)
	if err == nil {
		_, err = s.db.ExecContext(ctx, "DELETE FROM answers WHERE at < $1",
			now.Add(-24*time.Hour).Unix())
	}
	if err != nil {
		return s.wrap(err)
	}
	return nil
}

// ErrNone reports that there is no mail for a token, or that it has expired.
var ErrNone = errors.New("test mails: none under this token")

// Mails returns those under a token that are not too old, the newest first.
func (s *Store) Mails(ctx context.Context, token string, now time.Time) ([]evidence.Mail, error) {
	rows, err := s.db.QueryContext(ctx,
		"SELECT mail FROM mails WHERE token = $1 AND at >= $2 ORDER BY at DESC, id DESC",
		token, now.Add(-s.keep).Unix())
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var out []evidence.Mail
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, s.wrap(err)
		}
		m, err := evidence.Decode(text)
		if err != nil {
			return nil, s.wrap(err)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap(err)
	}
	if len(out) == 0 {
		return nil, ErrNone
	}
	return out, nil
}
