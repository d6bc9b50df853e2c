package tally

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
)

// rowXML is a row of a report, in short: source, count, disposition, aligned DKIM and SPF,
// header_from, the SPF result, DKIM results, and a reason.
type rowXML struct {
	ip, disposition, dkim, spf, from string
	count                            int
	spfResult                        string // "domain result"
	signatures                       string // "domain selector result, …"
	reason                           string
}

func (r rowXML) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<record><row><source_ip>%s</source_ip><count>%d</count>"+
		"<policy_evaluated><disposition>%s</disposition>"+
		"<dkim>%s</dkim><spf>%s</spf>", r.ip, r.count, r.disposition, r.dkim, r.spf)
	if r.reason != "" {
		fmt.Fprintf(&b, "<reason><type>%s</type></reason>", r.reason)
	}
	fmt.Fprintf(&b, "</policy_evaluated></row><identifiers><header_from>%s</header_from></identifiers>"+
		"<auth_results>", r.from)
	for s := range strings.SplitSeq(r.signatures, ", ") {
		if f := strings.Fields(s); len(f) == 3 {
			fmt.Fprintf(&b, "<dkim><domain>%s</domain><selector>%s</selector>"+
				"<result>%s</result></dkim>", f[0], f[1], f[2])
		}
	}
	if f := strings.Fields(r.spfResult); len(f) == 2 {
		fmt.Fprintf(&b, "<spf><domain>%s</domain><result>%s</result></spf>", f[0], f[1])
	}
	b.WriteString("</auth_results></record>")
	return b.String()
}

// reportOf is a report of a receiver on shop.example.
func reportOf(receiver, policy string, rows ...rowXML) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<feedback><report_metadata><org_name>%s</org_name><email>a@%[1]s</email><report_id>1</report_id>"+
		"<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata>"+
		"<policy_published><domain>shop.example</domain><p>none</p>%s</policy_published>", receiver,
		policy)
	for _, r := range rows {
		b.WriteString(r.String())
	}
	return b.String() + "</feedback>"
}

// good is mail of the domain's own host, which says which selectors are its own.
var good = rowXML{"192.0.2.1", "none", "pass", "pass", "shop.example", 500, "shop.example pass",
	"shop.example s1 pass", ""}

// TestCauses has reports as receivers write them, one for each cause why mail fails or why a pass
// is fragile, and holds whose the source is, why, and what the sentence says. No sentence
// recommends an SPF include where the envelope domain is not the domain's own.
func TestCauses(t *testing.T) {
	const src = "198.51.100.7"
	row := func(dkim, spf string, n int, spfResult, signatures string) rowXML {
		return rowXML{src, "none", dkim, spf, "shop.example", n, spfResult, signatures, ""}
	}
	because := func(r rowXML, reason string) rowXML { r.reason = reason; return r }
	from := func(r rowXML, name string) rowXML { r.from = name; return r }
	at := func(r rowXML, ip string) rowXML { r.ip = ip; return r }
	type known = Known
	for _, tc := range []struct {
		name    string
		reports []string
		known   known
		class   advice.Class
		code    string
		says    string
	}{
		{"a: no DKIM, SPF passes aligned",
			[]string{reportOf("a.example", "", row("fail", "pass", 240, "shop.example pass", ""))},
			known{}, advice.Ours, "spf-only", "by SPF alone"},
		{"b: our signature does not verify, SPF passes", []string{reportOf("a.example", "",
			row("fail", "pass", 100, "shop.example pass", "shop.example s1 fail"))}, known{},
			advice.Ours, "signature-broken", "selector s1"},
		{"b: a signature in a thousand does not verify, SPF passes",
			[]string{reportOf("a.example", "", at(good, src), at(good, src),
				row("fail", "pass", 1, "shop.example pass", "shop.example s1 fail"))}, known{},
			advice.Ours, "fine", ""},
		{"b: our signature does not verify anywhere", []string{
			reportOf("a.example", "", good, row("fail", "fail", 60, "shop.example softfail",
				"shop.example s1 fail")),
			reportOf("b.example", "", row("fail", "fail", 60, "shop.example softfail",
				"shop.example s1 fail"))},
			known{Network: true}, advice.Ours, "signature-broken", "selector s1"},
		{"c: DKIM passes for another domain alone", []string{reportOf("a.example", "",
			row("fail", "fail", 50, "bounce.esp.example fail", "esp.example k1 pass"))},
			known{Class: advice.Service},
			advice.Service, "dkim-not-aligned", "Sign with d=shop.example"},
		{"d: SPF passes for another domain alone", []string{reportOf("a.example", "",
			row("fail", "fail", 50, "bounce.esp.example pass", ""))}, known{Class: advice.Service},
			advice.Service, "spf-not-aligned", "would not help"},
		{"c, d: both pass for another domain", []string{reportOf("a.example", "",
			row("fail", "fail", 4812, "bounce.esp.example pass", "esp.example k1 pass"))}, known{},
			advice.Unknown, "not-aligned", "bounce.esp.example"},
		{"a known service by its signature", []string{reportOf("a.example", "",
			row("fail", "fail", 50, "bounce.sendgrid.net pass", "sendgrid.net k1 pass"))}, known{},
			advice.Service, "not-aligned", "signing domain"},
		{"a known service by its reverse name",
			[]string{reportOf("a.example", "", row("fail", "fail", 50, "x.example none", ""))},
			known{Reverse: "o1.ptr.sendgrid.net"}, advice.Service, "own-host", ""},
		{"e: aligned DKIM passes, SPF fails: forwarding", []string{reportOf("a.example", "", good,
			row("pass", "fail", 40, "forwarder.example pass", "shop.example s1 pass"))}, known{},
			advice.Forwarding, "forwarding", "SPF always fails"},
		{"e: the receiver says so", []string{reportOf("a.example", "", good,
			because(row("fail", "fail", 40, "forwarder.example pass", "shop.example s1 fail"),
				"forwarded"))}, known{},
			advice.Forwarding, "forwarding", "forwarded by another host"},
		{"f: fails at one receiver of three", []string{
			reportOf("a.example", "", good, row("pass", "pass", 50, "shop.example pass",
				"shop.example s1 pass")),
			reportOf("b.example", "", row("pass", "pass", 50, "shop.example pass",
				"shop.example s1 pass")),
			reportOf("c.example", "", row("fail", "fail", 30, "shop.example softfail",
				"shop.example s1 fail"))},
			known{}, advice.Ours, "one-receiver", "one of 3 receivers, c.example, and"},
		{"g: never passes", []string{reportOf("a.example", "", row("fail", "fail", 500, "evil.example none", "")),
			reportOf("b.example", "", row("fail", "fail", 500, "evil.example none", ""))}, known{},
			advice.Spoof, "spoof", "a forgery"},
		{"h: temperror", []string{reportOf("a.example", "", row("fail", "fail", 100, "shop.example temperror", ""))},
			known{Network: true}, advice.Ours, "dns-trouble", "name server"},
		{"h: permerror", []string{reportOf("a.example", "", row("fail", "fail", 100, "shop.example permerror", ""))},
			known{Network: true}, advice.Ours, "record-broken", "10 SPF lookups"},
		{"j: a subdomain without DKIM", []string{reportOf("a.example", "",
			row("pass", "pass", 60, "shop.example pass", "shop.example s1 pass"),
			from(row("fail", "fail", 90, "x.example none", ""), "orders.shop.example"))},
			known{Network: true}, advice.Ours, "subdomain", "orders.shop.example leaves unsigned"},
		{"k: strict alignment", []string{reportOf("a.example", "<adkim>s</adkim><aspf>s</aspf>",
			row("fail", "fail", 100, "mail.shop.example pass", "mail.shop.example s1 pass"))},
			known{Network: true}, advice.Ours, "strict", "adkim=s"},
		{"l: an own host that SPF does not name",
			[]string{reportOf("a.example", "", row("fail", "fail", 100, "shop.example softfail",
				""))},
			known{Network: true}, advice.Ours, "own-host", "does not name it"},
		{"m: a mailing list", []string{reportOf("a.example", "", good,
			because(row("fail", "fail", 41, "list.example pass",
				"list.example l1 pass, shop.example s1 fail"), "mailing_list"))},
			known{}, advice.Forwarding, "list", "p=reject would lose"},
		{"n: few messages", []string{reportOf("a.example", "",
			row("pass", "fail", 1, "x.example none", "shop.example s1 pass"),
			row("fail", "fail", 2, "x.example none", ""))}, known{Class: advice.Unknown},
			advice.Unknown, "few", "3 messages"},
		{"o: a scanner, says a person",
			[]string{reportOf("a.example", "", row("fail", "fail", 50, "x.example none", ""))},
			known{Class: advice.Scanner}, advice.Scanner, "scanner", "failures mean nothing"},
		{"a service with a selector of its own", []string{reportOf("a.example", "", good,
			row("pass", "fail", 30, "bounce.hd.example pass", "shop.example hd1 pass"))}, known{},
			advice.Service, "fine", "passes by aligned DKIM"},
		{"a host below the domain that signs", []string{reportOf("a.example", "", good,
			row("pass", "fail", 30, "shop.example softfail", "shop.example s1 pass"))},
			known{Reverse: "mx2.shop.example"}, advice.Ours, "fine", ""},
		{"some pass", []string{reportOf("a.example", "", row("fail", "pass", 40, "shop.example pass", ""),
			row("fail", "fail", 60, "x.example none", ""))}, known{}, advice.Unknown, "unknown",
			"a forgery, or a host"},
		{"a service that aligns, and one message of it that does not", []string{reportOf("a.example", "", good,
			row("pass", "fail", 999, "bounce.hd.example pass", "shop.example hd1 pass"),
			row("fail", "fail", 1, "bounce.hd.example fail", "shop.example hd1 fail"))}, known{},
			advice.Service, "fine", ""},
		{"a verdict that a person gave", []string{reportOf("a.example", "", at(good, src))},
			known{Class: advice.NotOurs},
			advice.NotOurs, "spoof", "forgery"},
		{"all is well", []string{reportOf("a.example", "", at(good, src))}, known{}, advice.Ours,
			"fine", "passes by aligned DKIM"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sum := New()
			for _, text := range tc.reports {
				f, rows := read(t, text)
				sum.Report(f)
				for _, r := range rows {
					sum.Add(f, r)
				}
			}
			domains := sum.Domains()
			if len(domains) != 1 {
				t.Fatalf("%d domains", len(domains))
			}
			var got *Source
			for _, s := range domains[0].Sources(func(_ string, a netip.Addr) Known {
				if a.String() == src {
					return tc.known
				}
				return Known{}
			}) {
				if s.Name == src {
					got = &s
				}
			}
			if got == nil {
				t.Fatal("the source is missing")
			}
			isCode := tc.code == "" || got.Cause.Code == tc.code
			if got.Class != tc.class || !isCode || got.Why == "" ||
				!strings.Contains(got.Cause.Text, tc.says) {
				t.Errorf("got %s (%s), %s: %s\nwant %s, %s, with %q", got.Class, got.Why,
					got.Cause.Code, got.Cause.Text, tc.class, tc.code, tc.says)
			}
			if got.OtherSPF > 0 && strings.Contains(got.Cause.Text, "include") &&
				!strings.Contains(got.Cause.Text, "would not help") {
				t.Errorf("recommends an include for a foreign envelope domain: %s", got.Cause.Text)
			}
		})
	}
}

func read(t *testing.T, text string) (*report.Feedback, []*report.Row) {
	t.Helper()
	var rows []*report.Row
	f, err := report.ReadXML(strings.NewReader(text), func(r *report.Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, rows
}

// TestBounds holds that the memory of a tally does not grow with addresses and names that a sender
// makes up, and that no message is lost.
func TestBounds(t *testing.T) {
	sum := New()
	f := &report.Feedback{}
	f.Policy.Domain = "shop.example"
	const n = maxSources + 3000
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		sum.Add(f, &report.Row{Source: a.String(), Address: a, Count: 2, DKIM: "fail", SPF: "fail"})
	}
	for i := range 1000 {
		a := netip.MustParseAddr("10.0.0.0")
		name := fmt.Sprint("d", i, ".example")
		sum.Add(f, &report.Row{Source: a.String(), Address: a, Count: 1, DKIM: "fail", SPF: "fail",
			HeaderFrom:   name,
			EnvelopeFrom: name, Signatures: []report.SignatureResult{{Domain: name, Selector: name,
				Result: "pass"}}})
	}
	d := sum.Domains()[0]
	list := d.Sources(nil)
	var messages int64
	for _, s := range list {
		messages += s.Messages
	}
	if len(list) != maxSources+1 || messages != 2*n+1000 || d.Messages != messages {
		t.Errorf("%d sources with %d messages of %d", len(list), messages, d.Messages)
	}
	if list[0].Name != further || list[0].Messages != 6000 || list[0].Class != advice.Spoof {
		t.Errorf("the largest is %s with %d messages (%s)", list[0].Name, list[0].Messages,
			list[0].Class)
	}
	if s := d.sources["10.0.0.0"]; len(s.good) != maxNames || len(s.froms) != maxNames ||
		len(s.envelopes) != maxNames {
		t.Errorf("%d selectors, %d names of From, %d envelopes", len(s.good), len(s.froms),
			len(s.envelopes))
	}
}

// F11: what is not an address is shown with its messages, and is of no class but "unknown".
func TestNoAddress(t *testing.T) {
	sum := New()
	f := &report.Feedback{Rows: 1, Messages: 3}
	f.Policy.Domain = "example.com"
	sum.Report(f)
	sum.Add(f, &report.Row{Source: "108r.166.27.220", Count: 3, DKIM: "fail", SPF: "fail",
		HeaderFrom: "example.com"})
	got := sum.Domains()[0].Sources(nil)
	if len(got) != 1 || got[0].Name != "108r.166.27.220" || got[0].Messages != 3 ||
		got[0].Class != advice.Unknown ||
		!strings.Contains(got[0].Cause.Text, "108r.166.27.220") {
		t.Errorf("got %+v", got)
	}
}
