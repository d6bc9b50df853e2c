package reporting

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/store"
)

// standingClock does not wait: it is moved on by what would be waited.
type standingClock struct{ now time.Time }

func (c *standingClock) Now() time.Time { return c.now }
func (c *standingClock) Wait(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

const cleanZone = `
example.com.        3600 IN NS ns.example.com.
ns.example.com.     3600 IN A 192.0.2.53
example.com.        3600 IN MX 10 mx.example.com.
mx.example.com.     3600 IN A 192.0.2.1
example.com.        3600 IN TXT "v=spf1 mx -all"
_dmarc.example.com. 3600 IN TXT "v=DMARC1; p=quarantine"
`

func zoneOf(t *testing.T, text string) *dnstest.Zone {
	t.Helper()
	z, err := dnstest.Load(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// newHistory makes a role with the domains that are named.
func newHistory(t *testing.T, names ...string) (*history, *standingClock) {
	t.Helper()
	clock := &standingClock{time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}
	cfg := &config.Config{}
	cfg.Reports.Store = "sqlite:" + filepath.Join(t.TempDir(), "r.db")
	cfg.Reports.DNSEvery = 6 * time.Hour
	cfg.Reports.Intake.Domains = names
	cfg.Reports.Alerts.To, cfg.Reports.Alerts.QuietDays = []string{"postmaster@example.net"}, 7
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: clock.Now}
	s, err := p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &history{Process: p, store: s, clock: clock}, clock
}

// TestDNSHistory follows a domain over a day: the first look is no change, a record that changes is one change and one
// alert, a DNS that does not answer is none, and a mistake that stays is one alert.
func TestDNSHistory(t *testing.T) {
	h, clock := newHistory(t, "example.com")
	broken := strings.Replace(cleanZone, "v=spf1 mx -all", "v=spf1 mx ip4: -all", 1)
	for i, c := range []struct{ zone, changes, alerts string }{
		{cleanZone, "", ""},
		{cleanZone, "", ""},
		{strings.Replace(cleanZone, "p=quarantine", "p=none", 1), "TXT _dmarc.example.com;", "dns-changed TXT _dmarc.example.com = v=DMARC1; p=none;"},
		{"$SERVFAIL example.com.\n$SERVFAIL _dmarc.example.com.\n", "TXT _dmarc.example.com;", "dns-changed TXT _dmarc.example.com = v=DMARC1; p=none;"},
		{broken, "TXT example.com;TXT _dmarc.example.com;TXT _dmarc.example.com;", ""},
		{broken, "TXT example.com;TXT _dmarc.example.com;TXT _dmarc.example.com;", ""},
	} {
		h.resolver = zoneOf(t, c.zone)
		if err := h.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := h.store.DNSChanges(t.Context(), "", time.Time{}, 99)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range list {
			got += x.Kind + " " + x.Name + ";"
		}
		if len(got) != len(c.changes) {
			t.Errorf("round %d: changes %q, want %q", i, got, c.changes)
		}
		alerts, err := h.store.Alerts(t.Context(), false, 99)
		if err != nil {
			t.Fatal(err)
		}
		got = ""
		for _, a := range alerts {
			got += a.Code + " " + a.Subject + ";"
		}
		if c.alerts != "" && got != c.alerts {
			t.Errorf("round %d: alerts %q, want %q", i, got, c.alerts)
		}
		if i >= 4 && strings.Count(got, "dns-mistake") == 0 || strings.Count(got, "dns-mistake spf-") > 1 {
			t.Errorf("round %d: alerts %q", i, got)
		}
		clock.now = clock.now.Add(6 * time.Hour)
	}
	var out bytes.Buffer
	o := &Out{Config: h.Config, Now: clock.now, Output: &out}
	if err := o.History(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TXT example.com", "was: v=spf1 mx -all", "is:  v=spf1 mx ip4: -all", "2026-11-30 20:0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}

// TestDNSRoundsAreSpread holds that many domains are checked once in a period each, a few at a time, and at no more than
// five questions a second.
func TestDNSRoundsAreSpread(t *testing.T) {
	var names []string
	for i := range 400 {
		names = append(names, fmt.Sprintf("d%d.example", i))
	}
	h, clock := newHistory(t, names...)
	h.resolver = zoneOf(t, "$ORIGIN .\nexample. 60 IN A 192.0.2.1\n")
	began, most := clock.now, 0
	checked := func() (n int) {
		for _, name := range names {
			_ = name
		}
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM dns_domain").Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := 0
	for clock.now.Sub(began) < 6*time.Hour {
		start := clock.now
		if err := h.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := checked()
		most, before = max(most, now-before), now
		clock.now = start.Add(max(clock.now.Sub(start), roundEvery))
	}
	if before != len(names) || most > 2 {
		t.Errorf("%d of %d domains in six hours, %d in a round", before, len(names), most)
	}
}

// TestDNSRoleIsOff holds that without domains, or with an interval of 0, nothing is asked.
func TestDNSRoleIsOff(t *testing.T) {
	for name, cfg := range map[string]*config.Config{
		"no domains":   {Reports: config.Reports{DNSEvery: time.Hour}},
		"switched off": {Keys: map[string]config.Key{"k": {Domain: "example.com"}}},
	} {
		part, err := dnsRole().Build(t.Context(), &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil || part.Jobs != nil {
			t.Errorf("%s: %+v, %v", name, part, err)
		}
	}
}
