package web

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"mailseal/milter/report/store"
)

// asked is a Reader that counts how often reasons are read.
type asked struct {
	Reader
	reasons *int
}

func (a asked) Reasons(ctx context.Context, f Filter) ([]Sum, error) {
	*a.reasons++
	return a.Reader.Reasons(ctx, f)
}

// TestReasonsAreKept holds that the reasons of receivers are read once for pages of the same domain
// or source, and period.
func TestReasonsAreKept(t *testing.T) {
	n := 0
	s := newServer(t, asked{world(), &n}, nil)
	for _, step := range []struct {
		path string
		want int
	}{
		{"/d/shop.example", 1},
		{"/d/shop.example", 1},
		{"/d/shop.example/s/forgeries", 2},
		{"/d/shop.example/s/forgeries", 2},
		{"/d/shop.example?receiver=google.com", 3},
		{"/d/example.net", 4},
		{"/d/shop.example", 4},
	} {
		if w := get(s, step.path); w.Code != 200 {
			t.Fatalf("%s: status %d", step.path, w.Code)
		}
		if n != step.want {
			t.Errorf("after %s: %d, want %d", step.path, n, step.want)
		}
	}
	for _, f := range []Filter{{Domains: []string{}}, {From: today - 90, To: today}} {
		x, largest := &facts{}, 0
		for i := range 3 * maxKeptReasons {
			list, err := s.reasons(t.Context(), x, fmt.Sprint(i), f)
			if err != nil {
				t.Fatal(err)
			}
			kept := 0
			for _, one := range x.reasons.of {
				kept += len(one) + 1
			}
			largest = max(largest, len(list))
			if kept > maxKeptReasons {
				t.Fatalf("%d sums and lists are kept", kept)
			}
			if i > maxKeptReasons+1 && largest > 0 {
				break
			}
		}
		if (largest > 1) != (f.Domains == nil) {
			t.Errorf("%+v: the lists have %d sums", f, largest)
		}
	}
}

// TestReasonsAddUp holds that comments do not keep reasons apart, and that words that a reporter
// invents have a bound.
func TestReasonsAddUp(t *testing.T) {
	read := stored(t, &Memory{DomainList: []Domain{{Name: "shop.example"}},
		ReportList: []Report{{ID: 1, Domain: "shop.example", Receiver: "google.com"}},
		RecordList: []Record{{Report: 1, N: 1, Day: today - 3, Domain: "shop.example",
			From: "shop.example", Receiver: "google.com", Count: 1, DKIM: "fail", SPF: "fail", Disposition: "none",
			Reasons: []Reason{{"other", "c0"}}}}})
	err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i := 1; i < 5; i++ {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO in_record (report, n, domain, day,
				source, header_from, envelope_from, authset, outcome, messages, facts)
				SELECT report, n + CAST($2 AS INT), domain, day, source, header_from, envelope_from, authset, outcome,
				messages, REPLACE(facts, 'c0', $1) FROM in_record WHERE facts LIKE '%c0%'`,
				fmt.Sprint("c", i), i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := read.Reasons(t.Context(), Filter{})
	if err != nil || len(got) != 1 || got[0].Reason != "other" || got[0].Messages != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	m := reasonTally{}
	for i := range 2 * maxReasonSums {
		m.add(1, []Reason{{Type: fmt.Sprint(i)}, {Type: fmt.Sprint(i)}}, Counts{Messages: 1})
	}
	want := &Counts{Messages: maxReasonSums}
	if len(m) != maxReasonSums+1 || !reflect.DeepEqual(m[reasonKey{1, "other"}], want) {
		t.Errorf("%d sums, %+v of others", len(m), m[reasonKey{1, "other"}])
	}
}
