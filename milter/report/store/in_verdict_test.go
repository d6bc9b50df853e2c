package store

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// TestVerdicts judges, judges otherwise, and undoes both: each undo brings the verdict before back.
func TestVerdicts(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, now := open(t, o), time.Unix(1_700_000_000, 0).UTC()
		ip := netip.MustParseAddr("192.0.2.7")
		holds := func(domain string) (class string, id int64) {
			t.Helper()
			list, err := s.Verdicts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list {
				if v.Matches(domain, ip) {
					return v.Class, v.ID
				}
			}
			return "", 0
		}
		for i, class := range []string{"ours", "ours", "scanner"} {
			v := Verdict{Domain: "a.example", Subject: "relay.example", Addresses: []netip.Addr{ip},
				Class: class, By: "anna",
				At: now.Add(time.Duration(i) * time.Second)}
			if err := s.Judge(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		class, id := holds("a.example")
		if class != "scanner" {
			t.Errorf("class %q, want scanner", class)
		}
		if other, _ := holds("b.example"); other != "" {
			t.Errorf("another domain: class %q", other)
		}
		list, err := s.Verdicts(t.Context())
		if err != nil || len(list) != 2 || list[0].Was != "ours" || list[0].By != "anna" {
			t.Errorf("verdicts %+v, %v; want two, the newest in place of ours", list, err)
		}
		for _, want := range []string{"ours", ""} {
			if err := s.Undo(t.Context(), id, "ben", now); err != nil {
				t.Fatal(err)
			}
			if err := s.Undo(t.Context(), id, "ben", now); !errors.Is(err, ErrNoVerdict) {
				t.Errorf("undone twice: %v", err)
			}
			class, id = holds("a.example")
			if class != want {
				t.Errorf("after undo: class %q, want %q", class, want)
			}
		}
		err = s.Judge(t.Context(), Verdict{Subject: "192.0.2.0/24", Class: "not ours", By: "anna",
			At: now})
		if class, _ := holds("b.example"); err != nil || class != "not ours" {
			t.Errorf("network for all domains: class %q, %v", class, err)
		}
	})
}

// TestAcceptsSPF holds that the acceptance of mail that passes by SPF alone stands beside the
// verdict on the class, gives no class, and is taken back alone.
func TestAcceptsSPF(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, now := open(t, o), time.Unix(1_700_000_000, 0).UTC()
		ip := netip.MustParseAddr("192.0.2.7")
		say := func(class string) {
			t.Helper()
			v := Verdict{Domain: "a.example", Subject: "192.0.2.7", Class: class, By: "anna",
				At: now}
			if err := s.Judge(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		for _, class := range []string{"ours", AcceptsSPF, AcceptsSPF, "ours", "service"} {
			say(class)
		}
		list, err := s.Verdicts(t.Context())
		if err != nil || len(list) != 3 {
			t.Fatalf("verdicts %+v, %v; want three", list, err)
		}
		was := map[string]string{}
		for i := range list {
			was[list[i].Class] = list[i].Was
			got, want := list[i].Matches("a.example", ip), list[i].Class != AcceptsSPF
			if got != want {
				t.Errorf("%s gives a class: %v, want %v", list[i].Class, got, want)
			}
		}
		if was["service"] != "ours" || was[AcceptsSPF] != "" {
			t.Errorf("verdicts before: %v", was)
		}
	})
}
