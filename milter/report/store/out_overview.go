package store

import (
	"context"
	"time"
)

// OutMail is one mail with a report, as an overview lists it; State and Reason are the report's if
// it was withheld, and has no mail.
type OutMail struct {
	Report                         string // its ID
	Domain, Address, State, Reason string
	Day                            int64
	Changed                        time.Time
}

// OutLatest lists the mails that reports were sent with and the reports that were withheld, the
// latest first.
func (s *Store) OutLatest(ctx context.Context, most int) (out []OutMail, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT r.id, r.domain, coalesce(d.address, ''), coalesce(d.state, r.state),
			coalesce(d.reason, r.reason), r.day, coalesce(d.changed, r.built)
			FROM out_report r LEFT JOIN out_delivery d ON d.report = r.id
			ORDER BY r.day DESC, 7 DESC, r.domain, 3 LIMIT $1`, most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m OutMail
			var changed int64
			if err := rows.Scan(&m.Report, &m.Domain, &m.Address, &m.State, &m.Reason, &m.Day,
				&changed); err != nil {
				return err
			}
			m.Changed = time.Unix(changed, 0).UTC()
			out = append(out, m)
		}
		return rows.Err()
	})
	return out, err
}

// OutSum is a sum of a day that is not reported yet.
type OutSum struct {
	Policies, Messages, Rows int64
	Largest                  int64 // rows of one policy
}

// OutSums sums up a day.
func (s *Store) OutSums(ctx context.Context, day int64) (sum OutSum, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(kept), 0),
			coalesce(max(kept), 0) FROM out_policy WHERE day = $1`, day).
			Scan(&sum.Policies, &sum.Messages, &sum.Rows, &sum.Largest)
	})
	return sum, err
}
