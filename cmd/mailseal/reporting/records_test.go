package reporting

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// TestRecords looks at the records of the domains of keys day by day: what changes is a mark, what
// the DNS does not answer is none, a key that signs and is gone is missing, and each domain is asked
// about once a day.
func TestRecords(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{Keys: map[string]config.Key{"k": {Domain: "shop.example"}, "p": {Domain: "parked.example"}}}
	cfg.Reports.Store = "sqlite:" + filepath.Join(dir, "reports.db")
	now := noon
	var log bytes.Buffer
	p := &Process{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }}
	s, err := p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sign := func() {
		b := store.NewOutBatch()
		b.Sent(&report.Sent{Time: now, Domain: "shop.example", Selector: "s1", Counted: true})
		if _, err := s.Fold(t.Context(), []string{now.String()}, b, now); err != nil {
			t.Fatal(err)
		}
	}
	const before = "$ORIGIN shop.example.\n@ TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n" +
		"s1._domainkey TXT \"v=DKIM1; p=MIIB\"\nparked.example. TXT \"v=spf1 -all\"\n"
	look := func(zone string) {
		t.Helper()
		sign()
		job := recordsJob(p, s, dnstest.Must(zone))
		if err := job.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look(before)
	now = now.Add(time.Hour) // too early: nothing is asked
	look("")
	now = now.Add(23 * time.Hour)
	look("$SERVFAIL shop.example.\n$SERVFAIL parked.example.\n" + before)
	if !strings.Contains(log.String(), "could not be looked at") {
		t.Errorf("log %q", &log)
	}
	now = now.Add(24 * time.Hour)
	look(strings.Replace(strings.Replace(before, "p=none", "p=quarantine", 1), "s1._domainkey", "s2._domainkey", 1))
	read := &web.Stored{Store: s, Names: []string{"shop.example", "parked.example"}, Now: p.Now}
	events, err := read.Events(context.Background(), web.Filter{From: advice.DayOf(now) - 30, To: advice.DayOf(now)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Kind+" "+e.Text)
		if !e.At.Equal(now) {
			t.Errorf("%s at %s, want %s", e.Text, e.At, now)
		}
	}
	text := strings.Join(got, "; ")
	if len(got) != 2 || !strings.Contains(text, "dns _dmarc.shop.example changed to v=DMARC1; p=quarantine") ||
		!strings.Contains(text, "dns s1._domainkey.shop.example is gone from the DNS") {
		t.Errorf("events %q", got)
	}
	list, err := read.Domains(context.Background())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d domains, %v", len(list), err)
	}
	parked, shop := list[0], list[1]
	if !parked.Parked || shop.Parked || shop.SPFAll != "-all" || len(shop.Terms) != 1 || shop.Terms[0].Messages != 0 {
		t.Errorf("%+v; %+v", parked, shop)
	}
	if len(shop.Selectors) != 1 || !shop.Selectors[0].Missing || shop.Selectors[0].Name != "s1._domainkey.shop.example" {
		t.Errorf("selectors %+v", shop.Selectors)
	}
}
