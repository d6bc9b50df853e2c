package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// since is the name under which the store keeps the first day whose rows it still has.
const since = "records_since"

// readAgain is the name under which the store counts mails and files that were read again: pages
// look whether anything has changed.
const readAgain = "read_again"

// Verify recounts the rollups from the rows, and returns what differs, a line each; none if they
// agree. Days whose rows were removed by age are left out.
func (s *Store) Verify(ctx context.Context) (out []string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		first := int64(-1 << 40)
		err := tx.QueryRowContext(ctx, "SELECT at FROM in_told WHERE what = $1", since).Scan(&first)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for _, t := range []struct{ table, key, column string }{
			{"in_day_reporter", "reporter", "p.reporter"}, {"in_day_source", "source", "r.source"},
		} {
			recount := fmt.Sprintf(`SELECT r.domain, r.day, %s, r.outcome,
				CAST(SUM(r.messages) AS BIGINT) FROM in_record r
				JOIN in_report p ON p.id = r.report WHERE p.counted = 1 AND r.day >= $1
				AND r.messages > 0 GROUP BY r.domain, r.day, %[1]s, r.outcome`, t.column)
			rolled := fmt.Sprintf("SELECT domain, day, %s, outcome, messages FROM %s WHERE day "+
				">= $1", t.key, t.table)
			for _, q := range []struct{ a, b, what string }{
				{recount, rolled, "missing or too small in"}, {rolled, recount, "too much in"},
			} {
				var n int64
				if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ("+q.a+" EXCEPT "+q.b+") x",
					first).Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					out = append(out, fmt.Sprintf("%d sums are %s %s", n, q.what, t.table))
				}
			}
		}
		return nil
	})
	return out, err
}

func (tx *Tx) ids(ctx context.Context, query string, args ...any) (out []int64, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// Retention configures how long each kind of data is kept.
type Retention struct {
	Raw     time.Duration // mails and files as they came, and reports without proof
	Records time.Duration // reports and their rows
	Rollups time.Duration // sums per day
	Foreign time.Duration // reports on domains that are not ours
}

// countDays is how long counts of arrivals are kept.
const countDays = 400

// Purge removes entries that are older than their retention. Sums are kept longer than their rows.
func (s *Store) Purge(ctx context.Context, now time.Time, r Retention) error {
	return s.Update(ctx, func(tx *Tx) error {
		records := now.Add(-r.Records)
		old := "SELECT id FROM in_report WHERE ends < $1 OR configured = 0 AND received < $2 " +
			"OR counted = 0 AND trust = 'unaligned' AND received < $3"
		args := []any{records.Unix(), now.Add(-r.Foreign).Unix(), now.Add(-r.Raw).Unix()}
		for _, q := range []struct {
			text string
			args []any
		}{
			{"UPDATE in_raw SET data = NULL, error = '' WHERE received < $1 AND data IS NOT NULL",
				[]any{now.Add(-r.Raw).Unix()}},
			{"DELETE FROM in_record WHERE report IN (" + old + ")", args},
			{"UPDATE in_report SET variant_of = NULL WHERE variant_of IN (" + old + ")", args},
			{"DELETE FROM in_report WHERE id IN (" + old + ")", args},
			{`DELETE FROM in_other WHERE ends < $1 OR trust_domain = '' AND received < $2
				AND raw IN (SELECT id FROM in_raw WHERE trust <> 'file')`,
				[]any{records.Unix(), now.Add(-r.Raw).Unix()}},
			{`DELETE FROM in_raw WHERE data IS NULL AND NOT EXISTS (SELECT 1 FROM in_report
				WHERE in_report.raw = in_raw.id)
				AND NOT EXISTS (SELECT 1 FROM in_other WHERE in_other.raw = in_raw.id)`, nil},
			{"DELETE FROM in_day_reporter WHERE day < $1", []any{day(now.Add(-r.Rollups))}},
			{"DELETE FROM in_day_source WHERE day < $1", []any{day(now.Add(-r.Rollups))}},
			{"DELETE FROM in_count WHERE day < $1 AND day <> 0", []any{day(now) - countDays}},
			{"DELETE FROM in_alert WHERE seen < $1", []any{records.Unix()}},
			{"INSERT INTO in_told (what, at) VALUES ($1, $2) ON CONFLICT (what) DO UPDATE SET at " +
				"= excluded.at",
				[]any{since, day(records) + 1}},
		} {
			if _, err := tx.ExecContext(ctx, q.text, q.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Raws returns the numbers of the mails and files that the store still has as they came.
func (s *Store) Raws(ctx context.Context) (out []int64, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.ids(ctx, "SELECT id FROM in_raw WHERE data IS NOT NULL ORDER BY id")
		return err
	})
	return out, err
}

// readAgain counts a change of reports that were in the store already. It is the last thing that a
// transaction does, after touched.keep: transactions that take the same locks in another order
// would wait for each other.
func (tx *Tx) readAgain(ctx context.Context) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO in_told (what, at) VALUES ($1, 1) ON CONFLICT "+
		"(what) DO UPDATE SET at = in_told.at + 1", readAgain)
	return err
}

// domainsOfRaw are the domains that the reports from a mail are on.
const domainsOfRaw = "SELECT domain FROM in_report WHERE raw = $1 UNION SELECT domain FROM " +
	"in_record WHERE report IN (SELECT id FROM in_report WHERE raw = $1)"

// Again reads a mail or file again: its reports are removed, and do stores what it finds now, in
// one transaction.
func (s *Store) Again(ctx context.Context, raw int64, do func(*Arrival, *Ingest) error) error {
	in := &Ingest{ctx: ctx, arrival: &Arrival{}, raw: raw, again: true}
	err := s.Update(ctx, func(tx *Tx) error {
		in.tx, in.lookup = tx, s.lookup(tx)
		in.sums = newSums(in.lookup)
		if err := in.load(); err != nil {
			return fmt.Errorf("number %d: %w", raw, err)
		}
		domains := touched{}
		if err := domains.add(ctx, tx, domainsOfRaw, raw); err != nil {
			return err
		}
		if err := in.forget(); err != nil {
			return err
		}
		if err := do(in.arrival, in); err != nil {
			return err
		}
		if err := domains.add(ctx, tx, domainsOfRaw, raw); err != nil {
			return err
		}
		// Locks are taken in the order of trust: the sums, the domains touched, the count.
		if err := in.sums.flush(ctx); err != nil {
			return err
		}
		if err := domains.keep(ctx, tx); err != nil {
			return err
		}
		return tx.readAgain(ctx)
	})
	switch {
	case errors.Is(err, ErrNoUnread), errors.Is(err, ErrNotHeld):
		return err
	case err != nil:
		return s.wrap("read a report again", err)
	}
	in.lookup.commit()
	return nil
}

func (in *Ingest) load() error {
	a, packed, received := in.arrival, []byte(nil), int64(0)
	err := in.tx.QueryRowContext(in.ctx,
		"SELECT received, via, name, trust, trust_domain, data FROM in_raw WHERE id = $1", in.raw).
		Scan(&received, &a.Via, &a.Name, &a.Trust, &a.TrustDomain, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoUnread
	}
	if err != nil {
		return err
	}
	a.Received = time.Unix(received, 0).UTC()
	if packed == nil {
		return ErrNotHeld
	}
	a.Data, err = unpack(packed)
	return err
}

// forget removes the reports that were read from the raw bytes.
func (in *Ingest) forget() error {
	counted, err := in.tx.ids(in.ctx, "SELECT id FROM in_report WHERE raw = $1 AND counted = 1",
		in.raw)
	if err != nil {
		return err
	}
	for _, id := range counted {
		if err := in.tx.updateSums(in.ctx, id, -1); err != nil {
			return err
		}
	}
	for _, q := range []string{
		"DELETE FROM in_record WHERE report IN (SELECT id FROM in_report WHERE raw = $1)",
		"UPDATE in_report SET variant_of = NULL WHERE variant_of IN (SELECT id FROM in_report " +
			"WHERE raw = $1)",
		"DELETE FROM in_report WHERE raw = $1",
		"DELETE FROM in_other WHERE raw = $1",
	} {
		if _, err := in.tx.ExecContext(in.ctx, q, in.raw); err != nil {
			return err
		}
	}
	return nil
}

// replace removes a report of the same content that came without proof, which does not count: one
// with proof takes its place.
func (in *Ingest) replace(key, content string) error {
	var id int64
	err := in.lookup.ask(in.ctx, &id, "SELECT id FROM in_report WHERE dedup = $1 AND content = "+
		"$2", key, content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM in_record WHERE report = $1",
		"UPDATE in_report SET variant_of = NULL WHERE variant_of = $1",
		"DELETE FROM in_report WHERE id = $1",
	} {
		if err := in.lookup.exec(in.ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// Trouble is a mail or file in which something could not be read.
type Trouble struct {
	ID       int64     `json:"id"`
	Received time.Time `json:"received"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Error    string    `json:"error"`
}

// Troubles returns what could not be read, the latest first.
func (s *Store) Troubles(ctx context.Context, limit int) (out []Trouble, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx,
			fmt.Sprint("SELECT id, received, name, kind, error FROM in_raw WHERE error <> '' "+
				"ORDER BY received DESC, id DESC LIMIT ", limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Trouble
			var received int64
			if err := rows.Scan(&t.ID, &received, &t.Name, &t.Kind, &t.Error); err != nil {
				return err
			}
			t.Received = time.Unix(received, 0).UTC()
			out = append(out, t)
		}
		return rows.Err()
	})
	return out, err
}
