package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNoUnread reports that the store has no mail or file with a number in which something could not
// be read.
var ErrNoUnread = errors.New("this mail or file is no longer in the store: it was read, deleted, " +
	"or removed because of its age")

// ErrNotHeld reports that the original bytes of a mail or file are no longer kept, so that it
// cannot be read again.
var ErrNotHeld = errors.New("its original bytes are no longer kept (reports.intake.raw_days)")

// Unread is a mail or file in which something could not be read.
type Unread struct {
	ID          int64
	Received    time.Time
	Via         string // see Arrival
	Name        string // of the file, or the Message-ID
	Kind        string // what was found in it
	Error       string // what could not be read, a line each
	Trust       string // see Arrival
	TrustDomain string // that the mail was authenticated for; "" for none
	Size        int64  // bytes
	Reports     int64  // that were read from it nevertheless
	Data        []byte // as it came; nil if it is not kept any more
}

// Unread returns the unreadable mail or file with the given number, or ErrNoUnread. Parts
// of it may have been read.
func (s *Store) Unread(ctx context.Context, id int64) (u Unread, err error) {
	var received int64
	var packed []byte
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, `SELECT id, received, via, name, kind, error, trust,
			trust_domain, size, data, (SELECT COUNT(*) FROM in_report WHERE raw = in_raw.id)
			+ (SELECT COUNT(*) FROM in_other WHERE raw = in_raw.id)
			FROM in_raw WHERE id = $1 AND error <> ''`, id).
			Scan(&u.ID, &received, &u.Via, &u.Name, &u.Kind, &u.Error, &u.Trust,
				&u.TrustDomain, &u.Size, &packed, &u.Reports)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return u, fmt.Errorf("number %d: %w", id, ErrNoUnread)
	}
	u.Received = time.Unix(received, 0).UTC()
	if err != nil || packed == nil {
		return u, err
	}
	u.Data, err = unpack(packed)
	return u, err
}

// unpack returns what is stored compressed.
func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// UnreadOf returns the numbers of the mails and files of a kind in which something could not be
// read and that are kept as they came, the oldest first.
func (s *Store) UnreadOf(ctx context.Context, kind string) (out []int64, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.ids(ctx, `SELECT id FROM in_raw WHERE error <> '' AND kind = $1
			AND data IS NOT NULL ORDER BY received, id`, kind)
		return err
	})
	return out, err
}

// Discard removes a mail or file in which something could not be read. Reports that were
// read from it are kept and still count: then only its bytes and the record of the
// unreadable part are removed. Discard returns the number of reports that are kept. The
// error is ErrNoUnread if there is no mail or file with this number.
func (s *Store) Discard(ctx context.Context, id int64) (stay int64, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE in_raw SET data = NULL, error = ''
			WHERE id = $1 AND error <> ''
			RETURNING (SELECT COUNT(*) FROM in_report WHERE raw = in_raw.id)
			+ (SELECT COUNT(*) FROM in_other WHERE raw = in_raw.id)`, id).Scan(&stay)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("number %d: %w", id, ErrNoUnread)
		}
		if err != nil || stay > 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM in_raw WHERE id = $1", id)
		return err
	})
	return stay, err
}
