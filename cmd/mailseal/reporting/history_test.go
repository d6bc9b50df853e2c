package reporting

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// manualClock does not wait: it is moved on by what would be waited.
type manualClock struct{ now time.Time }

func (c *manualClock) Now() time.Time { return c.now }
func (c *manualClock) Wait(_ context.Context, d time.Duration) error {
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
func newHistory(t *testing.T, names ...string) (*history, *manualClock) {
	t.Helper()
	clock := &manualClock{time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}
	cfg := &config.Config{}
	cfg.Reports.Store = "sqlite:" + storetest.SQLite(t)
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

// TestDNSHistory follows a domain over a day: the first look is no change, a record that changes is
// one change and one alert, a DNS that does not answer is none, and a mistake that stays is one
// alert.
func TestDNSHistory(t *testing.T) {
	h, clock := newHistory(t, "example.com")
	broken := strings.Replace(cleanZone, "v=spf1 mx -all", "v=spf1 mx ip4: -all", 1)
	for i, c := range []struct{ zone, changes, alerts string }{
		{cleanZone, "", ""},
		{cleanZone, "", ""},
		{strings.Replace(cleanZone, "p=quarantine", "p=none", 1), "TXT _dmarc.example.com;",
			"dns-changed TXT _dmarc.example.com = v=DMARC1; p=none;"},
		{"$SERVFAIL example.com.\n$SERVFAIL _dmarc.example.com.\n", "TXT _dmarc.example.com;",
			"dns-changed TXT _dmarc.example.com = v=DMARC1; p=none;"},
		{broken, "TXT example.com;TXT _dmarc.example.com;TXT _dmarc.example.com;", ""},
		{broken, "TXT example.com;TXT _dmarc.example.com;TXT _dmarc.example.com;", ""},
		{strings.Replace(broken, "_dmarc.example.com. 3600", "other.example.com. 3600", 1),
			"TXT _dmarc.example.com;TXT example.com;TXT _dmarc.example.com;TXT _dmarc.example.com;",
			""},
	} {
		h.resolver, h.cache = zoneOf(t, c.zone), nil
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
		if i >= 4 && strings.Count(got, "dns-mistake") == 0 ||
			strings.Count(got, "dns-mistake spf-") > 1 {
			t.Errorf("round %d: alerts %q", i, got)
		}
		clock.now = clock.now.Add(6 * time.Hour)
	}
	var out bytes.Buffer
	o := &Out{Config: h.Config, Now: clock.now, Output: &out}
	if err := o.History(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TXT example.com", "was: v=spf1 mx -all",
		"is:  v=spf1 mx ip4: -all", "2026-11-30 20:0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}

// TestDNSRoundsAreSpread holds that many domains are checked once in a period each, a few at a
// time, and at no more than five questions a second.
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

// dnsCount counts the questions of each second.
type dnsCount struct {
	dns.Resolver
	clock   *manualClock
	seconds map[int64]int
	total   int
}

func (c *dnsCount) Lookup(ctx context.Context, name string, kind dns.Type) (dns.Answer, error) {
	c.seconds[c.clock.now.Unix()]++
	c.total++
	return c.Resolver.Lookup(ctx, name, kind)
}

// hosted is a zone with n domains, each with a key. They have an MX host of their own, or all the
// same.
func hosted(t *testing.T, n int, ownHosts bool) (names []string, z *dnstest.Zone) {
	var b strings.Builder
	b.WriteString("$ORIGIN .\n$TTL 3600\nhost.example. MX 10 mx.host.example.\nmx.host.example. A 198.51.100.1\n" +
		"1.100.51.198.in-addr.arpa. PTR mx.host.example.\n_spf.host.example. TXT \"v=spf1 ip4:198.51.100.0/24 -all\"\n")
	for i := range n {
		name := fmt.Sprintf("d%d.example", i)
		names = append(names, name)
		mx := "mx.host.example."
		if ownHosts {
			mx = "mx." + name + "."
			fmt.Fprintf(&b, "%s A 10.0.%d.%d\n", mx, i/256, i%256)
		}
		fmt.Fprintf(&b, "%[1]s. MX 10 %[2]s\n%[1]s. TXT \"v=spf1 include:_spf.host.example ~all\"\n"+
			"_dmarc.%[1]s. TXT \"v=DMARC1; p=reject; rua=mailto:a@%[1]s\"\n", name, mx)
	}
	return names, zoneOf(t, b.String())
}

// dnsRounds runs the role for a while, and returns the longest time that a domain was not checked.
func dnsRounds(t *testing.T, h *history, clock *manualClock, names []string,
	while time.Duration) time.Duration {
	longest := int64(0)
	began := clock.now
	last := map[string]int64{}
	for _, name := range names {
		last[name] = began.Unix()
	}
	for clock.now.Sub(began) < while {
		start := clock.now
		if err := h.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.QueryContext(t.Context(),
				"SELECT domain, checked FROM dns_domain WHERE checked >= $1", start.Unix())
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var name string
				var at int64
				if err := rows.Scan(&name, &at); err != nil {
					return err
				}
				longest, last[name] = max(longest, at-last[name]), at
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		clock.now = start.Add(max(clock.now.Sub(start), roundEvery))
	}
	for _, at := range last {
		longest = max(longest, clock.now.Unix()-at)
	}
	return time.Duration(longest) * time.Second
}

// dnsPace holds that n domains of a hoster are each checked once in a period that is in proportion
// to 6 hours for 10,000, with at most five questions a second.
func dnsPace(t *testing.T, n int) {
	names, z := hosted(t, n, false)
	h, clock := newHistory(t, names...)
	h.Config.Reports.DNSEvery = 6 * time.Hour * time.Duration(n) / 10_000
	h.Config.Keys = map[string]config.Key{}
	for _, name := range names {
		h.Config.Keys["s1._domainkey."+name] = config.Key{Domain: name, Selector: "s1"}
	}
	count := &dnsCount{Resolver: z, clock: clock, seconds: map[int64]int{}}
	h.resolver = count
	period := h.Config.Reports.DNSEvery
	if longest := dnsRounds(t, h, clock, names, 5*period/2); longest > period+2*roundEvery {
		t.Errorf("a domain was not checked for %s", longest)
	}
	for at, asked := range count.seconds {
		if asked > questionRate {
			t.Errorf("%d questions in second %d", asked, at)
		}
	}
	if each := float64(count.total) / (2.5 * float64(n)); each > 9 {
		t.Errorf("%.1f questions for each check of a domain", each)
	} else {
		t.Logf("%.1f questions for each check of a domain", each)
	}
}

// TestDNSPace holds the pace of many domains.
func TestDNSPace(t *testing.T) { dnsPace(t, 250) }

// TestDNSPaceLong is TestDNSPace with as many domains as a large host has.
func TestDNSPaceLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("set MAILSEAL_LONG to check 10,000 domains three times")
	}
	dnsPace(t, 10_000)
}

// TestDNSPaceIsSaid holds that the log says which period is reached where there are more records
// than can be asked for.
func TestDNSPaceIsSaid(t *testing.T) {
	names, z := hosted(t, 100, true)
	h, clock := newHistory(t, names...)
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Config.Reports.DNSEvery, h.resolver = 2*time.Minute, z
	longest := dnsRounds(t, h, clock, names, 15*time.Minute)
	if n := strings.Count(log.String(), "less often than reports.dns_every"); n != 1 {
		t.Errorf("said %d times", n)
	}
	_, rest, _ := strings.Cut(log.String(), "reached=")
	text, _, _ := strings.Cut(rest, "\n")
	reached, err := time.ParseDuration(text)
	if err != nil || reached < longest-2*time.Minute || reached > longest+time.Minute {
		t.Errorf("reached %q (%v), and a domain waited %s: %s", text, err, longest, log.String())
	}
}

// TestDNSRoleIsOff holds that without domains, or with an interval of 0, nothing is asked.
func TestDNSRoleIsOff(t *testing.T) {
	for name, cfg := range map[string]*config.Config{
		"no domains":   {Reports: config.Reports{DNSEvery: time.Hour}},
		"switched off": {Keys: map[string]config.Key{"k": {Domain: "example.com"}}},
	} {
		part, err := dnsRole().Build(t.Context(),
			&Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil || part.Jobs != nil {
			t.Errorf("%s: %+v, %v", name, part, err)
		}
	}
}
