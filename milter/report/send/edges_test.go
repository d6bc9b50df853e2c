package send

import (
	"context"
	"fmt"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// due makes n domains whose reports are due at once, and returns when they are.
func due(t *testing.T, s *site, n int) time.Time {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("d%d.example", i)
		s.friend(t, name, day0)
		s.mail(t, name, "mailto:r@"+name, "192.0.2.1", day0, true, 1)
	}
	morning := store.DayStart(store.Day(day0) + 1).Add(8 * time.Hour)
	if err := s.Build(t.Context(), store.Day(day0), morning); err != nil {
		t.Fatal(err)
	}
	return morning
}

// TestHourIsBounded holds that an hour has no more mails than reports.per_hour, in however many
// rounds they are sent.
func TestHourIsBounded(t *testing.T) {
	s := newSite(t, friendZone)
	s.Rules.PerHour = 2
	now := due(t, s, 5)
	for i, want := range []int{2, 2, 2, 4, 4, 4, 5} {
		at := now.Add(time.Duration(i) * 21 * time.Minute)
		if err := s.Deliver(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if got := len(s.tr.sent); got != want {
			t.Errorf("after %s: %d mails, want %d", at.Sub(now), got, want)
		}
	}
}

// TestProviderHidesNoOthers holds that more mails for one provider than an hour has do not keep
// those for others waiting.
func TestProviderHidesNoOthers(t *testing.T) {
	const domains = 100
	last, zone := 0, friendZone
	for n := range domains {
		if store.Slot(fmt.Sprintf("d%d.example", n), store.Day(day0)).After(
			store.Slot(fmt.Sprintf("d%d.example", last), store.Day(day0))) {
			last = n
		}
	}
	for n := range domains {
		if n != last {
			zone += fmt.Sprintf("d%d.example. IN MX 10 mx%d.provider.example.\n", n, n)
		}
	}
	s := newSite(t, zone)
	s.Rules.PerHour = 40
	now := due(t, s, domains)
	for minute := range 3 {
		if err := s.Deliver(t.Context(),
			now.Add(time.Duration(minute)*61*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range s.tr.sent {
		if m.to == fmt.Sprintf("r@d%d.example", last) {
			return
		}
	}
	t.Errorf("after 3 minutes the mail for another host is not among the %d that were sent",
		len(s.tr.sent))
}

// claiming is a Transport during whose first mail another process claims all others.
type claiming struct {
	*transport
	claim func()
}

func (c *claiming) HandOver(ctx context.Context, from, to string, message []byte,
	taking func() error) error {
	if c.claim != nil {
		c.claim()
		c.claim = nil
	}
	return c.transport.HandOver(ctx, from, to, message, taking)
}

// TestClaimedByOthers holds that a mail which another process has claimed meanwhile is left to it.
func TestClaimedByOthers(t *testing.T) {
	s := newSite(t, friendZone)
	now := due(t, s, 3)
	list, err := s.Store.OutDue(t.Context(), now, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d mails are due, %v", len(list), err)
	}
	s.Transport = &claiming{s.tr, func() {
		for _, d := range list[1:] {
			if ours, err := s.Store.OutClaim(t.Context(), d, now.Add(time.Hour)); err != nil ||
				!ours {
				t.Errorf("the other process cannot claim %s: %v, %v", d.Address, ours, err)
			}
		}
	}}
	if err := s.Deliver(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if len(s.tr.sent) != 1 || s.tr.sent[0].to != list[0].Address {
		t.Errorf("handed over: %v, want %s alone", s.tr.sent, list[0].Address)
	}
	for _, r := range s.reports(t) {
		d := r.Deliveries[0]
		if d.Address != list[0].Address && (d.State != store.Queued || d.Tries != 1) {
			t.Errorf("%s: %s after %d tries, want that of the other process", d.Address, d.State,
				d.Tries)
		}
	}
}

// TestParentOfAnother holds that a host above a domain is asked for its consent where both are of
// different organizations, as customers of one provider are.
func TestParentOfAnother(t *testing.T) {
	s := newSite(t, `
_dmarc.provider.example. IN TXT "v=DMARC1; p=none; psd=y"
_dmarc.a.provider.example. IN TXT "v=DMARC1; p=none"
_dmarc.org.example. IN TXT "v=DMARC1; p=none"
_dmarc.a.org.example. IN TXT "v=DMARC1; p=none"
`)
	for _, tc := range []struct {
		domain, to string
		refused    bool
	}{
		{"a.org.example", "x@org.example", false},
		{"a.provider.example", "x@a.provider.example", false},
		{"a.provider.example", "x@provider.example", true},
	} {
		to := report.Addresses([]string{"mailto:" + tc.to})[0]
		_, refused, err := s.Authorizer.Authorize(t.Context(), tc.domain, to)
		if err != nil || (refused != "") != tc.refused {
			t.Errorf("%s to %s: %q, %v; refused, want %v", tc.domain, tc.to, refused, err,
				tc.refused)
		}
	}
}
