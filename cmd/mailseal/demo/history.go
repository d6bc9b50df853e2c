package demo

import (
	"fmt"
	"net/netip"
	"time"

	"mailseal/milter/report"
)

// historyDays is how far the made up reports go back: advice asks for 30 days, and judges 90.
const historyDays = 60

// receivers report to the demo's domains, with their share of the mail.
var receivers = []struct {
	name  string
	share int64
}{
	{"google.com", 50}, {"microsoft.com", 22}, {"yahooinc.com", 9}, {"amazonses.com", 6},
	{"mimecast.org", 3},
}

// Addresses that mail comes from: the demo's host, a service that sends newsletters and signs as
// itself, a host that passes mail on, and one that forges.
var (
	ownHost   = netip.MustParseAddr("192.0.2.25")
	service   = netip.MustParseAddr("198.51.100.12")
	forwarder = netip.MustParseAddr("198.51.100.77")
	forger    = netip.MustParseAddr("203.0.113.9")
)

// history makes reports of each receiver on each domain and full day, the same whenever it is asked
// on that day or later.
func history(now time.Time, version string, take func(name string, received time.Time,
	text []byte) error) error {
	today := now.UTC().Truncate(24 * time.Hour)
	for back := historyDays; back >= 1; back-- {
		day := today.AddDate(0, 0, -back)
		for _, r := range receivers {
			for _, domain := range []string{"example.com", "shop.example"} {
				a := made(domain, r.name, r.share, day)
				a.Generator = "mailseal " + version + " demo"
				text, err := a.Write()
				if err != nil {
					return fmt.Errorf("the report of %s on %s: %w", r.name, domain, err)
				}
				received := day.Add(30 * time.Hour)
				if received.After(now) {
					received = now
				}
				if err := take(a.ID+".xml", received, text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// made is the report of a receiver on a domain and day: mostly good mail; on Thursdays a newsletter
// of shop.example by a service that does not sign for it.
func made(domain, receiver string, share int64, day time.Time) *report.Aggregate {
	policy := report.Policy{Domain: domain, Text: "v=DMARC1; p=quarantine; rua=mailto:dmarc@" +
		domain, P: "quarantine", SP: "quarantine",
		NP: "quarantine", ADKIM: "r", ASPF: "r", Discovery: "treewalk"}
	a := &report.Aggregate{
		ID: report.ID(day, &policy, receiver, 1), Organization: receiver, Email: "dmarc@" + receiver,
		Begin: day, End: day.Add(24*time.Hour - time.Second), Policy: policy,
	}
	busy := int64(4)
	if w := day.Weekday(); w == time.Saturday || w == time.Sunday {
		busy = 1
	}
	signed := func(by, result string) []report.DKIMAuth {
		return []report.DKIMAuth{{Domain: by, Selector: "rsa", Result: result,
			Aligned: by == domain}}
	}
	add := func(n int64, e report.Evaluation) {
		if n <= 0 {
			return
		}
		e.HeaderFrom = domain
		if e.Disposition == "" {
			e.Disposition = "none"
		}
		a.Rows = append(a.Rows, report.Counted{Evaluation: e, Count: n})
	}
	add(share*busy+int64(day.YearDay())%7, report.Evaluation{Client: ownHost, DKIM: true, SPF: true,
		EnvelopeFrom: domain,
		SPFAuth:      &report.SPFAuth{Domain: domain, Result: "pass"},
		Signatures:   signed(domain, "pass")})
	add(share/10, report.Evaluation{Client: forwarder, DKIM: true, EnvelopeFrom: "forward.example",
		SPFAuth:    &report.SPFAuth{Domain: "forward.example", Result: "pass"},
		Signatures: signed(domain, "pass")})
	if domain == "shop.example" && day.Weekday() == time.Thursday {
		add(share*8, report.Evaluation{Client: service, Disposition: "quarantine",
			EnvelopeFrom: "bounce.newsletter.example",
			SPFAuth:      &report.SPFAuth{Domain: "bounce.newsletter.example", Result: "pass"},
			Signatures:   signed("newsletter.example", "pass")})
	}
	if (day.YearDay()+len(receiver))%5 == 0 {
		add(1+share/20, report.Evaluation{Client: forger, Disposition: "quarantine",
			EnvelopeFrom: "junk.example",
			SPFAuth:      &report.SPFAuth{Domain: "junk.example", Result: "softfail"}})
	}
	return a
}
