package domains

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/lint"
	"mailseal/milter/spf"
)

// fuzzZone is what the records of the wizards' targets may refer to.
const fuzzZone = "$ORIGIN .\nexample.com. MX 10 mx.example.com.\nmx.example.com. A 198.51.100.25\n" +
	"mx.example.com. AAAA 2001:db8::25\n_spf.example.net. TXT \"v=spf1 ip4:203.0.113.0/24 -all\"\n" +
	"third.example. MX 10 mx.example.com.\n"

// zoneWith is the zone with one more record, nil for a text that no zone can hold.
func zoneWith(name, text string) *dnstest.Zone {
	if text == "" || len(text) > 2000 {
		return nil
	}
	z, err := dnstest.Load(strings.NewReader(fuzzZone + txt(name, text)))
	if err != nil {
		return nil
	}
	return z
}

// proposedWell holds what every proposal must be: a record that its own package finds no mistake
// in, whose zone form is read as the same text.
func proposedWell(t *testing.T, r publish.Record, flaws []lint.Flaw) {
	t.Helper()
	for _, f := range flaws {
		if severity := byCode[check.Code(f.Code)].Severity; severity == check.Error {
			t.Errorf("%q has %s: %s", r.Text, f.Code, f.Text)
		}
	}
	for _, s := range r.Strings() {
		if len(s) > 255 {
			t.Errorf("a string of %d bytes", len(s))
		}
	}
	if _, err := dnstest.Load(strings.NewReader("$ORIGIN .\n" + strings.Join(r.Layout(60), "\n") +
		"\n")); err != nil {
		t.Errorf("%q: the zone form does not load: %v", r.Text, err)
	}
}

// FuzzProposeSPF holds that the wizard proposes for any published text a record that the evaluator
// takes, with the addresses that were asked for, within ten lookups, and the same one when it has
// been published.
func FuzzProposeSPF(f *testing.F) {
	f.Add("v=spf1 mx ip4: ?all", "192.0.2.1", "")
	f.Add("v=spf1 include: _spf.example.net a:mx.example.com:25 ~all", "2001:db8::1",
		"_spf.example.net")
	f.Add("v=spf1 redirect=_spf.example.net", "192.0.2.1", "_spf.example.net")
	f.Add("v=spf1 ip4:192.0.2.1-all exp=x.example.net", "203.0.113.9", "")
	f.Fuzz(func(t *testing.T, text, address, include string) {
		z := zoneWith(root, text)
		addr, err := netip.ParseAddr(address)
		if z == nil || err != nil || addr.Zone() != "" {
			return
		}
		addr = addr.Unmap()
		q := SPFWishes{Resolver: z, Addresses: []netip.Prefix{netip.PrefixFrom(addr,
			addr.BitLen())}}
		if include == "_spf.example.net" {
			q.Includes = []string{include}
		}
		p, err := ProposeSPF(t.Context(), "example.com", q)
		if err != nil {
			return
		}
		made := p.Records[0]
		proposedWell(t, made, spf.Lint(made.Text))
		again := zoneWith(root, made.Text)
		if again == nil {
			t.Fatalf("%q cannot be published", made.Text)
		}
		r := (&spf.Checker{Resolver: again}).Check(t.Context(),
			spf.Identity{IP: addr, MailFrom: "a@example.com"})
		if r.Value != spf.Pass {
			t.Errorf("%q: %s gets %s (%s)", made.Text, addr, r.Value, r.Reason)
		}
		if v := spf.Explore(t.Context(), again, "example.com"); v.Lookups > 10 {
			t.Errorf("%q takes %d lookups", made.Text, v.Lookups)
		}
		q.Resolver = again
		if p, err := ProposeSPF(t.Context(), "example.com", q); err != nil ||
			p.Records[0].Text != made.Text {
			t.Errorf("%q is published, and then %q is proposed (%v)", made.Text, p.Records[0].Text,
				err)
		}
	})
}

// FuzzProposeDMARC holds that the wizard proposes for any published text and reader a record that
// parses, has no obsolete tag, and is not weaker than what counts today; and the same one when it
// has been published.
func FuzzProposeDMARC(f *testing.F) {
	f.Add("v=DMARC1; p=reject; pct=50; rua=mailto:a@example.com!10m", "", false, false)
	f.Add("v=DMARC1 p=quarantine", "r@third.example", true, false)
	f.Add("v=DMARC1; p=none; sp=reject; fo=0:1:d:s; ruf=mailto:x@third.example",
		"mailto:a@example.com", true, false)
	f.Add("v=DMARC1; p=reject; np=none; t=y", "a@example.com", false, true)
	f.Fuzz(func(t *testing.T, text, reports string, people, silent bool) {
		z := zoneWith(at, text)
		if z == nil || people && silent {
			return
		}
		q := DMARCWishes{Resolver: z, Reports: reports, People: people, Silent: silent}
		p, err := ProposeDMARC(t.Context(), "example.com", q)
		if err != nil {
			return
		}
		made := p.Records[0]
		proposedWell(t, made, dmarc.Lint(made.Text))
		now, err := dmarc.Parse(made.Text)
		if err != nil || now.Broken != "" {
			t.Fatalf("%q does not parse: %v", made.Text, err)
		}
		for _, tag := range []string{"pct=", "rf=", "ri="} {
			has := func(s string) bool { return strings.HasPrefix(s, tag) }
			if slices.ContainsFunc(strings.Split(made.Text, "; "), has) {
				t.Errorf("%q has %s", made.Text, tag)
			}
		}
		before, err := dmarc.Parse(text)
		if err == nil && before.Broken == "" && weight(now.Policy) < weight(before.Policy) &&
			!people {
			t.Errorf("%q is published, and the weaker %q is proposed", text, made.Text)
		}
		again := zoneWith(at, made.Text)
		if again == nil {
			t.Fatalf("%q cannot be published", made.Text)
		}
		q.Resolver = again
		if p, err := ProposeDMARC(t.Context(), "example.com", q); err != nil ||
			p.Records[0].Text != made.Text {
			t.Errorf("%q is published, and then %q is proposed (%v)", made.Text, p.Records[0].Text,
				err)
		}
	})
}

// FuzzIndicator holds that a mended BIMI record has no mistake, and is mended once.
func FuzzIndicator(f *testing.F) {
	for _, s := range []string{
		"v=BIMI1; l=https://example.com/logo.svg; a=", "v=bimi1 l=https://example.com/l.svg",
		"v=BIMI1; l=; a=",
		"\"v=BIMI1\\; l=https://example.com/\u00e4.svg\"", "v=BIMI1; l=http://x/y.svg; a=self",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		mistake := indicatorMistake(text)
		if mistake == "" && !isIndicator(text) {
			t.Errorf("%q has no mistake, and is not a record", text)
		}
		repaired := correctIndicator(text)
		if repaired == "" {
			return
		}
		if mistake := indicatorMistake(repaired); mistake != "" {
			t.Errorf("%q is mended to %q: %s", text, repaired, mistake)
		}
		if again := correctIndicator(repaired); again != repaired {
			t.Errorf("mended twice: %q, then %q", repaired, again)
		}
	})
}
