package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// What the administrator says of a reporter, in the column accepted.
const (
	byProof = 0 // its reports count if their mail was authenticated for it
	always  = 1 // they count without proof
	never   = 2 // they do not count
)

// ErrNoReporter reports a reporter that the store does not know.
var ErrNoReporter = errors.New("no report of this reporter is in the store; \"mailseal reports " +
	"received\" lists the names")

// Accept makes the reports of a reporter count without authentication, or reverts that, so that
// only authenticated reports count. It returns how many reports changed.
func (s *Store) Accept(ctx context.Context, key string, accept bool) (changed int, err error) {
	if accept {
		return s.trust(ctx, key, always)
	}
	return s.trust(ctx, key, byProof)
}

// Refuse has no report of a reporter count, whatever proves where it comes from, until Accept is
// called for it. It returns how many reports changed.
func (s *Store) Refuse(ctx context.Context, key string) (changed int, err error) {
	return s.trust(ctx, key, never)
}

// Waiting returns how many reports of a reporter count no sooner than all their rows, of which the
// store kept the first ones alone, were read again. Those are not among them whose mail retention
// has removed: nothing can be read again there.
func (s *Store) Waiting(ctx context.Context, key string) (n int, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM in_report JOIN in_reporter o ON o.id = in_report.reporter
			WHERE o.key = $1 AND in_report.counted = 0 AND configured = 1 AND variant_of IS NULL
			AND (o.accepted = 1 OR o.accepted = 0 AND trust <> 'unaligned')
			AND EXISTS (SELECT 1 FROM in_raw w WHERE w.id = in_report.raw AND w.data IS NOT NULL)
			AND `+isPart, key).Scan(&n)
	})
	return n, err
}

// isPart holds for a report of which rows are missing: the store keeps the first ones alone of one
// that does not count.
var isPart = fmt.Sprintf(`records > %d AND in_report.messages <>
	(SELECT COALESCE(SUM(r.messages), 0) FROM in_record r WHERE r.report = in_report.id)`, MaxUnprovenRows)

// trust sets what the administrator says of a reporter, and has its reports count or not.
func (s *Store) trust(ctx context.Context, key string, level int) (changed int, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		changed = 0
		var id int64
		err := tx.QueryRowContext(ctx, "UPDATE in_reporter SET accepted = $1 WHERE key = $2 "+
			"RETURNING id", level, key).
			Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%q: %w", key, ErrNoReporter)
		}
		if err != nil {
			return err
		}
		deserves := map[int]string{byProof: "trust <> 'unaligned'", always: "1 = 1",
			never: "1 = 0"}[level]
		// Pages show of each domain whether its reporters are trusted.
		domains := touched{}
		if err := domains.add(ctx, tx, "SELECT DISTINCT domain FROM in_report WHERE reporter = $1",
			id); err != nil {
			return err
		}
		for _, count := range []int{0, 1} {
			n, err := tx.count(ctx, id, count, deserves, domains)
			if err != nil {
				return err
			}
			changed += n
		}
		if err := domains.keep(ctx, tx); err != nil {
			return err
		}
		return tx.readAgain(ctx)
	})
	return changed, err
}

// count takes the reports of a reporter out of the sums that do not deserve to count (count 0), or
// adds those that do (count 1). It returns how many there were.
func (tx *Tx) count(ctx context.Context, reporter int64, count int, deserves string,
	domains touched) (int, error) {
	q, sign := "SELECT id FROM in_report WHERE reporter = $1 AND counted = 1 AND NOT ("+deserves+
		")", -1
	if count == 1 {
		// Of reports with one key, which are variants of each other, one counts at most.
		// One of which rows are missing is read again first.
		q, sign = fmt.Sprintf(`SELECT MIN(id) FROM in_report WHERE reporter = $1 AND counted = 0 AND configured = 1
			AND state NOT IN ('future', 'implausible') AND variant_of IS NULL AND (%s)
			AND NOT (%s)
			AND NOT EXISTS (SELECT 1 FROM in_report o WHERE o.dedup = in_report.dedup
			AND o.counted = 1) GROUP BY dedup`, deserves, isPart), 1
	}
	ids, err := tx.ids(ctx, q, reporter)
	if err != nil {
		return 0, err
	}
	for _, report := range ids {
		if _, err := tx.ExecContext(ctx, "UPDATE in_report SET counted = $1 WHERE id = $2", count,
			report); err != nil {
			return 0, err
		}
		if err := tx.updateSums(ctx, report, sign); err != nil {
			return 0, err
		}
		if err := domains.report(ctx, tx, report); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
