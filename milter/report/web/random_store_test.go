package web

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// The domains of the random store. One is below another one, and one sends nothing.
var randomDomains = []string{"shop.example", "eu.shop.example", "other.example", "parked.example"}

// randomReport writes reports as receivers do: with fields left out, words in capitals, names of
// strangers, and addresses that are none.
type randomReport struct {
	r *rand.Rand
}

func (g randomReport) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func element(name, value string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(value))
	return "<" + name + ">" + b.String() + "</" + name + ">"
}

// maybe is an element that receivers leave out at times.
func (g randomReport) maybe(name, value string) string {
	if g.r.IntN(4) == 0 {
		return ""
	}
	return element(name, value)
}

// report writes a report of an organization on a domain and a day.
func (g randomReport) report(id, org, domain string, day time.Time) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><feedback><report_metadata>` + element("org_name", org) +
		element("email", "noreply@"+org) + element("report_id", id) +
		fmt.Sprintf("<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>",
			day.Unix(), day.Unix()+86399))
	b.WriteString("<policy_published>" + element("domain", domain) +
		element("p", g.pick("none", "quarantine", "quarantine")) + g.maybe("sp", "none") +
		"</policy_published>")
	for range 1 + g.r.IntN(6) {
		b.WriteString(g.row(domain))
	}
	return []byte(b.String() + "</feedback>")
}

// row writes a record. What it says need not be consistent, as with receivers.
func (g randomReport) row(domain string) string {
	hostile := g.pick("<script>alert(1)</script>", "\u202egro.live", "=1+1",
		strings.Repeat("a", 63)+".test")
	result := func() string {
		return g.pick("pass", "pass", "pass", "fail", "fail", "PASS", "none", hostile)
	}
	ip := g.pick("192.0.2.10", "192.0.2.10", "192.0.2.11", "198.51.100.7", "2001:db8::25",
		"::ffff:203.0.113.9", "203.0.113."+g.pick("1", "2", "3", "4", "5", "6"), "X.X.X.X")
	count := g.pick("1", "2", "30", "80")
	if g.r.IntN(4) == 0 {
		count = g.pick("0", "1", "2", "17", "40", "999", "1000000000")
	}
	disposition := g.pick("none", "none", "quarantine", "reject", "Reject", hostile)
	reason := ""
	if g.r.IntN(5) == 0 {
		kind := g.pick("mailing_list", "forwarded", "local_policy", "trusted_forwarder", hostile)
		reason = "<reason>" + element("type", kind) + g.maybe("comment", hostile) + "</reason>"
	}
	from := g.pick(domain, domain, domain, "www."+domain, "EU.Shop.Example", hostile, "")
	envelope := g.pick(domain, "bounce."+domain, "esp.test", hostile, "")
	auth := ""
	for range g.r.IntN(4) {
		auth += "<dkim>" + element("domain", g.pick(domain, "esp.test", hostile)) +
			g.maybe("selector", g.pick("s1", "s2", hostile)) +
			element("result", result()) + "</dkim>"
	}
	if g.r.IntN(6) > 0 {
		checked := g.pick(domain, "bounce."+domain, "esp.test", hostile)
		auth += "<spf>" + element("domain", checked) +
			g.maybe("scope", g.pick("mfrom", "helo")) + element("result", result()) + "</spf>"
	}
	return "<record><row>" + element("source_ip", ip) + element("count", count) +
		"<policy_evaluated>" + g.maybe("disposition", disposition) +
		element("dkim", result()) + element("spf", result()) + reason +
		"</policy_evaluated></row><identifiers>" + g.maybe("header_from", from) +
		g.maybe("envelope_from", envelope) + "</identifiers><auth_results>" + auth +
		"</auth_results></record>"
}

// randomStore fills a store by the intake: reports of 40 days, some of them twice, some that differ
// from one that is there, some of a reporter that is not verified, and some of one that is refused.
func randomStore(t *testing.T, seed uint64) *Stored {
	t.Helper()
	s, err := store.Open(
		t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	g := randomReport{rand.New(rand.NewPCG(seed, 10))}
	in := &intake.Intake{Store: s, Domains: randomDomains}
	var all []*store.Arrival
	add := func(trust, org string, data []byte, day time.Time) {
		all = append(
			all,
			&store.Arrival{
				Received:    day.Add(30 * time.Hour),
				Via:         "import",
				Name:        "r.xml",
				Trust:       trust,
				TrustDomain: org,
				Data:        data,
			},
		)
	}
	for back := 40; back >= 1; back-- {
		day := today.Time().AddDate(0, 0, -back)
		for i, org := range []string{"google.com", "outlook.com", "gmx.net", "unproved.test",
			"refused.test"} {
			for _, domain := range randomDomains {
				if g.r.IntN(3) > 0 {
					continue
				}
				data := g.report(fmt.Sprint(back, "-", i, "-", domain), org, domain, day)
				trust := store.Aligned
				if org == "unproved.test" {
					trust = store.Unaligned
				}
				owner := org
				if trust == store.Unaligned {
					owner = "evil.test"
				}
				add(trust, owner, data, day)
				switch g.r.IntN(12) {
				case 0:
					add(trust, owner, append([]byte(" \n"), data...), day)
				case 1:
					add(
						trust,
						owner,
						bytes.Replace(data, []byte("<count>1<"), []byte("<count>5<"), 1),
						day,
					)
				}
			}
		}
	}
	if _, err := in.TakeAll(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Refuse(t.Context(), "refused.test"); err != nil || n == 0 {
		t.Fatalf("%d reports were refused: %v", n, err)
	}
	return &Stored{Store: s, Names: randomDomains, Parked: []string{"parked.example"},
		Networks: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.10/32"),
		}, Now: func() time.Time { return clock }}
}
