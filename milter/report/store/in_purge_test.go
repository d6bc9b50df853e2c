package store

import (
	"testing"
	"time"
)

// purge runs Purge with retentions of whole days, and counts what is left.
func purge(t *testing.T, s *Store, now time.Time, records, rollups int, query string) (n int64) {
	t.Helper()
	const day = 24 * time.Hour
	r := Retention{Raw: 90 * day, Records: time.Duration(records) * day,
		Rollups: time.Duration(rollups) * day, Foreign: 30 * day}
	if err := s.Purge(t.Context(), now, r); err != nil {
		t.Fatal(err)
	}
	if err := s.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPurgeToTheDay holds that sums are kept for as many days as the setting says, and not a day
// less.
func TestPurgeToTheDay(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := open(t, o)
		now := time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)
		err := s.Update(t.Context(), func(tx *Tx) error {
			for age := range int64(5) {
				for _, table := range []string{"in_day_source", "in_day_reporter"} {
					_, err := tx.ExecContext(t.Context(), "INSERT INTO "+table+
						" VALUES (1, $1, 1, 0, 1)", Day(now)-age)
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, days := range []int{4, 3, 1} {
			for _, table := range []string{"in_day_source", "in_day_reporter"} {
				oldest := purge(t, s, now, 400, days, "SELECT min(day) FROM "+table)
				if age := Day(now) - oldest; age != int64(days) {
					t.Errorf("%s: with %d days the oldest sum is %d days old", table, days, age)
				}
			}
		}
	})
}

// TestPurgeMarksWholeDays holds that a recount begins with the first day of which no record was
// removed: the day on which the retention ends has lost those before the hour.
func TestPurgeMarksWholeDays(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := open(t, o)
		now := time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)
		first := purge(t, s, now, 10, 400, "SELECT at FROM in_told WHERE what = '"+since+"'")
		if want := Day(now) - 9; first != want {
			t.Errorf("recounted from day %d on, want %d", first, want)
		}
	})
}

// TestPurgeKeepsVariants holds that a report which is younger than the one that it is a variant of
// outlives it.
func TestPurgeKeepsVariants(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := open(t, o)
		now := time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)
		first := putReport(t, s, now.AddDate(0, 0, -20), 0)
		putReport(t, s, now.AddDate(0, 0, -1), first)
		if n := purge(t, s, now, 10, 400,
			"SELECT count(*) FROM in_report WHERE variant_of IS NULL"); n != 1 {
			t.Errorf("%d reports are left that are variants of none, want the younger one", n)
		}
	})
}

// putReport stores the head of a report that ends at a time, a variant of another one unless that
// is 0, and returns its number.
func putReport(t *testing.T, s *Store, ends time.Time, of int64) (id int64) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *Tx) error {
		one := func(query string, args ...any) (id int64, err error) {
			return id, tx.QueryRowContext(t.Context(), query+" RETURNING id", args...).Scan(&id)
		}
		key := ends.Format(time.DateOnly)
		domain, err := one("INSERT INTO in_name (name) VALUES ($1)", key+".example")
		if err != nil {
			return err
		}
		reporter, err := one("INSERT INTO in_reporter (key, org, email, first_seen, last_seen) "+
			"VALUES ($1, '', '', 0, 0)", key)
		if err != nil {
			return err
		}
		id, err = one(`INSERT INTO in_report (dedup, content, reporter, report_id, domain, configured, begins, ends,
			received, trust, counted, state, version, namespace, generator, policy, notes, records, messages)
			VALUES ('key', $1, $2, '', $3, 1, 0, $4, $4, '', 0, '', '', '', '', '', '', 0, 0)`,
			key, reporter, domain, ends.Unix())
		if err != nil || of == 0 {
			return err
		}
		_, err = tx.ExecContext(t.Context(), "UPDATE in_report SET variant_of = $1 WHERE id = $2",
			of, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestPurgeOfTrouble holds that a mail from which one report was read, and another was not, is not
// listed as unread any more once it is not kept.
func TestPurgeOfTrouble(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		at := time.Unix(1_700_000_000, 0).UTC()
		_, err := s.Ingest(ctx, &Arrival{Received: at, Via: "lmtp", Name: "<1@x>",
			Trust: Unaligned, TrustDomain: "x.test", Data: []byte("one")},
			func(in *Ingest) error { return in.Finish("aggregate", "cut short") })
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(ctx, func(tx *Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO in_other (dedup, raw, kind, domain, reporter, begins, ends,
				received, trust_domain, good, bad, content)
				SELECT 'd', id, 'tls', 'a.example', 'r', 0, $1, received, 'x.test', 1, 0, '{}' FROM in_raw`, at.Unix())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		keep := Retention{Raw: 24 * time.Hour, Records: 1000 * 24 * time.Hour,
			Rollups: 1000 * 24 * time.Hour, Foreign: 1000 * 24 * time.Hour}
		if err := s.Purge(ctx, at.AddDate(0, 0, 2), keep); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Troubles(ctx, 9); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
