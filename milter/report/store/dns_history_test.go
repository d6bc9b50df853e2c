package store

import (
	"fmt"
	"testing"
	"time"
)

// TestDNSHistory holds what counts as a change: not the first answers, not another order, not a
// name that was not asked.
func TestDNSHistory(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		now := time.Unix(1_780_000_000, 0).UTC()
		if name, err := s.ClaimDomain(ctx, []string{"a.example"}, now.Add(-time.Hour),
			now); err != nil || name != "a.example" {
			t.Fatal(name, err)
		}
		spf := func(values ...string) DNSRecord { return DNSRecord{"a.example", "TXT", values} }
		dmarc := func(values ...string) DNSRecord {
			return DNSRecord{"_dmarc.a.example", "TXT", values}
		}
		for i, c := range []struct {
			records []DNSRecord
			want    string
		}{
			{[]DNSRecord{spf("x", "v=spf1 -all"), dmarc()}, "[]"},
			{[]DNSRecord{spf("v=spf1 -all", "x"), dmarc()}, "[]"},
			{[]DNSRecord{dmarc("v=DMARC1; p=none")}, "[_dmarc.a.example [] -> [v=DMARC1; p=none]]"},
			{[]DNSRecord{spf("x"), dmarc("v=DMARC1; p=none")}, "[a.example [v=spf1 -all x] -> [x]]"},
			{[]DNSRecord{spf("x"), dmarc()}, "[_dmarc.a.example [v=DMARC1; p=none] -> []]"},
			{[]DNSRecord{spf("x"), dmarc()}, "[]"},
			// a key that is asked for now
			{[]DNSRecord{{"s1._domainkey.a.example", "TXT", []string{"p=x"}}}, "[]"},
			{[]DNSRecord{{"s1._domainkey.a.example", "TXT", nil}}, "[s1._domainkey.a.example [p=x] -> []]"},
		} {
			got := []string{}
			list, err := s.CompareDNS(ctx, "a.example", c.records,
				now.Add(time.Duration(i)*time.Hour))
			for _, x := range list {
				got = append(got, fmt.Sprintf("%s %v -> %v", x.Name, x.Before, x.Now))
			}
			if err != nil || fmt.Sprint(got) != c.want {
				t.Errorf("check %d: %v, want %s (%v)", i, got, c.want, err)
			}
		}
		list, err := s.DNSChanges(ctx, "a.example", now, 2)
		if err != nil || len(list) != 2 || list[1].Name != "_dmarc.a.example" ||
			!list[1].At.Equal(now.Add(4*time.Hour)) {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := s.DNSChanges(ctx, "b.example", now, 2); err != nil || len(list) != 0 {
			t.Errorf("of another domain: %+v, %v", list, err)
		}
		if err := s.ExpireDNS(ctx, now.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if list, err := s.DNSChanges(ctx, "", time.Time{}, 9); err != nil || len(list) != 0 {
			t.Errorf("expired: %+v, %v", list, err)
		}
	})
}

// TestClaimDomain holds that each domain is checked once in a period, the one first that waits
// longest, by one process.
func TestClaimDomain(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		names := []string{"a.example", "b.example", "c.example"}
		now := time.Unix(1_780_000_000, 0)
		claim := func() string {
			name, err := s.ClaimDomain(ctx, names, now.Add(-6*time.Hour), now)
			if err != nil {
				t.Fatal(err)
			}
			return name
		}
		got := ""
		for range 4 {
			got += claim() + " "
			now = now.Add(time.Minute)
		}
		now = now.Add(6*time.Hour - 3*time.Minute)
		got += claim() + " " + claim()
		if want := "a.example b.example c.example  a.example b.example"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if name, err := s.ClaimDomain(ctx, nil, now, now); err != nil || name != "" {
			t.Errorf("of none: %q, %v", name, err)
		}
	})
}

// TestDNSHistoryIsBounded holds that a domain's owner does not fill the store.
func TestDNSHistoryIsBounded(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		now := time.Unix(1_780_000_000, 0)
		if _, err := s.ClaimDomain(ctx, []string{"a.example"}, now, now); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			var list []DNSRecord
			for n := range 2 * maxDNSRecords {
				list = append(list, DNSRecord{fmt.Sprintf("n%d.a.example", n), "TXT",
					[]string{fmt.Sprint(i)}})
			}
			list = append(list, DNSRecord{"a.example", "TXT",
				[]string{string(make([]byte, 2*maxDNSContent))}})
			if _, err := s.CompareDNS(ctx, "a.example", list,
				now.Add(time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.DNSChanges(ctx, "", time.Time{}, 10*maxDNSChanges)
		if err != nil || len(list) != maxDNSChanges || list[0].Now[0] != "3" {
			t.Errorf("%d changes, %v", len(list), err)
		}
	})
}

// TestDNSNothingMakesRoom holds that names that hold nothing, which reports can make up, do not
// keep others from being followed: not when they are many, and not when they are old; names that
// are still asked for stay.
func TestDNSNothingMakesRoom(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		now := time.Unix(1_780_000_000, 0)
		if _, err := s.ClaimDomain(ctx, []string{"a.example"}, now, now); err != nil {
			t.Fatal(err)
		}
		compare := func(records ...DNSRecord) int {
			list, err := s.CompareDNS(ctx, "a.example", records, now)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		count := func() (n int) {
			err := s.View(ctx, func(tx *Tx) error {
				rows, err := tx.dnsRecords(ctx, "a.example")
				n = len(rows)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		own := DNSRecord{"_dmarc.a.example", "TXT", nil}
		full := DNSRecord{"old._domainkey.a.example", "TXT", []string{"p=x"}}
		compare(own, full)
		for i := range maxDNSRecords {
			now = now.Add(time.Minute)
			compare(own, DNSRecord{fmt.Sprintf("made-up-%d._domainkey.a.example", i), "TXT", nil})
		}
		fresh := DNSRecord{"new._domainkey.a.example", "TXT", []string{"p=y"}}
		compare(own, fresh)
		if n := count(); n != maxDNSRecords {
			t.Errorf("%d names are kept, want %d", n, maxDNSRecords)
		}
		fresh.Values = nil
		if n := compare(own, fresh); n != 1 {
			t.Errorf("%d changes of a new name among many that hold nothing, want 1", n)
		}
		now = now.Add(nothingKept + time.Hour)
		compare(own, fresh)
		if n := count(); n != 3 {
			t.Errorf("%d names are kept a month later, want the two that are asked for, and the one with a record", n)
		}
		own.Values = []string{"v=DMARC1; p=none"}
		if n := compare(own, fresh); n != 1 {
			t.Errorf("%d changes of a name that held nothing for a month and is asked for, want 1",
				n)
		}
	})
}
