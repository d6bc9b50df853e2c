package store

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
)

// putDelivery stores a report with one mail that is due.
func putDelivery(t *testing.T, s *Store, id string) OutDelivery {
	t.Helper()
	d := OutDelivery{Report: id, N: 1, Address: "d@friend.example", Host: "friend.example",
		State: Queued, Due: outNoon, Message: []byte("mail")}
	_, err := s.OutBuilt(t.Context(), OutPending{}, []OutReport{{ID: id, Day: Day(outNoon) - 1,
		Domain: "friend.example", State: Built, Built: outNoon, Deliveries: []OutDelivery{d}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOvertaken has a process that was stopped for longer than its claim go on: it may neither hand
// the mail over nor say what became of it, since another process has claimed it.
func TestOvertaken(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		d := putDelivery(t, s, "x")
		is := func(what string, want bool) func(bool, error) {
			return func(got bool, err error) {
				t.Helper()
				if err != nil || got != want {
					t.Fatalf("%s: %v, %v; want %v", what, got, err, want)
				}
			}
		}
		later := outNoon.Add(10 * time.Minute)
		is("the first claim", true)(s.OutClaim(t.Context(), d, later))
		slow := d
		slow.Tries++
		is("a claim of the same try", false)(s.OutClaim(t.Context(), d, later))
		due, err := s.OutDue(t.Context(), later, 10)
		if err != nil || len(due) != 1 || due[0].Tries != 1 {
			t.Fatalf("%+v, %v", due, err)
		}
		is("the claim of another process",
			true)(s.OutClaim(t.Context(), due[0], later.Add(time.Hour)))
		fast := due[0]
		fast.Tries++
		is("the slow one hands over", false)(s.OutTaking(t.Context(), slow, later))
		is("the slow one marks", false)(s.OutMark(t.Context(), slow, HandedOver, "", later, later))
		is("the other one hands over", true)(s.OutTaking(t.Context(), fast, later))
		is("again", false)(s.OutTaking(t.Context(), fast, later))
		is("the other one marks", true)(s.OutMark(t.Context(), fast, HandedOver, "", later, later))
	})
}

// TestDoubt holds that a mail whose process never said what became of it is in doubt once its claim
// is over, and is not due again.
func TestDoubt(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		d := putDelivery(t, s, "x")
		later := outNoon.Add(10 * time.Minute)
		if ours, err := s.OutClaim(t.Context(), d, later); err != nil || !ours {
			t.Fatal(ours, err)
		}
		d.Tries++
		if ours, err := s.OutTaking(t.Context(), d, outNoon); err != nil || !ours {
			t.Fatal(ours, err)
		}
		for _, tc := range []struct {
			at   time.Time
			want int64
		}{{later.Add(-time.Second), 0}, {later, 1}, {later, 0}} {
			if n, err := s.OutDoubt(t.Context(), tc.at); err != nil || n != tc.want {
				t.Errorf("%s: %d, %v; want %d", tc.at, n, err, tc.want)
			}
		}
		due, err := s.OutDue(t.Context(), later.AddDate(0, 0, 1), 10)
		list, err2 := s.OutReports(t.Context(), "", "x", 1)
		if err != nil || err2 != nil || len(due) > 0 || list[0].Deliveries[0].State != InDoubt {
			t.Errorf("%d due, %+v, %v, %v", len(due), list, err, err2)
		}
	})
}

// TestFailureDoubt holds that a failure report in doubt, of which nothing is left, is not said to
// be one that can be sent again.
func TestFailureDoubt(t *testing.T) {
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	_, err := s.db.ExecContext(t.Context(), `INSERT INTO out_failure
		(id, hash, hour, domain, address, host, near, incidents, first, sample, state, reason, tries, due, changed)
		VALUES ('x', 'x', 0, 'a.example', 'a@a.example', 'a.example', 1, 1, 0, '', 'handing over', '', 1, 0, 0)`)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.OutDoubt(t.Context(), outNoon)
	list, err2 := s.OutFailures(t.Context(), "", 10)
	if err != nil || err2 != nil || n != 1 || list[0].State != InDoubt || list[0].Reason == "" ||
		strings.Contains(list[0].Reason, "resend") {
		t.Errorf("%d, %+v, %v, %v", n, list, err, err2)
	}
}

// foldOut folds a message as a segment.
func foldOut(t *testing.T, s *Store, segment string, e *report.Evaluation) {
	t.Helper()
	b := NewOutBatch()
	b.Add(e)
	if isNew, err := s.Fold(t.Context(), []string{segment}, b, outNoon); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	putTogether(t, s, outNoon)
}

// putTogether puts the rows of days up to one together, as hosts that share a store do.
func putTogether(t *testing.T, s *Store, day time.Time) {
	t.Helper()
	for isOne := s.IsShared(); isOne; {
		var err error
		if isOne, err = s.Collect(t.Context(), Day(day), "test", day); err != nil {
			t.Fatal(err)
		}
	}
}

// mustPending lists what is counted and not reported yet.
func mustPending(t *testing.T, s *Store) []OutPending {
	t.Helper()
	list, err := s.OutPending(t.Context(), Day(outNoon), "")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestBuiltOnce holds that rows that come while a report is made of a policy are not lost, and that
// two processes do not make two reports of the same rows.
func TestBuiltOnce(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		foldOut(t, s, "1", outMail("a.example", outNoon, "192.0.2.1", true))
		list := mustPending(t, s)
		made := func(id string) []OutReport {
			return []OutReport{{ID: id, Day: Day(outNoon), Domain: "a.example", State: Built,
				Built: outNoon}}
		}
		foldOut(t, s, "2", outMail("a.example", outNoon, "192.0.2.1", true))
		for _, tc := range []struct {
			name string
			of   OutPending
			want bool
		}{
			{"as it was before more came", list[0], false},
			{"as it is", mustPending(t, s)[0], true},
			{"again", OutPending{ID: list[0].ID, Messages: 2}, false},
		} {
			isBuilt, err := s.OutBuilt(t.Context(), tc.of, made(tc.name))
			if err != nil || isBuilt != tc.want {
				t.Errorf("%s: built %v, %v", tc.name, isBuilt, err)
			}
		}
		reports, err := s.OutReports(t.Context(), "", "", 10)
		if err != nil || len(reports) != 1 || reports[0].ID != "as it is" ||
			len(mustPending(t, s)) > 0 {
			t.Errorf("%+v, %v", reports, err)
		}
	})
}
