package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// Alert is something that the operator should know.
type Alert struct {
	ID      int64     `json:"id"`
	Code    string    `json:"code"`    // stable: "new-source"
	Domain  string    `json:"domain"`  // "": not about one
	Subject string    `json:"subject"` // what it is about beside the domain; tells alerts apart
	Text    string    `json:"text"`    // sentences: what was found, and what to do
	Raised  time.Time `json:"raised"`
	Seen    time.Time `json:"seen"`          // when it was last found to hold
	Sent    time.Time `json:"sent,omitzero"` // when it was mailed; zero: not yet
}

// Raise stores the alerts whose cause exists now, and returns how many are new. An alert whose
// cause persists stays one alert; it is new again after its cause was gone for quiet.
func (s *Store) Raise(
	ctx context.Context, now time.Time, quiet time.Duration, alerts ...Alert,
) (raised int, err error) {
	return s.RaiseSome(ctx, now, quiet, math.MaxInt, alerts...)
}

// RaiseSome is Raise for at most perDay new alerts of one code in 24 hours. Those beyond are one
// alert, with the subject "more": a reporter can cause any number of them.
func (s *Store) RaiseSome(
	ctx context.Context, now time.Time, quiet time.Duration, perDay int, alerts ...Alert,
) (raised int, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		raised = 0
		for _, a := range alerts {
			isNew, err := tx.raiseSome(ctx, now, quiet, perDay, a)
			if err != nil {
				return err
			}
			raised += number(isNew)
		}
		return nil
	})
	return raised, err
}

// raiseSome raises an alert, or the one for all beyond perDay in its place.
func (tx *Tx) raiseSome(ctx context.Context, now time.Time, quiet time.Duration, perDay int,
	a Alert) (bool, error) {
	var today int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM in_alert WHERE code = $1 AND raised > "+
		"$2", a.Code,
		now.Add(-24*time.Hour).Unix()).Scan(&today)
	if err != nil {
		return false, err
	}
	if today >= perDay && a.Subject != more {
		isKnown, err := tx.again(ctx, now, quiet, a)
		if isKnown || err != nil {
			return false, err
		}
		a = Alert{Code: a.Code, Subject: more, Text: fmt.Sprintf(
			"More than %d alerts of this kind (%s) arose in 24 hours: further ones are not "+
				"mailed. The pages and \"mailseal reports sources\" show all sources.", perDay,
			a.Code)}
	}
	return tx.raise(ctx, now, quiet, a)
}

// more is the subject of the alert that represents many.
const more = "more"

// again notes that an alert goes on, and reports whether it is one that holds.
func (tx *Tx) again(ctx context.Context, now time.Time, quiet time.Duration, a Alert) (bool,
	error) {
	var id int64
	err := tx.QueryRowContext(ctx, `SELECT id FROM in_alert WHERE code = $1 AND domain = $2 AND subject = $3
		AND seen > $4 ORDER BY seen DESC LIMIT 1`, a.Code, text(a.Domain), text(a.Subject), now.Add(-quiet).Unix()).
		Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE in_alert SET seen = $1 WHERE id = $2", now.Unix(), id)
	return true, err
}

func (tx *Tx) raise(ctx context.Context, now time.Time, quiet time.Duration, a Alert) (bool,
	error) {
	isKnown, err := tx.again(ctx, now, quiet, a)
	if isKnown || err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO in_alert (code, domain, subject, message, raised, seen, sent)
		VALUES ($1, $2, $3, $4, $5, $5, 0)`, a.Code, text(a.Domain), text(a.Subject), text(a.Text), now.Unix())
	return err == nil, err
}

// Alerts returns alerts, the latest first, at most limit of them. With unsent it returns those
// alone that were not mailed yet.
func (s *Store) Alerts(ctx context.Context, unsent bool, limit int) (out []Alert, err error) {
	q := "SELECT id, code, domain, subject, message, raised, seen, sent FROM in_alert"
	if unsent {
		q += " WHERE sent = 0"
	}
	q += fmt.Sprint(" ORDER BY raised DESC, id DESC LIMIT ", limit)
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, q)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Alert
			var raised, seen, sent int64
			if err := rows.Scan(&a.ID, &a.Code, &a.Domain, &a.Subject, &a.Text, &raised, &seen,
				&sent); err != nil {
				return err
			}
			a.Raised, a.Seen = time.Unix(raised, 0).UTC(), time.Unix(seen, 0).UTC()
			if sent > 0 {
				a.Sent = time.Unix(sent, 0).UTC()
			}
			out = append(out, a)
		}
		return rows.Err()
	})
	return out, err
}

// AlertsSent notes that all alerts up to a number were mailed.
func (s *Store) AlertsSent(ctx context.Context, last int64, now time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE in_alert SET sent = $1 WHERE sent = 0 AND id <= $2",
			now.Unix(), last)
		return err
	})
}

// Mark returns the number that was kept under a name, 0 for none.
func (s *Store) Mark(ctx context.Context, name string) (n int64, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT at FROM in_told WHERE what = $1", name).Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return n, err
}

// SetMark stores a number under a name: the position up to which something was reported.
func (s *Store) SetMark(ctx context.Context, name string, n int64) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO in_told (what, at) VALUES ($1, $2)
			ON CONFLICT (what) DO UPDATE SET at = excluded.at`, name, n)
		return err
	})
}
