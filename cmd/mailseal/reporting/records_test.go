package reporting

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// TestRecords looks at two domains day by day: what changes is a mark, once, what the DNS does not
// answer is none, a key that signs and is gone is missing, and a domain that sends no mail shows.
func TestRecords(t *testing.T) {
	h, clock := newHistory(t, "shop.example", "parked.example")
	h.Config.Reports.DNSEvery = 24 * time.Hour
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	sign := func() {
		b := store.NewOutBatch()
		b.Sent(&report.Sent{Time: clock.now, Domain: "shop.example", Selector: "s1", Counted: true})
		if _, err := h.store.Fold(t.Context(), []string{clock.now.String()}, b,
			clock.now); err != nil {
			t.Fatal(err)
		}
	}
	const before = "$ORIGIN shop.example.\n@ TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n" +
		"s1._domainkey TXT \"v=DKIM1; p=MIIB\"\nparked.example. TXT \"v=spf1 " +
		"-all\"\n*.parked.example. TXT \"v=spf1 -all\"\n"
	const failing = "$SERVFAIL shop.example.\n$SERVFAIL _dmarc.shop.example.\n$SERVFAIL s1._domainkey.shop.example.\n" +
		"$SERVFAIL parked.example.\n$SERVFAIL _dmarc.parked.example.\n"
	after := strings.Replace(strings.Replace(before, "p=none", "p=quarantine", 1), "s1._domainkey",
		"s2._domainkey", 1)
	var began, changed time.Time
	for _, zone := range []string{before, failing, after, after} {
		sign()
		began = clock.now
		h.resolver, h.cache = dnstest.Must(zone), nil
		for range 3 { // a domain each, and none is due any more
			if err := h.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if zone == after && changed.IsZero() {
			changed = began
		}
		clock.now = began.Add(24 * time.Hour)
	}
	if !strings.Contains(log.String(), "could not be compared with its mail") {
		t.Errorf("log %q", &log)
	}
	read := h.reader(h.store)
	today := advice.DayOf(clock.now)
	events, err := read.Events(context.Background(), web.Filter{From: today - 30, To: today})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Kind+" "+e.Text)
		if e.At.Before(changed) || e.At.After(changed.Add(time.Hour)) {
			t.Errorf("%s at %s, want %s", e.Text, e.At, changed)
		}
	}
	text := strings.Join(got, "; ")
	if len(got) != 2 || !strings.Contains(text,
		"dns _dmarc.shop.example changed to v=DMARC1; p=quarantine") ||
		!strings.Contains(text, "dns s1._domainkey.shop.example was removed from the DNS") {
		t.Errorf("events %q", got)
	}
	list, err := read.Domains(context.Background())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d domains, %v", len(list), err)
	}
	parked, shop := list[0], list[1]
	if !parked.Parked || shop.Parked || shop.SPFAll != "-all" || len(shop.Terms) != 1 ||
		shop.Terms[0].Messages != 0 {
		t.Errorf("%+v; %+v", parked, shop)
	}
	if p := shop.Published; p == nil || p.Step != advice.Quarantine || p.At != "shop.example" ||
		shop.DNS == nil || shop.DNS.Faults == 0 || shop.DNS.Worst == "" || shop.DNS.At.IsZero() {
		t.Errorf("published %+v, checks %+v", shop.Published, shop.DNS)
	}
	detail, err := read.Detail(t.Context(), "shop.example")
	if err != nil || len(detail.Findings) == 0 || detail.Findings[0].Text == "" {
		t.Errorf("detail %+v, %v", detail, err)
	}
	if len(shop.Selectors) != 1 || !shop.Selectors[0].Missing ||
		shop.Selectors[0].Name != "s1._domainkey.shop.example" {
		t.Errorf("selectors %+v", shop.Selectors)
	}
}
