package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Suppression is an address that gets no reports for a time.
type Suppression struct {
	Address string    `json:"address"`
	Until   time.Time `json:"until"`
	Strikes int       `json:"strikes"` // bounces; 0 where an operator added it
	Reason  string    `json:"reason"`
}

// suppressedFor is how long an address is left alone after its first, second and any further
// bounce.
var suppressedFor = []time.Duration{7 * 24 * time.Hour, 30 * 24 * time.Hour, 180 * 24 * time.Hour}

// OutKey returns the key of the store with which the envelope senders of reports are made.
func (s *Store) OutKey(ctx context.Context) ([]byte, error) {
	var key string
	read := func(tx *Tx) error {
		return tx.QueryRowContext(ctx, "SELECT value FROM out_secret WHERE name = 'verp'").Scan(
			&key)
	}
	err := s.View(ctx, read)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.Update(ctx, func(tx *Tx) (err error) {
			key, err = tx.outSecret(ctx, "verp")
			return err
		})
	}
	return []byte(key), err
}

// OutForged counts a mail to an envelope sender that was made up.
func (s *Store) OutForged(ctx context.Context, now time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO out_forged (day, n) VALUES ($1, 1)
			ON CONFLICT (day) DO UPDATE SET n = out_forged.n + 1`, Day(now))
		return err
	})
}

// OutForgedCount is how many mails came to envelope senders that were made up, in the last 30 days.
func (s *Store) OutForgedCount(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, "SELECT coalesce(sum(n), 0) FROM out_forged WHERE day > $1",
			Day(now)-30).Scan(&n)
	})
	return n, err
}

// OutBounced suppresses the address of a delivery whose mail was returned: for 7, 30 and
// then 180 days. Several returned mails on one UTC day count once. It returns the address,
// or "" if there is no such delivery.
func (s *Store) OutBounced(
	ctx context.Context, reportID string, n int, reason string, now time.Time,
) (out Suppression, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		out = Suppression{}
		var state string
		err := tx.QueryRowContext(ctx,
			"SELECT address, state FROM out_delivery WHERE report = $1 AND n = $2", reportID, n).
			Scan(&out.Address, &state)
		isFailure := errors.Is(err, sql.ErrNoRows)
		if isFailure {
			out.Address, err = tx.failureBounced(ctx, reportID, reason, now)
		}
		if err != nil {
			return err
		}
		if out.Address == "" || state == Suppressed {
			out = Suppression{}
			return nil // unknown, or a second bounce of one mail
		}
		out.Address = strings.ToLower(out.Address)
		if err := tx.countBounce(ctx, &out, reason, now); err != nil || isFailure {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE out_delivery SET state = 'suppressed', reason = $3, changed = $4
			WHERE report = $1 AND n = $2`, reportID, n, reason, now.Unix())
		return err
	})
	return out, err
}

// countBounce counts a bounce of an address, and suppresses it for longer each time. A
// second one on the same day changes nothing.
func (tx *Tx) countBounce(ctx context.Context, x *Suppression, reason string, now time.Time) error {
	var until, struck int64
	err := tx.QueryRowContext(ctx,
		"SELECT until, strikes, reason, struck FROM out_suppressed WHERE address = $1", x.Address).
		Scan(&until, &x.Strikes, &x.Reason, &struck)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case struck == Day(now):
		x.Until = time.Unix(until, 0).UTC()
		return nil
	}
	x.Until = now.Add(suppressedFor[min(x.Strikes, len(suppressedFor)-1)])
	if by := time.Unix(until, 0).UTC(); by.After(x.Until) {
		x.Until = by // an operator wanted it for longer
	}
	x.Reason = reason
	x.Strikes++
	if err := tx.suppress(ctx, *x); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE out_suppressed SET struck = $2 WHERE address = $1",
		x.Address, Day(now))
	return err
}

func (tx *Tx) suppress(ctx context.Context, s Suppression) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO out_suppressed (address, until, strikes, reason)
		VALUES ($1, $2, $3, $4) ON CONFLICT (address) DO UPDATE SET
		until = excluded.until, strikes = excluded.strikes, reason = excluded.reason`,
		s.Address, s.Until.Unix(), s.Strikes, s.Reason)
	return err
}

// OutSuppress stops reports to an address until a time.
func (s *Store) OutSuppress(ctx context.Context, x Suppression) error {
	x.Address = strings.ToLower(x.Address)
	return s.Update(ctx, func(tx *Tx) error { return tx.suppress(ctx, x) })
}

// OutRelease allows reports to an address again. It reports whether it was suppressed.
func (s *Store) OutRelease(ctx context.Context, address string) (was bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM out_suppressed WHERE address = $1",
			strings.ToLower(address))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		was = n > 0
		return err
	})
	return was, err
}

// OutSuppressions lists the addresses that get no reports at a time, by name; address "" for all.
func (s *Store) OutSuppressions(ctx context.Context, address string,
	now time.Time) (out []Suppression, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT address, until, strikes, reason FROM out_suppressed
			WHERE until > $1
			AND `+onlyIn("address", "$2", address)+" ORDER BY address", now.Unix(), strings.ToLower(address))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x Suppression
			var until int64
			if err := rows.Scan(&x.Address, &until, &x.Strikes, &x.Reason); err != nil {
				return err
			}
			x.Until = time.Unix(until, 0).UTC()
			out = append(out, x)
		}
		return rows.Err()
	})
	return out, err
}

// OutForget removes all that is kept of a domain: whether our users write there, its mail of 90
// days, rows and reports, and failure reports about it or to it. It returns how many rows of tables
// that were.
func (s *Store) OutForget(ctx context.Context, domain string) (n int64, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		n = 0
		if err := tx.lock(ctx, "friends"); err != nil {
			return err
		}
		key, err := tx.outSecret(ctx, "friends")
		if err != nil {
			return err
		}
		for _, q := range []struct{ query, arg string }{
			{"DELETE FROM out_friend WHERE hash = $1", contactHash(key, domain)},
			{"DELETE FROM out_relation WHERE domain = $1", domain},
			{"DELETE FROM out_policy WHERE domain = $1", domain},
			{"DELETE FROM out_delivery WHERE report IN (SELECT id FROM out_report WHERE domain = " +
				"$1)", domain},
			{"DELETE FROM out_report WHERE domain = $1", domain},
			{"DELETE FROM out_failure WHERE domain = $1 OR host = $1", domain},
			{tx.postgresOnly("DELETE FROM out_part WHERE policy = $1"), domain},
		} {
			if q.query == "" {
				continue
			}
			done, err := tx.ExecContext(ctx, q.query, q.arg)
			if err != nil {
				return err
			}
			count, err := done.RowsAffected()
			if err != nil {
				return err
			}
			n += count
		}
		return nil
	})
	return n, err
}

// OutPrune removes expired entries: relations after 90 days, reports and their mails after 30,
// failure reports after 7. The names of segments stay for a day longer than the segments may, which
// is spoolDays: one that could not be deleted must not be counted again.
func (s *Store) OutPrune(ctx context.Context, now time.Time, spoolDays int) error {
	day := Day(now)
	return s.Update(ctx, func(tx *Tx) error {
		// Hosts that fold at the same time change some of the same rows, in another order.
		if err := tx.lock(ctx, "friends"); err != nil {
			return err
		}
		for _, q := range []struct {
			query  string
			before int64
		}{
			{"DELETE FROM out_friend WHERE day <= $1", day - Remembered},
			{"DELETE FROM out_relation WHERE last <= $1", day - Remembered},
			{"DELETE FROM out_delivery WHERE report IN (SELECT id FROM out_report WHERE day < " +
				"$1)", day - 30},
			{"DELETE FROM out_report WHERE day < $1", day - 30},
			{"DELETE FROM out_segment WHERE folded < $1", now.AddDate(0, 0, -spoolDays-1).Unix()},
			{"DELETE FROM out_failure WHERE changed < $1", now.AddDate(0, 0, -7).Unix()},
			{"DELETE FROM out_forged WHERE day <= $1", day - 30},
			{"DELETE FROM out_suppressed WHERE until < $1", now.AddDate(-1, 0, 0).Unix()},
		} {
			if _, err := tx.ExecContext(ctx, q.query, q.before); err != nil {
				return err
			}
		}
		return nil
	})
}
