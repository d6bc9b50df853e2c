package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"mailseal/milter/report"
)

// DaySum is messages of a domain on a day, by source or by reporter.
type DaySum struct {
	Domain string
	Name   string // an address, or the key of a reporter
	Day    int64
	Sum
}

// SourceDays calls each for every domain, source and day since a time, sorted by these.
func (s *Store) SourceDays(ctx context.Context, since time.Time, each func(DaySum)) error {
	return s.days(ctx, "in_day_source t JOIN in_source k ON k.id = t.source", "k.ip", since, each)
}

// ReporterDays does so for reporters.
func (s *Store) ReporterDays(ctx context.Context, since time.Time, each func(DaySum)) error {
	return s.days(ctx, "in_day_reporter t JOIN in_reporter k ON k.id = t.reporter", "k.key",
		since, each)
}

func (s *Store) days(ctx context.Context, from, name string, since time.Time,
	each func(DaySum)) error {
	q := fmt.Sprintf(`SELECT d.name, %s, t.day, t.outcome, t.messages FROM %s JOIN in_name d ON d.id = t.domain
		WHERE t.day >= $1 ORDER BY d.name, %[1]s, t.day`, name, from)
	return s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, q, day(since))
		if err != nil {
			return err
		}
		defer rows.Close()
		var sum DaySum
		for rows.Next() {
			var next DaySum
			var o Outcome
			var n int64
			if err := rows.Scan(&next.Domain, &next.Name, &next.Day, &o, &n); err != nil {
				return err
			}
			if next.Domain != sum.Domain || next.Name != sum.Name || next.Day != sum.Day {
				if sum.Messages > 0 {
					each(sum)
				}
				sum = next
			}
			sum.add(o, n)
		}
		if sum.Messages > 0 {
			each(sum)
		}
		return rows.Err()
	})
}

// FirstSeen returns the first day on which a domain had mail, and the first day of each of its
// sources that is not before since.
func (s *Store) FirstSeen(ctx context.Context, since time.Time) (domains map[string]int64,
	sources map[[2]string]int64, err error) {
	domains, sources = map[string]int64{}, map[[2]string]int64{}
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT d.name, MIN(t.day) FROM in_day_reporter t
			JOIN in_name d ON d.id = t.domain GROUP BY d.name`)
		if err != nil {
			return err
		}
		err = eachRow(rows, func() error {
			var name string
			var first int64
			err := rows.Scan(&name, &first)
			domains[name] = first
			return err
		})
		if err != nil {
			return err
		}
		rows, err = tx.QueryContext(ctx, `SELECT d.name, k.ip, MIN(t.day) FROM in_day_source t
			JOIN in_name d ON d.id = t.domain JOIN in_source k ON k.id = t.source
			WHERE t.source IN (SELECT source FROM in_day_source WHERE day >= $1)
			GROUP BY d.name, k.ip HAVING MIN(t.day) >= $1`, day(since))
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var key [2]string
			var first int64
			err := rows.Scan(&key[0], &key[1], &first)
			sources[key] = first
			return err
		})
	})
	return domains, sources, err
}

func eachRow(rows *sql.Rows, scan func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Published is the policy that a report that counts says a domain had.
type Published struct {
	Domain   string
	Reporter string
	Begin    time.Time
	Policy   report.PolicyPublished
}

// EachPolicy calls each for the policies of reports that count and begin after since, sorted by
// domain, reporter and time.
func (s *Store) EachPolicy(ctx context.Context, since time.Time, each func(Published)) error {
	return s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT d.name, o.key, p.begins, p.policy FROM in_report p
			JOIN in_reporter o ON o.id = p.reporter JOIN in_name d ON d.id = p.domain
			WHERE p.counted = 1 AND p.begins >= $1 ORDER BY d.name, o.key, p.begins, p.id`, since.Unix())
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var p Published
			var begins int64
			var policy string
			if err := rows.Scan(&p.Domain, &p.Reporter, &begins, &policy); err != nil {
				return err
			}
			p.Begin = time.Unix(begins, 0).UTC()
			if err := json.Unmarshal([]byte(policy), &p.Policy); err != nil {
				return err
			}
			each(p)
			return nil
		})
	})
}

// NewReporters returns the first days of reporters that were first seen after since, by
// their keys, and the first day of the oldest reporter, or 0 if there are no reporters.
func (s *Store) NewReporters(ctx context.Context, since time.Time) (fresh map[string]int64,
	oldest int64, err error) {
	fresh = map[string]int64{}
	err = s.View(ctx, func(tx *Tx) error {
		var first int64
		err := tx.QueryRowContext(ctx, "SELECT COALESCE(MIN(first_seen), 0) FROM in_reporter").Scan(
			&first)
		if err != nil {
			return err
		}
		oldest = day(time.Unix(first, 0))
		rows, err := tx.QueryContext(ctx, `SELECT o.key, o.first_seen FROM in_reporter o WHERE o.first_seen >= $1
			AND EXISTS (SELECT 1 FROM in_report p WHERE p.reporter = o.id AND p.counted = 1)`, since.Unix())
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var key string
			err := rows.Scan(&key, &first)
			fresh[key] = day(time.Unix(first, 0))
			return err
		})
	})
	return fresh, oldest, err
}

// Arrived is the mail that arrived on one day.
type Arrived struct {
	Day    int64
	Mails  int64
	Unread int64 // that could not be read, wholly or in part
	Why    string
}

// Arrivals returns the days since a time on which mail came in, in their order.
func (s *Store) Arrivals(ctx context.Context, since time.Time) (out []Arrived, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT received / 86400, COUNT(*), SUM(CASE
			WHEN error <> '' THEN 1 ELSE 0 END),
			MAX(error) FROM in_raw WHERE received >= $1 AND via <> 'import' GROUP BY received / 86400
			ORDER BY received / 86400`, since.Unix())
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var a Arrived
			err := rows.Scan(&a.Day, &a.Mails, &a.Unread, &a.Why)
			out = append(out, a)
			return err
		})
	})
	return out, err
}
