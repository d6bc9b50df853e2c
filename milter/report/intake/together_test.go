package intake

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys/database"
	"mailseal/milter/report/store"
)

// arrivals are mails with a report each, numbered from 1.
func arrivals(n int) (all []*store.Arrival) {
	for i := range n {
		name := fmt.Sprint(i + 1)
		all = append(all, &store.Arrival{Received: now, Name: name, Trust: store.ByHand,
			Data: xml(name)})
	}
	return all
}

// TestTakeAllApart takes several mails whose transaction fails: each is taken on its own then,
// until one fails again. What is in the store is what TakeAll returns, once.
func TestTakeAllApart(t *testing.T) {
	for _, tc := range []struct {
		name, trigger string
		taken         int
		fails         string
	}{
		// The sums of a transaction are written at its end: with more than one report that has none
		// yet, it is shared.
		{"only together", `CREATE TRIGGER t BEFORE INSERT ON in_day_reporter WHEN (SELECT COUNT(*) FROM in_report) * 7 >
			(SELECT COALESCE(SUM(messages), 0) FROM in_day_reporter) + 7 BEGIN
			SELECT RAISE(ABORT, 'too much'); END`, 5, ""},
		{"one of them", `CREATE TRIGGER t BEFORE INSERT ON in_raw WHEN NEW.name = '4' BEGIN
			SELECT RAISE(ABORT, 'too much'); END`, 3, "too much"},
		{"the first of them", `CREATE TRIGGER t BEFORE INSERT ON in_raw BEGIN SELECT RAISE(ABORT, 'too much'); END`,
			0, "too much"},
		{"none", "", 5, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := store.Open(t.Context(), store.Options{Driver: database.SQLite,
				DSN: filepath.Join(t.TempDir(), "r.db")})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if tc.trigger != "" {
				alter(t, s, tc.trigger)
			}
			i := &Intake{Store: s}
			if tc.name == "only together" {
				if _, err := i.takeTogether(t.Context(), arrivals(5)); err == nil ||
					total(t, s) != 0 {
					t.Fatalf("together: %v, %d messages; the trigger does nothing", err,
						total(t, s))
				}
			}
			out, err := i.TakeAll(t.Context(), arrivals(5))
			if got := fmt.Sprint(err); len(out) != tc.taken || (err == nil) != (tc.fails == "") ||
				!strings.Contains(got, tc.fails) {
				t.Errorf("%d were taken, %v; want %d, %q", len(out), err, tc.taken, tc.fails)
			}
			for n, taken := range out {
				if taken.Reports != 1 || taken.Known {
					t.Errorf("mail %d: %+v", n+1, taken)
				}
			}
			if got := total(t, s); got != int64(7*tc.taken) {
				t.Errorf("%d messages are counted, want %d", got, 7*tc.taken)
			}
			if tc.trigger == "" {
				return
			}
			alter(t, s, "DROP TRIGGER t")
			again, err := i.TakeAll(t.Context(), arrivals(5))
			if err != nil || len(again) != 5 || total(t, s) != 35 {
				t.Fatalf("given again: %d, %v, %d messages", len(again), err, total(t, s))
			}
			for n, taken := range again {
				if taken.Known != (n < tc.taken) {
					t.Errorf("given again, mail %d: %+v", n+1, taken)
				}
			}
		})
	}
}
