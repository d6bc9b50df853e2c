package store

import (
	"errors"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report"
)

// storeOne stores a report of one message.
func storeOne(in *Ingest, name, reporter string, at time.Time) error {
	_, err := in.Report(Head{Digest: name, Configured: true, Trust: Unaligned,
		Feedback: &report.Feedback{Metadata: report.Metadata{Org: reporter,
			Email: "dmarc@" + reporter, ReportID: name, Begin: at.Add(-48 * time.Hour),
			End: at.Add(-25 * time.Hour)},
			Policy: report.PolicyPublished{Domain: "shop.example", P: "none"},
			Rows:   1, Messages: 1}})
	if err != nil {
		return err
	}
	row := &report.Row{N: 1, Source: "192.0.2.1", Count: 1, Disposition: "none", DKIM: "pass",
		SPF: "pass", HeaderFrom: "shop.example"}
	return errors.Join(in.Row("shop.example", row), in.End(), in.Finish("aggregate", ""))
}

// TestAgainBesideAccept reads a mail again while a reporter is accepted: what reading holds before
// its last step does not keep the other from ending. The order of the last step's locks is that of
// trust; no test holds it.
func TestAgainBesideAccept(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		if o.Driver == database.SQLite {
			t.Skip("SQLite has one writer at a time")
		}
		s, ctx := open(t, o), t.Context()
		bring := func(name, reporter string) int64 {
			t.Helper()
			at := time.Unix(1_700_000_000, 0).UTC()
			var id int64
			_, err := s.Ingest(ctx, &Arrival{Received: at, Trust: Unaligned, Data: []byte(name)},
				func(in *Ingest) error {
					id = in.raw
					return storeOne(in, name, reporter, at)
				})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		raw := bring("one", "one.test")
		bring("two", "two.test")
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
					return storeOne(in, "one", "one.test", time.Unix(1_700_000_000, 0).UTC())
				default:
				}
				var waiting int
				err := s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity
					WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
				if err != nil {
					return err
				}
				if waiting > 0 {
					return storeOne(in, "one", "one.test", time.Unix(1_700_000_000, 0).UTC())
				}
			}
		})
		if err := errors.Join(err, <-done); err != nil {
			t.Error(err)
		}
	})
}
