package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
	"mailseal/milter/report"
)

// storeOne stores a report of one message from 192.0.2.1.
func storeOne(in *Ingest, name, reporter string, at time.Time) error {
	return storeFrom(in, name, reporter, "192.0.2.1", at)
}

// storeFrom stores a report of one message from a source.
func storeFrom(in *Ingest, name, reporter, source string, at time.Time) error {
	_, err := in.Report(Head{Digest: name, Configured: true, Trust: Unaligned,
		Feedback: &report.Feedback{Metadata: report.Metadata{Org: reporter,
			Email: "dmarc@" + reporter, ReportID: name, Begin: at.Add(-46 * time.Hour),
			End: at.Add(-25 * time.Hour)},
			Policy: report.PolicyPublished{Domain: "shop.example", P: "none"},
			Rows:   1, Messages: 1}})
	if err != nil {
		return err
	}
	row := &report.Row{N: 1, Source: source, Count: 1, Disposition: "none", DKIM: "pass",
		SPF: "pass", HeaderFrom: "shop.example"}
	return errors.Join(in.Row("shop.example", row), in.End(), in.Finish("aggregate", ""))
}

// bring stores a report of one message as the mail that brought it, and returns the mail's number.
func bring(t *testing.T, s *Store, name, reporter, source string, at time.Time) int64 {
	t.Helper()
	var id int64
	_, err := s.Ingest(t.Context(), &Arrival{Received: at, Trust: Unaligned, Data: []byte(name)},
		func(in *Ingest) error {
			id = in.raw
			return storeFrom(in, name, reporter, source, at)
		})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// waiters returns how many connections wait for a lock.
func waiters(ctx context.Context, s *Store) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
	return n, err
}

// TestLocksAtEndOfAgain reads a mail again, which now has a message from another source, while a
// transaction holds the sums of that source and goes on as trust does: to the domains touched and
// the count. It gets both, since the reader waits for the sums before it takes either. If reading
// took one of them first, each would wait for the other, and PostgreSQL would end one.
func TestLocksAtEndOfAgain(t *testing.T) {
	_, all := hosts(t, "a")
	s, ctx, at := all[0], t.Context(), time.Unix(1_700_000_000, 0).UTC()
	raw := bring(t, s, "one", "one.test", "192.0.2.1", at)
	bring(t, s, "two", "two.test", "192.0.2.2", at)
	for _, reporter := range []string{"one.test", "two.test"} {
		if n, err := s.Accept(ctx, reporter, true); n != 1 || err != nil {
			t.Fatalf("%s: %d reports count now: %v", reporter, n, err)
		}
	}
	done := make(chan error, 1)
	err := s.Update(ctx, func(tx *Tx) error {
		// What trust does first: it takes a report out of the sums.
		held, err := tx.ExecContext(ctx, `UPDATE in_day_source SET messages = messages + 1
			WHERE source = (SELECT id FROM in_source WHERE ip = '192.0.2.2')`)
		if err != nil {
			return err
		}
		if n, err := held.RowsAffected(); n != 1 || err != nil {
			return fmt.Errorf("%d sums are held, want 1: %w", n, err)
		}
		go func() {
			done <- s.Again(ctx, raw, func(_ *Arrival, in *Ingest) error {
				return storeFrom(in, "one", "one.test", "192.0.2.2", at)
			})
		}()
		if !rig.Await(func() bool {
			n, err := waiters(ctx, s)
			return n > 0 || err != nil || len(done) > 0
		}) || len(done) > 0 {
			return errors.New("reading again does not wait for the sums")
		}
		if err := tx.lock(ctx, "touched"); err != nil {
			return err
		}
		return tx.readAgain(ctx)
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
}

// TestAgainBesideAccept reads a mail again while a reporter is accepted: what reading holds before
// its last step does not keep the other from ending.
func TestAgainBesideAccept(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		if o.Driver == database.SQLite {
			t.Skip("SQLite has one writer at a time")
		}
		s, ctx := open(t, o), t.Context()
		at := time.Unix(1_700_000_000, 0).UTC()
		raw := bring(t, s, "one", "one.test", "192.0.2.1", at)
		bring(t, s, "two", "two.test", "192.0.2.1", at)
		done := make(chan error, 1)
		err := s.Again(ctx, raw, func(_ *Arrival, in *Ingest) error {
			go func() {
				_, err := s.Accept(ctx, "two.test", true)
				done <- err
			}()
			for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				if time.Now().After(limit) {
					return errors.New("the other neither waits nor ends")
				}
				select {
				case err := <-done:
					done <- err
					return storeOne(in, "one", "one.test", at)
				default:
				}
				waiting, err := waiters(ctx, s)
				if err != nil {
					return err
				}
				if waiting > 0 {
					return storeOne(in, "one", "one.test", at)
				}
			}
		})
		if err := errors.Join(err, <-done); err != nil {
			t.Error(err)
		}
	})
}
