package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"mailseal/milter/report"
)

var outNoon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func openOut(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// outMail is a message of a stranger.
func outMail(domain string, at time.Time, client string, passes bool) *report.Evaluation {
	return &report.Evaluation{
		Time: at, Client: netip.MustParseAddr(client), SPF: passes, Disposition: "none",
		HeaderFrom: domain, EnvelopeFrom: domain,
		Policy: report.Policy{
			Domain: domain, Text: "v=DMARC1; p=none", P: "none", SP: "none", NP: "none", ADKIM: "r", ASPF: "r",
			Discovery: "treewalk", URIs: []string{"mailto:d@" + domain},
		},
	}
}

// TestFoldOnce holds that sums are exact and that a segment counts once, however often it is
// folded.
func TestFoldOnce(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		r := rand.New(rand.NewPCG(1, 1))
		for n := range 20 {
			b := NewOutBatch()
			for range 500 {
				domain := fmt.Sprintf("d%d.example", r.IntN(7))
				b.Add(outMail(domain, outNoon, fmt.Sprintf("192.0.2.%d", r.IntN(50)),
					r.IntN(2) == 0))
			}
			for range 2 {
				if _, err := s.Fold(t.Context(), []string{fmt.Sprint("segment", n)}, b,
					outNoon); err != nil {
					t.Fatal(err)
				}
			}
		}
		putTogether(t, s, outNoon)
		list, err := s.OutPending(t.Context(), Day(outNoon), "")
		if err != nil || len(list) != 7 {
			t.Fatalf("%d policies, %v", len(list), err)
		}
		var sum int64
		for _, p := range list {
			rows, err := s.OutRows(t.Context(), p)
			if err != nil || int64(len(rows)) != p.Rows || p.Rows > 100 {
				t.Fatalf("%d rows of %d, %v", len(rows), p.Rows, err)
			}
			for _, r := range rows {
				if r.Count < 1 {
					t.Errorf("count %d", r.Count)
				}
				sum += r.Count
			}
		}
		if sum != 10_000 {
			t.Errorf("%d messages, want 10000", sum)
		}
	})
}

// TestPolicyChange holds that a policy that changes at noon makes two reports, and that From below
// it shares one.
func TestPolicyChange(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		b := NewOutBatch()
		below := outMail("a.example", outNoon, "192.0.2.1", true)
		below.HeaderFrom = "x.a.example"
		changed := outMail("a.example", outNoon, "192.0.2.1", true)
		changed.Policy.Text = "v=DMARC1; p=reject"
		for _, e := range []*report.Evaluation{outMail("a.example", outNoon, "192.0.2.1", true),
			below, changed} {
			b.Add(e)
		}
		if _, err := s.Fold(t.Context(), []string{"s"}, b, outNoon); err != nil {
			t.Fatal(err)
		}
		list, err := s.OutPending(t.Context(), Day(outNoon), "a.example")
		if err != nil || len(list) != 2 || list[0].Rows+list[1].Rows != 3 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestHostileRows is a flood in which every message has names of its own: few rows are left, and no
// message is lost.
func TestHostileRows(t *testing.T) {
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	total := flood(t, s, 60_000)
	list, err := s.OutPending(t.Context(), Day(outNoon), "")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list[0]; p.Messages != total || p.Rows > report.MaxRows || p.Folded == 0 {
		t.Errorf("%d messages of %d, %d rows, %d folded", p.Messages, total, p.Rows, p.Folded)
	}
}

// flood folds n messages from 1,000 clients with random names, and returns n.
func flood(t *testing.T, s *Store, n int) int64 {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	for segment := 0; n > 0; segment++ {
		b := NewOutBatch()
		size := min(n, 20_000)
		for range size {
			e := outMail("victim.example", outNoon,
				fmt.Sprintf("198.51.%d.%d", r.IntN(4), r.IntN(250)), false)
			e.EnvelopeFrom = fmt.Sprintf("m%d.example", r.Uint64())
			e.HeaderFrom = fmt.Sprintf("h%d.victim.example", r.Uint64())
			e.Signatures = []report.DKIMAuth{{
				Domain:   fmt.Sprintf("d%d.example", r.Uint64()),
				Selector: fmt.Sprintf("s%d", r.Uint64()), Result: "fail",
			}}
			b.Add(e)
		}
		n -= size
		if _, err := s.Fold(t.Context(), []string{fmt.Sprint("flood", segment)}, b,
			outNoon); err != nil {
			t.Fatal(err)
		}
	}
	var sum int64
	list, err := s.OutPending(t.Context(), Day(outNoon), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		sum += p.Messages
	}
	return sum
}

// TestRelations holds what is remembered of a domain, and for how long.
func TestRelations(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		for n, days := range []int{0, 5, 14} {
			b := NewOutBatch()
			at := outNoon.AddDate(0, 0, days)
			b.Add(outMail("pass.example", at, "192.0.2.1", true))
			b.Add(outMail("fail.example", at, fmt.Sprintf("192.%d.2.1", n%2), false))
			b.Add(outMail("hoster.example", at, fmt.Sprintf("192.0.%d.1", n), false))
			b.Add(outMail("hoster6.example", at, fmt.Sprintf("2001:db8:%x::1", n), false))
			b.Wrote("Friend.example", outNoon)
			if _, err := s.Fold(t.Context(), []string{fmt.Sprint(n)}, b, at); err != nil {
				t.Fatal(err)
			}
			putTogether(t, s, at)
		}
		day := Day(outNoon) + 14
		for _, tc := range []struct {
			domain string
			day    int64
			want   Relation
		}{
			{"pass.example", day, Relation{PassDays: 3, PassSpan: 14}},
			{"fail.example", day, Relation{FailDays: 3, FailedNets: 2}},
			{"hoster.example", day, Relation{FailDays: 3, FailedNets: 1}},
			{"hoster6.example", day, Relation{FailDays: 3, FailedNets: 1}},
			{"friend.example", day, Relation{WroteTo: true}},
			{"friend.example", Day(outNoon) + Remembered + 1, Relation{}},
			{"pass.example", Day(outNoon) + Remembered + 1, Relation{PassDays: 2, PassSpan: 9}},
			{"stranger.example", day, Relation{}},
		} {
			got, err := s.OutRelation(t.Context(), tc.domain, tc.day)
			if err != nil || got != tc.want {
				t.Errorf("%s on day %d: got %+v, %v; want %+v", tc.domain, tc.day, got, err,
					tc.want)
			}
		}
		var names int
		err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM out_friend WHERE hash "+
			"LIKE '%friend%'").Scan(&names)
		if err != nil || names > 0 {
			t.Errorf("%d names of domains that users wrote to are in clear, %v", names, err)
		}
		if n, err := s.OutForget(t.Context(), "friend.example"); err != nil || n != 1 {
			t.Errorf("forgot %d, %v", n, err)
		}
		if got, err := s.OutRelation(t.Context(), "friend.example", day); err != nil ||
			got.WroteTo {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// outSent stores a report whose mail to an address was handed over.
func outSent(t *testing.T, s *Store, id, address string) {
	t.Helper()
	_, err := s.OutBuilt(t.Context(), OutPending{}, []OutReport{{
		ID: id, Domain: "a.example", State: Built, Built: outNoon,
		Deliveries: []OutDelivery{{
			N: 1, Address: address, Host: "a.example", State: HandedOver, Due: outNoon, Message: []byte("x"),
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSuppression holds that bounces keep reports away for 7, 30 and 180 days, and that the bounces
// of a day are one.
func TestSuppression(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		for i, days := range []int{7, 30, 180, 180} {
			now := outNoon.AddDate(0, 0, i)
			for _, part := range []string{"", "second"} {
				id := fmt.Sprintf("report%d%s", i, part)
				outSent(t, s, id, "D@a.example")
				for range 2 {
					got, err := s.OutBounced(t.Context(), id, 1, "550 no such user", now)
					if err != nil || got.Address != "" && got.Strikes != i+1 {
						t.Fatalf("%+v, %v", got, err)
					}
				}
			}
			list, err := s.OutSuppressions(t.Context(), "d@A.example", now)
			if err != nil || len(list) != 1 || !list[0].Until.Equal(now.AddDate(0, 0, days)) ||
				list[0].Strikes != i+1 {
				t.Errorf("day %d: %+v, %v", i+1, list, err)
			}
		}
		if was, err := s.OutRelease(t.Context(), "d@a.example"); err != nil || !was {
			t.Errorf("%v, %v", was, err)
		}
		if got, err := s.OutBounced(t.Context(), "unknown", 1, "x", outNoon); err != nil ||
			got.Address != "" {
			t.Errorf("%+v, %v", got, err)
		}
		outSent(t, s, "last", "d@a.example")
		long := Suppression{Address: "d@a.example", Until: outNoon.AddDate(1, 0, 0),
			Reason: "by mailseal reports suppress"}
		if err := s.OutSuppress(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		if got, err := s.OutBounced(t.Context(), "last", 1, "x", outNoon); err != nil ||
			!got.Until.Equal(long.Until) {
			t.Errorf("a bounce shortened what an operator wanted: %+v, %v", got, err)
		}
	})
}

// TestOutKey holds that a store keeps its key, and that another store has another.
func TestOutKey(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, other := openOut(t, o), openOut(t,
			Options{Driver: "sqlite", DSN: t.TempDir() + "/other.db"})
		first, err := s.OutKey(t.Context())
		again, err2 := s.OutKey(t.Context())
		others, err3 := other.OutKey(t.Context())
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		if len(first) < 32 || string(first) != string(again) || string(first) == string(others) {
			t.Errorf("keys %q, %q; of another store %q", first, again, others)
		}
	})
}

// TestPrune holds that what is too old goes.
func TestPrune(t *testing.T) {
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	b := NewOutBatch()
	b.Add(outMail("a.example", outNoon, "192.0.2.1", true))
	b.Wrote("b.example", outNoon)
	if _, err := s.Fold(t.Context(), []string{"s"}, b, outNoon); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		err := s.db.QueryRowContext(t.Context(),
			"SELECT (SELECT count(*) FROM out_friend) + (SELECT count(*) FROM out_relation) + "+
				"(SELECT count(*) FROM out_segment)").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, tc := range []struct{ days, spoolDays, want int }{
		{0, 7, 3}, {8, 7, 3}, {31, 30, 3}, {9, 7, 2}, {89, 7, 2}, {90, 7, 0},
	} {
		if err := s.OutPrune(t.Context(), outNoon.AddDate(0, 0, tc.days),
			tc.spoolDays); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != tc.want {
			t.Errorf("after %d days: %d entries, want %d", tc.days, got, tc.want)
		}
	}
}
