package advice

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// rowsOfShop are messages of each kind. In each the receivers found what the identifiers give.
func rowsOfShop() []Row {
	signed := func(d string) []Signature { return []Signature{{d, "s1", "pass"}} }
	ip := netip.MustParseAddr
	return []Row{
		{Source: "hosts", Class: Ours, Address: ip("192.0.2.1"), From: "shop.example",
			Envelope: "shop.example", SPF: "pass", DKIM: signed("shop.example"),
			AlignedDKIM: true, AlignedSPF: true, Messages: 1000},
		{Source: "invoices", Class: Ours, Address: ip("2001:db8::25"), From: "shop.example",
			Envelope: "shop.example", SPF: "pass", AlignedSPF: true, Messages: 240},
		{Source: "sub", Class: Ours, Address: ip("192.0.2.3"), From: "shop.example",
			Envelope: "x.test", DKIM: signed("mail.shop.example"), AlignedDKIM: true, Messages: 30},
		{Source: "bounces", Class: Ours, Address: ip("192.0.2.4"), From: "shop.example",
			Envelope: "bounce.shop.example", SPF: "pass", AlignedSPF: true, Messages: 20},
		{Source: "news", Class: Service, Address: ip("192.0.2.5"), From: "shop.example",
			Envelope: "esp.example", SPF: "pass", DKIM: signed("esp.example"), Messages: 400, Held: true},
		{Source: "list", Class: Forwarding, Address: ip("192.0.2.6"), From: "shop.example",
			Envelope: "list.test", SPF: "pass", Messages: 12},
		{Source: "bad", Class: Spoof, Address: ip("192.0.2.7"), From: "login.shop.example",
			Missing: true, Messages: 7},
		{Source: "worse", Class: Spoof, Address: ip("192.0.2.8"), From: "www.shop.example",
			Messages: 5, Refused: true},
	}
}

func linesText(lines []Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, fmt.Sprint(l.Code, " ", l.Today, ">", l.Then))
	}
	return strings.Join(out, " ")
}

// TestWhatIf holds what each change does to the same messages.
func TestWhatIf(t *testing.T) {
	net := func(list ...string) []netip.Prefix {
		var out []netip.Prefix
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	at := func(step Step) Policy { return Policy{Step: step, ADKIM: "r", ASPF: "r"} }
	tests := []struct {
		name   string
		policy Policy
		change Change
		want   string
	}{
		{"nothing changes", at(Quarantine), Change{}, "pass 1290>1290 own-held 400>400 " +
			"forwarded-held 0>12 forwarded-delivered 12>0 other-refused 5>0 other-held 0>12 other-delivered 7>0"},
		{"p=reject", at(Quarantine), Change{P: "reject"}, "pass 1290>1290 own-refused 0>400 own-held 400>0 " +
			"forwarded-refused 0>12 forwarded-delivered 12>0 other-refused 5>12 other-delivered 7>0"},
		{"p=none", at(Quarantine), Change{P: "none"}, "pass 1290>1290 own-held 400>0 own-delivered 0>400 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
		{"t=y asks for less", at(RejectTest), Change{}, "pass 1290>1290 own-held 400>400 " +
			"forwarded-held 0>12 forwarded-delivered 12>0 other-refused 5>0 other-held 0>12 other-delivered 7>0"},
		{"sp=reject alone", at(None), Change{SP: "reject"}, "pass 1290>1290 own-held 400>0 own-delivered 0>400 " +
			"forwarded-delivered 12>12 other-refused 5>12 other-delivered 7>0"},
		{"np=reject alone", at(None), Change{NP: "reject"}, "pass 1290>1290 own-held 400>0 own-delivered 0>400 " +
			"forwarded-delivered 12>12 other-refused 5>7 other-delivered 7>5"},
		{"sp=none, np=quarantine", at(Reject), Change{SP: "none", NP: "quarantine"},
			"pass 1290>1290 own-refused 0>400 own-held 400>0 forwarded-refused 0>12 forwarded-delivered 12>0 " +
				"other-refused 5>0 other-held 0>7 other-delivered 7>5"},
		{"published sp under t=y", Policy{Step: QuarantineTest, SP: "reject"}, Change{},
			"pass 1290>1290 own-held 400>0 own-delivered 0>400 forwarded-delivered 12>12 " +
				"other-refused 5>0 other-held 0>12 other-delivered 7>0"},
		{"no SPF", at(Reject), Change{NoSPF: true}, "pass 1290>1030 own-refused 0>660 own-held 400>0 " +
			"forwarded-refused 0>12 forwarded-delivered 12>0 other-refused 5>12 other-delivered 7>0"},
		{"strict DKIM", at(None), Change{ADKIM: "s"}, "pass 1290>1260 own-held 400>0 own-delivered 0>430 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
		{"strict SPF", at(None), Change{ASPF: "s"}, "pass 1290>1270 own-held 400>0 own-delivered 0>420 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
		{"without an include of IPv6", at(None), Change{Without: "ip6:2001:db8::/32",
			WithoutNet: net("2001:db8::25/128")}, "pass 1290>1050 own-held 400>0 own-delivered 0>640 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
		{"without a term of bounces, whose name has a record of its own", at(None), Change{Without: "ip4:192.0.2.4",
			WithoutNet: net("192.0.2.4/32")}, "pass 1290>1290 own-held 400>0 own-delivered 0>400 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
		{"without a term of mail that is signed", at(None), Change{Without: "ip4:192.0.2.1",
			WithoutNet: net("192.0.2.1/32")}, "pass 1290>1290 own-held 400>0 own-delivered 0>400 " +
			"forwarded-delivered 12>12 other-refused 5>0 other-delivered 7>12"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got := linesText(WhatIf("shop.example", c.policy, rowsOfShop(), c.change))
			if got != c.want {
				t.Errorf("got\n%s, want\n%s", got, c.want)
			}
		})
	}
	lines := WhatIf("shop.example", at(Reject), rowsOfShop(), Change{NoSPF: true})
	if got := fmt.Sprint(lines[0].Because); got != "[{invoices 240} {bounces 20}]" {
		t.Errorf("because of %s", got)
	}
}

// TestWhatIfKeepsFindings holds that what a receiver found stands where the change does not touch
// it, although the identifiers do not show why.
func TestWhatIfKeepsFindings(t *testing.T) {
	rows := []Row{
		{Source: "parent", Class: Ours, From: "eu.shop.example", AlignedDKIM: true, Messages: 10,
			DKIM: []Signature{{"shop.example", "s1", "pass"}}},
		{Source: "left out", Class: Ours, From: "eu.shop.example", AlignedDKIM: true, Messages: 5},
	}
	for change, want := range map[Change2]string{{P: "reject"}: "pass 15>15",
		{ADKIM: "s"}: "pass 15>5 own-refused 0>10"} {
		got := WhatIf("eu.shop.example", Policy{Step: Reject}, rows,
			Change{P: change.P, ADKIM: change.ADKIM})
		if linesText(got) != want {
			t.Errorf("%+v: %s, want %s", change, linesText(got), want)
		}
	}
}

// Change2 is a Change that can be the key of a map.
type Change2 struct{ P, ADKIM string }

// TestWhatIfRecount judges random messages again in another way, one by one, and compares the sums.
func TestWhatIfRecount(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 17))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range 3000 {
		domain := "shop.example"
		p := Policy{Step: Step(r.IntN(5)), SP: pick("", "none", "reject"),
			NP: pick("", "none", "quarantine")}
		c := Change{P: pick("", "none", "quarantine", "reject"), SP: pick("", "", "reject"),
			NP: pick("", "", "reject"), ADKIM: pick("", "s"), ASPF: pick("", "s"),
			NoSPF: r.IntN(5) == 0}
		var rows []Row
		gone := netip.MustParseAddr(pick("192.0.2.1", "2001:db8::1", "198.51.100.7"))
		if r.IntN(3) == 0 {
			c.Without = "include:x.test"
			c.WithoutNet = []netip.Prefix{netip.PrefixFrom(gone, gone.BitLen())}
		}
		for range 1 + r.IntN(12) {
			classes := []Class{Ours, Service, Forwarding, Unknown, Spoof}
			row := Row{Source: pick("a", "b", "c"), Class: classes[r.IntN(5)],
				Address:  netip.MustParseAddr(pick("192.0.2.1", "2001:db8::1", "198.51.100.7")),
				From:     pick(domain, domain, "a."+domain, "SHOP.example"),
				Envelope: pick("", domain, "a."+domain, "esp.test", "Shop.Example."),
				SPF:      pick("pass", "fail"), Messages: int64(r.IntN(1000))}
			row.Missing = row.From == "a."+domain && r.IntN(2) == 0
			for range r.IntN(3) {
				row.DKIM = append(row.DKIM, Signature{pick(domain, "a."+domain, "esp.test"), "s",
					pick("pass", "fail")})
			}
			inside := func(name string) bool {
				name = strings.TrimSuffix(strings.ToLower(name), ".")
				return name == domain || strings.HasSuffix(name, "."+domain)
			}
			row.AlignedDKIM = slices.ContainsFunc(row.DKIM, func(s Signature) bool {
				return s.Result == "pass" && inside(s.Domain)
			})
			row.AlignedSPF = row.SPF == "pass" && inside(row.Envelope)
			row.Held, row.PassedOn = r.IntN(3) == 0, r.IntN(5) == 0
			row.Refused = !row.Held && r.IntN(3) == 0
			rows = append(rows, row)
		}
		want := map[string][2]int64{}
		for i := range rows {
			today, then := recount(domain, p, c, &rows[i], gone)
			a := want[today]
			a[0] += rows[i].Messages
			want[today] = a
			b := want[then]
			b[1] += rows[i].Messages
			want[then] = b
		}
		got := map[string][2]int64{}
		for _, l := range WhatIf(domain, p, rows, c) {
			got[l.Code] = [2]int64{l.Today, l.Then}
		}
		for code := range want {
			if got[code] != want[code] {
				t.Fatalf("%s: %v, want %v\n%+v\n%+v\n%+v", code, got[code], want[code], p, c, rows)
			}
		}
	}
}

// recount judges a row with the plainest words of RFC 9989.
func recount(domain string, p Policy, c Change, r *Row, gone netip.Addr) (today, then string) {
	low := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }
	who := "other"
	if r.Class == Ours || r.Class == Service {
		who = "own"
	}
	if r.Class == Forwarding || r.PassedOn {
		who = "forwarded"
	}
	became := "delivered"
	if r.Held {
		became = "held"
	}
	if r.Refused {
		became = "refused"
	}
	today = who + "-" + became
	if r.AlignedDKIM || r.AlignedSPF {
		today = "pass"
	}
	for _, s := range r.DKIM {
		ours := low(s.Domain) == domain || strings.HasSuffix(low(s.Domain), "."+domain)
		if s.Result == "pass" && ours && (c.ADKIM == "" || low(s.Domain) == low(r.From)) {
			return today, "pass"
		}
	}
	if envelope := low(r.Envelope); !c.NoSPF && r.SPF == "pass" &&
		(envelope == domain || strings.HasSuffix(envelope, "."+domain)) &&
		(c.ASPF == "" || envelope == low(r.From)) &&
		(c.Without == "" || r.Address != gone || envelope != domain) {
		return today, "pass"
	}
	published := []string{"none", "quarantine", "quarantine", "reject", "reject"}[p.Step]
	sp, np := p.SP, p.NP
	if (p.Step == QuarantineTest || p.Step == RejectTest) && c.P == "" {
		less := map[string]string{"reject": "quarantine", "quarantine": "none", "none": "none"}
		published, sp, np = less[published], less[sp], less[np]
	}
	asked := published
	if c.P != "" {
		asked = c.P
	}
	if low(r.From) != domain {
		for _, s := range []string{sp, c.SP} {
			if s != "" {
				asked = s
			}
		}
		if r.Missing {
			for _, s := range []string{np, c.NP} {
				if s != "" {
					asked = s
				}
			}
		}
	}
	became = map[string]string{"none": "delivered", "quarantine": "held",
		"reject": "refused"}[asked]
	return today, who + "-" + became
}
