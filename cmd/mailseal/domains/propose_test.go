package domains

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	wire "github.com/miekg/dns"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/spf"
)

// TestProposeSPF makes records for random wishes: each address passes by the daemon's evaluator,
// what is published stays let in, the zone form is a record with the same text, and Check finds no
// mistake in it.
func TestProposeSPF(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	starts := []string{"", "v=spf1 ip4:198.51.100.1 -all", "v=spf1,mx,~all",
		"v=spf1 ip4=198.51.100.1 +all", "v=spf1 include:_a.example ~all"}
	for n := range 300 {
		z := dnstest.Must("$ORIGIN .\nexample.com. 60 IN MX 10 mx.example.com.\nmx.example.com. " +
			"60 IN A 198.51.100.9\n" +
			"_a.example. 60 IN TXT \"v=spf1 ip4:203.0.113.1 -all\"\n_b.example. 60 IN TXT " +
			"\"v=spf1 ip4:203.0.113.2 -all\"\n")
		if start := starts[n%len(starts)]; start != "" {
			z.AddTXT("example.com", start)
		}
		q := SPFWishes{Resolver: z}
		for range r.IntN(4) {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(250))})
			q.Addresses = append(q.Addresses, netip.PrefixFrom(addr, 32))
		}
		q.Includes = [][]string{nil, {"_a.example"}, {"_b.example", "_a.example"},
			{"servers.mcsv.net"}}[r.IntN(4)]
		isESP := slices.Equal(q.Includes, []string{"servers.mcsv.net"})
		p, err := ProposeSPF(t.Context(), "example.com", q)
		if starts[n%len(starts)] == "" && len(q.Addresses) == 0 && (isESP || q.Includes == nil) {
			if err == nil || !strings.Contains(err.Error(), "would allow no host") ||
				isESP != strings.Contains(err.Error(), "will not help") {
				t.Errorf("without any sender: %v, %v", p.Records, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made := dnstest.Must("$ORIGIN .\n" + p.Records[0].Zone() +
			"\n_a.example. 60 IN TXT \"v=spf1 ip4:203.0.113.1 -all\"\n" +
			"_b.example. 60 IN TXT \"v=spf1 ip4:203.0.113.2 -all\"\nexample.com. 60 IN MX 10 " +
			"mx.example.com.\nmx.example.com. 60 IN A 198.51.100.9\n")
		for _, network := range q.Addresses {
			if !passes(t.Context(), made, "example.com", network.Addr()) {
				t.Errorf("%s does not pass with %q", network, p.Records[0].Text)
			}
		}
		for _, f := range Check(t.Context(), "example.com", Options{Resolver: made}).Findings {
			if strings.HasPrefix(string(f.Code), "spf-") && f.Severity != note {
				t.Errorf("%q has %s", p.Records[0].Text, f.Code)
			}
		}
		if isESP != strings.Contains(strings.Join(p.Notes, " "), "will not help") {
			t.Errorf("includes %q: notes %q", q.Includes, p.Notes)
		}
	}
}

// TestProposeSPFRefuses holds which records are not proposed.
func TestProposeSPFRefuses(t *testing.T) {
	z := dnstest.Must("$ORIGIN .\n" + many(10) +
		"_more.example. 60 IN TXT \"v=spf1 -all\"\n$SERVFAIL slow.example.\n")
	_, err := ProposeSPF(t.Context(), "example.com",
		SPFWishes{Resolver: z, Includes: []string{"_more.example"}})
	if answer.Of(err) != answer.Bad || !strings.Contains(err.Error(), "11 DNS lookups") {
		t.Errorf("eleven lookups: %v", err)
	}
	_, err = ProposeSPF(t.Context(), "example.com",
		SPFWishes{Resolver: z, Includes: []string{"gone.example"}})
	if answer.Of(err) != answer.Bad {
		t.Errorf("an include of nothing: %v", err)
	}
	if _, err = ProposeSPF(t.Context(), "slow.example",
		SPFWishes{Resolver: z}); answer.Of(err) != answer.Unknown {
		t.Errorf("no answer: %v", err)
	}
}

// TestProposeDMARC writes what the answers ask for.
func TestProposeDMARC(t *testing.T) {
	z := dnstest.Must("$ORIGIN .\nexample.com._report._dmarc.agreed.example. 60 IN TXT " +
		"\"v=DMARC1\"\n$SERVFAIL example.com._report._dmarc.slow.example.\n")
	for _, tc := range []struct {
		name string
		with DMARCWishes
		kind answer.Kind
		want string // the records, name and text
	}{
		{"to begin with", DMARCWishes{People: true, Reports: "a@example.com"}, answer.Good,
			"_dmarc.example.com v=DMARC1; p=none; rua=mailto:a@example.com"},
		{"quarantine", DMARCWishes{Policy: "quarantine", Reports: "a@example.com"}, answer.Good,
			"_dmarc.example.com v=DMARC1; p=quarantine; np=reject; rua=mailto:a@example.com"},
		{"machines", DMARCWishes{Policy: "reject"}, answer.Good, "_dmarc.example.com v=DMARC1; p=reject"},
		{"people", DMARCWishes{Policy: "reject", People: true}, answer.Bad, ""},
		{"no policy", DMARCWishes{Policy: "block"}, answer.Usage, ""},
		{"no address", DMARCWishes{Reports: "a b"}, answer.Usage, ""},
		{"parked", DMARCWishes{Silent: true}, answer.Good,
			"_dmarc.example.com v=DMARC1; p=reject|example.com v=spf1 " +
				"-all|*._domainkey.example.com v=DKIM1; p=|example.com 0 ."},
		{"agreed", DMARCWishes{Reports: "a@agreed.example"}, answer.Good,
			"_dmarc.example.com v=DMARC1; p=none; rua=mailto:a@agreed.example"},
		{"not agreed", DMARCWishes{Reports: "a@other.example"}, answer.Good,
			"_dmarc.example.com v=DMARC1; p=none; " +
				"rua=mailto:a@other.example|example.com._report._dmarc.other.example v=DMARC1"},
		{"no answer", DMARCWishes{Reports: "a@slow.example"}, answer.Unknown, ""},
	} {
		tc.with.Resolver = z
		p, err := ProposeDMARC(t.Context(), "example.com", tc.with)
		var got []string
		for _, r := range p.Records {
			got = append(got, r.Name+" "+r.Text)
			if _, err := wire.NewRR(r.Zone()); err != nil {
				t.Errorf("%s: %q: %v", tc.name, r.Zone(), err)
			}
		}
		if answer.Of(err) != tc.kind || err == nil && strings.Join(got, "|") != tc.want {
			t.Errorf("%s: %v %q, want %s %q", tc.name, err, got, tc.kind, tc.want)
		}
		if err == nil {
			if parsed, err := dmarc.Parse(p.Records[0].Text); err != nil || len(parsed.Notes) > 0 ||
				strings.Contains(p.Records[0].Text, "pct") {
				t.Errorf("%s: %v %v", tc.name, err, parsed.Notes)
			}
		}
	}
}

// TestProposeDMARCParked names the records for a domain that sends nothing where its SPF record
// says so, and not otherwise.
func TestProposeDMARCParked(t *testing.T) {
	for record, want := range map[string]bool{"v=spf1 -all": true, "V=SPF1  -all": true,
		"v=spf1 ~all": false, "v=spf1 mx -all": false} {
		z := dnstest.Must("example.com. 60 IN TXT \"" + record + "\"\n")
		p, err := ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: z})
		if got := strings.Contains(strings.Join(p.Notes, "\n"),
			"mailseal propose dmarc example.com --silent"); err != nil || got != want {
			t.Errorf("%q: %v, %q", record, err, p.Notes)
		}
	}
}

// TestProposeDMARCOverPublished begins with the record that is there: nothing of it goes lost.
func TestProposeDMARCOverPublished(t *testing.T) {
	for _, tc := range []struct {
		name, published string
		with            DMARCWishes
		want            string
	}{
		{"nothing said", "v=DMARC1; p=quarantine; adkim=s; rua=mailto:d@example.com", DMARCWishes{},
			"v=DMARC1; p=quarantine; adkim=s; rua=mailto:d@example.com"},
		{"reject and people", "v=DMARC1; p=reject; adkim=s; rua=mailto:d@example.com", DMARCWishes{People: true},
			"v=DMARC1; p=quarantine; adkim=s; rua=mailto:d@example.com"},
		{"reject and machines", "v=DMARC1; p=reject; sp=none", DMARCWishes{}, "v=DMARC1; p=reject; sp=none"},
		{"another policy", "v=DMARC1; p=none; ruf=mailto:f@example.com", DMARCWishes{Policy: "quarantine"},
			"v=DMARC1; p=quarantine; ruf=mailto:f@example.com"},
		{"other reports", "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com",
			DMARCWishes{Reports: "c@example.com"},
			"v=DMARC1; p=none; rua=mailto:c@example.com"},
		{"two readers stay", "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com", DMARCWishes{},
			"v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com"},
		{"mended, never in force", "v=DMARC1 p=quarantine; pct=50", DMARCWishes{},
			"v=DMARC1; p=none"},
		{"mended, with a policy", "v=DMARC1 p=quarantine; pct=50",
			DMARCWishes{Policy: "quarantine"}, "v=DMARC1; p=quarantine"},
		{"a policy with a slip", "v=DMARC1; p=rejct; rua=dmarc@example.com; pct=50", DMARCWishes{},
			"v=DMARC1; p=none; rua=mailto:dmarc@example.com"},
		{"a subdomain policy with a slip", "v=DMARC1; p=reject; sp=rejct", DMARCWishes{},
			"v=DMARC1; p=none"},
		{"mended, in force", "v=DMARC1; p=reject; pct=50", DMARCWishes{}, "v=DMARC1; p=reject"},
		{"no record of DMARC", "google-site-verification=x", DMARCWishes{}, "v=DMARC1; p=none"},
	} {
		z := dnstest.Must("")
		z.AddTXT("_dmarc.example.com", tc.published)
		tc.with.Resolver = z
		p, err := ProposeDMARC(t.Context(), "example.com", tc.with)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := p.Records[0].Text; got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if said := strings.Contains(strings.Join(p.Notes, " "),
			"Published now"); said != strings.HasPrefix(tc.published, "v=DMARC1") {
			t.Errorf("%s: notes %q", tc.name, p.Notes)
		}
	}
}

// TestParkedWithMail does not cut off the mail of a domain that takes some.
func TestParkedWithMail(t *testing.T) {
	z := dnstest.Must("$ORIGIN .\nexample.com. 60 IN MX 10 mx.example.com.\n")
	p, err := ProposeDMARC(t.Context(), "example.com", DMARCWishes{Silent: true, Resolver: z})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Records {
		if r.Type == "MX" {
			t.Errorf("proposes %s for a domain that has MX records", r.Zone())
		}
	}
	if notes := strings.Join(p.Notes, " "); !strings.Contains(notes, "receives mail") {
		t.Errorf("notes %q", p.Notes)
	}
}

// TestParkedSet holds that a domain with the whole set has no finding.
func TestParkedSet(t *testing.T) {
	p, err := ProposeDMARC(t.Context(), "example.com",
		DMARCWishes{Silent: true, Resolver: dnstest.Must("")})
	if err != nil {
		t.Fatal(err)
	}
	var zone strings.Builder
	zone.WriteString("$ORIGIN .\n")
	for _, r := range p.Records {
		fmt.Fprintln(&zone, r.Zone())
	}
	r := Check(t.Context(), "example.com", Options{Resolver: dnstest.Must(zone.String()),
		Random: "nosuchselector"})
	if got := codesOf(r); len(got) != 1 || got[0] != dmarc.FlawNoReports {
		t.Errorf("findings %q", got)
	}
	if r.SPF == nil || r.SPF.Root.Terms[0].Value != spf.Fail {
		t.Error("the SPF record is not what it should be")
	}
}
