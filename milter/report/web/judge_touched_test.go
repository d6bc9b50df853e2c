package web

import (
	"slices"
	"testing"
	"time"

	"mailseal/milter/report/store"
)

// TestOnlyTouchedAreJudged refuses a reporter, takes that back, and lets a new day come: of five
// domains only that on which the reporter reports is judged again, and for a new day no more than
// the time for it allows.
func TestOnlyTouchedAreJudged(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	arrive(t, read, "example.net", 700)
	err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO in_reporter (key, org, email, first_seen,
			last_seen) VALUES ('only.test', '', '', 0, 0)`)
		if err == nil {
			_, err = tx.ExecContext(t.Context(), `UPDATE in_report SET reporter =
				(SELECT id FROM in_reporter WHERE key = 'only.test')
				WHERE id = (SELECT MAX(id) FROM in_report)`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, read, clockNow)
	before := keptOf(t, read, "example.net").Grounds.Messages
	hours := 0
	now := func() time.Time { return clock.Add(time.Duration(hours) * time.Hour) }
	for _, do := range []func() (int, error){
		func() (int, error) { return read.Store.Refuse(t.Context(), "only.test") },
		func() (int, error) { return read.Store.Accept(t.Context(), "only.test", true) },
	} {
		hours++
		mark, err := read.Changed(t.Context(), Mark{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := do(); err != nil || n != 1 {
			t.Fatalf("%d reports changed, %v; want 1", n, err)
		}
		c, err := read.Changed(t.Context(), mark.Mark)
		if err != nil || c.All || c.Sums || !slices.Equal(c.Domains, []string{"example.net"}) {
			t.Errorf("changed: %+v, %v", c, err)
		}
		if n := judge(t, read, now); n != 1 {
			t.Errorf("%d domains were judged, want 1", n)
		}
		after := keptOf(t, read, "example.net").Grounds.Messages
		if want := before - 700*int64(hours%2); after != want {
			t.Errorf("example.net has %d messages, want %d", after, want)
		}
	}
	hours = 23
	j := &Judge{Read: read, Now: now, aged: time.Nanosecond}
	for want := 5; want > 0; want-- {
		n, err := j.Run(t.Context())
		if err != nil || n != 1 {
			t.Fatalf("a new day: %d domains in one run, %v; want 1", n, err)
		}
		left := 0
		kept, err := read.DomainStates(t.Context(), 0)
		for _, x := range kept.Domains {
			if x.Day == today {
				left++
			}
		}
		if err != nil || left != want-n {
			t.Fatalf("%d domains are as on the day before, %v; want %d", left, err, want-n)
		}
	}
}
