// Package testmail keeps what was found of mails to the address for tests, shows each on a page of
// its own, and answers them by mail where that is switched on. Its store is a small file beside the
// store of reports, which it never opens.
package testmail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/evidence"
)

// Bounds of the store. Strangers fill it: the oldest mails make room.
const (
	maxMails    = 10_000
	maxPerToken = 10 // of one token: those who write again and again see the newest
)

// Store is a SQLite file with the mails of the last days.
type Store struct {
	db   *sql.DB
	path string
	keep time.Duration
}

const schema = `
CREATE TABLE IF NOT EXISTS mails (
	id INTEGER PRIMARY KEY,
	token TEXT NOT NULL,
	at INTEGER NOT NULL,
	file TEXT NOT NULL UNIQUE,
	mail BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_token ON mails (token, at);
CREATE TABLE IF NOT EXISTS answers (
	at INTEGER NOT NULL,
	address TEXT NOT NULL,
	domain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_at ON answers (at);
`

// Open opens the store, and makes its file, which only its owner reads, where it is missing.
func Open(ctx context.Context, path string, keep time.Duration) (*Store, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("test mails: %w; make the directory %s for the user of the reports process",
			err, filepath.Dir(path))
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("test mails: %w", err)
	}
	db, err := database.Open(database.Options{Driver: database.SQLite, DSN: path, Timeout: 10 * time.Second,
		Access: database.Write, Keep: true})
	if err != nil {
		return nil, fmt.Errorf("test mails: %w", err)
	}
	db.SetMaxOpenConns(1) // it is small, and one writer cannot be locked out by another
	s := &Store{db: db, path: path, keep: keep}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		_ = db.Close() // there is another error to return
		return nil, s.wrap(err)
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) wrap(err error) error { return fmt.Errorf("test mails: %s: %w", s.path, err) }

// Put keeps a mail that the spool holds under a file name. It is new unless that file was kept
// before.
func (s *Store) Put(ctx context.Context, file string, m evidence.Mail) (isNew bool, err error) {
	text, err := evidence.Encode(m)
	if err != nil {
		return false, s.wrap(err)
	}
	done, err := s.db.ExecContext(ctx, "INSERT OR IGNORE INTO mails (token, at, file, mail) VALUES ($1, $2, $3, $4)",
		m.Token, m.Time.Unix(), file, text)
	if err != nil {
		return false, s.wrap(err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, s.wrap(err)
	}
	const older = `DELETE FROM mails WHERE token = $1 AND id NOT IN
		(SELECT id FROM mails WHERE token = $1 ORDER BY at DESC, id DESC LIMIT $2)`
	if _, err := s.db.ExecContext(context.WithoutCancel(ctx), older, m.Token, maxPerToken); err != nil {
		return false, s.wrap(err)
	}
	return n > 0, nil
}

// Expire drops what is too old, and the oldest beyond the bound.
func (s *Store) Expire(ctx context.Context, now time.Time) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM mails WHERE at < $1 OR id NOT IN
		(SELECT id FROM mails ORDER BY at DESC, id DESC LIMIT $2)`, now.Add(-s.keep).Unix(), maxMails)
	if err == nil {
		_, err = s.db.ExecContext(ctx, "DELETE FROM answers WHERE at < $1", now.Add(-24*time.Hour).Unix())
	}
	if err != nil {
		return s.wrap(err)
	}
	return nil
}

// ErrNone reports that there is no mail under a token, or no more.
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
