package reporting

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dns/dnstest"
)

// zoneWithout loads the zone of a host whose set-up is right, without the lines that have a text.
func zoneWithout(t *testing.T, text string) *dnstest.Zone {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(outZone, "\n") {
		if text == "" || !strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	z, err := dnstest.Load(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestSendWaitsForSetUp holds that each thing that "reports check" calls bad, and a DNS that does
// not answer, keeps mails back with a reason in preview, dry run and list, and that they go
// afterwards.
func TestSendWaitsForSetUp(t *testing.T) {
	s := newSink(t)
	for _, tc := range []struct{ name, without, add, want string }{
		{"no MX", "IN MX", "", "MX of reports.example.net: no MX record"},
		{"no SPF", "v=spf1", "", "SPF of reports.example.net: no SPF record"},
		{"no DMARC", "_dmarc.reports", "", "no record of its own"},
		{"no rule", "", "", "no rule in [[sign]] signs for it"},
		{"no answer", "_dmarc.reports", "$SERVFAIL _dmarc.reports.example.net\n", "the DNS does not answer"},
	} {
		h := newHost(t, s.address)
		h.judged(t, "friend.example", 3)
		z := zoneWithout(t, tc.without)
		h.Resolver = z
		if tc.add != "" {
			broken, err := dnstest.Load(strings.NewReader(outZone + tc.add))
			if err != nil {
				t.Fatal(err)
			}
			h.Resolver = broken
		}
		rules := h.Config.Sign
		if tc.name == "no rule" {
			h.Config.Sign = nil
		}
		preview := h.run(t, func(ctx context.Context) error {
			return h.Preview(ctx, "friend.example", "")
		})
		h.Now = noon.AddDate(0, 0, 1)
		dry := h.run(t, func(ctx context.Context) error { return h.Send(ctx, true) })
		before := len(s.all())
		h.out.Reset()
		err := h.Send(t.Context(), false)
		if answer.Of(err) != answer.Bad || !strings.Contains(err.Error(), tc.want) ||
			len(s.all()) != before {
			t.Errorf("%s: %v, %d mails", tc.name, err, len(s.all())-before)
		}
		list := h.run(t, func(ctx context.Context) error { return h.List(ctx, "") })
		for what, text := range map[string]string{"preview": preview, "dry run": dry,
			"list": list} {
			if !strings.Contains(text, "set-up: ") || !strings.Contains(text, tc.want) {
				t.Errorf("%s: %s does not say why:\n%s", tc.name, what, text)
			}
		}
		h.Resolver, h.Config.Sign = zoneWithout(t, ""), rules
		h.Now = h.Now.Add(2 * time.Hour)
		sent := h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
		if !strings.Contains(sent, "handed over") || len(s.all()) != before+1 {
			t.Errorf("%s: %d mails once it was right:\n%s", tc.name, len(s.all())-before, sent)
		}
	}
}

// TestServeWaitsForSetUp holds that the process says in its log why it sends nothing.
func TestServeWaitsForSetUp(t *testing.T) {
	s := newSink(t)
	h := newHost(t, s.address)
	h.judged(t, "friend.example", 3)
	server, err := dnstest.Serve(zoneWithout(t, "IN MX"), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	h.Config.DNS.Servers = []netip.AddrPort{netip.MustParseAddrPort(server.Addr())}
	var log bytes.Buffer
	p := &Process{
		Config: h.Config, Log: slog.New(slog.NewTextHandler(&log, nil)), Version: "test",
		Now: func() time.Time { return noon.AddDate(0, 0, 1) },
	}
	if err := p.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "no MX record") || len(s.all()) > 0 {
		t.Errorf("%d mails, log:\n%s", len(s.all()), &log)
	}
	if opened, err := p.Store(t.Context()); err == nil {
		opened.Close()
	}
}

// TestConfiguredAddresses holds that reports.addresses are the addresses that get no reports.
func TestConfiguredAddresses(t *testing.T) {
	h := newHost(t, "127.0.0.1:9")
	h.Config.Reports.Addresses = []string{"*@in.example.net", "dmarc@example.net"}
	s, err := OpenStore(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := NewReporter(h.Config, s, slog.New(slog.DiscardHandler), "test")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"any@in.example.net": true, "DMARC@example.net": true, "other@example.net": false, "dmarc@example.org": false,
	} {
		if got := r.Rules.Ours(address); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
}

// TestForgedAreListed holds that bounces with a wrong code are shown, and suppress nothing.
func TestForgedAreListed(t *testing.T) {
	h := newHost(t, "127.0.0.1:9")
	h.judged(t, "friend.example", 1)
	forged := "r+" + strings.Repeat("a", 32) + "-1-" + strings.Repeat("b", 26) +
		"@reports.example.net"
	text := h.run(t, func(ctx context.Context) error {
		return h.Bounced(ctx, forged, strings.NewReader("Action: failed\n"))
	})
	if !strings.Contains(text, "Nothing changed") {
		t.Errorf("got %s", text)
	}
	list := h.run(t, func(ctx context.Context) error { return h.List(ctx, "") })
	if !strings.Contains(list, "1 bounce of the last 30 days ignored") {
		t.Errorf("got %s", list)
	}
	none := h.run(t, func(ctx context.Context) error { return h.Suppress(ctx, "", 0, false) })
	if !strings.Contains(none, "No address") {
		t.Errorf("got %s", none)
	}
}
