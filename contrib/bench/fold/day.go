package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"mailseal/milter/report"
)

// day makes the mail of a day as a host with many domains gets it: few domains have most of it and
// most have little (heavy tail), a quarter is forged and comes from anywhere.
type day struct {
	r       *rand.Rand
	domains *rand.Zipf
	sources *rand.Zipf
	begin   time.Time
	pace    time.Duration // between two messages
	n       int
}

const (
	domains     = 200_000 // whose mail passes
	forged      = 30_000  // others, in whose name forgers write
	forgedShare = 4       // one of so many messages
	strangers   = 400_000 // addresses of forgers and forwarders
)

func newDay(begin time.Time, messages int) *day {
	r := rand.New(rand.NewPCG(1, 2))
	return &day{r: r, domains: rand.NewZipf(r, 1.15, 3, domains),
		sources: rand.NewZipf(r, 1.3, 4, 400),
		begin:   begin, pace: 24 * time.Hour / time.Duration(messages)}
}

func (d *day) next() report.Evaluation {
	n := d.domains.Uint64()
	isForged := d.r.IntN(forgedShare) == 0
	if isForged {
		n = 1_000_000 + uint64(d.r.IntN(forged))
	}
	domain := fmt.Sprintf("d%d.example", n)
	e := report.Evaluation{
		Time: d.begin.Add(d.pace * time.Duration(d.n)), Disposition: "none", HeaderFrom: domain,
		EnvelopeFrom: domain, SPF: !isForged, DKIM: !isForged && d.r.IntN(50) > 0,
		Policy: report.Policy{
			Domain: domain, Text: "v=DMARC1; p=none; rua=mailto:dmarc@" + domain, P: "none", SP: "none",
			NP: "none", ADKIM: "r", ASPF: "r", FO: "0", Discovery: "treewalk", URIs: []string{"mailto:dmarc@" + domain},
		},
	}
	d.n++
	if d.r.IntN(6) == 0 {
		e.HeaderFrom = fmt.Sprintf("s%d.%s", d.r.IntN(4), domain)
	}
	address := uint32(n*7919+d.sources.Uint64())%(1<<24) | 0x0a000000
	if isForged || d.r.IntN(40) == 0 {
		address = 0x50000000 | d.r.Uint32N(strangers)
	}
	e.Client = netip.AddrFrom4([4]byte{byte(address >> 24), byte(address >> 16), byte(address >> 8),
		byte(address)})
	if d.r.IntN(3) == 0 {
		e.EnvelopeFrom = fmt.Sprintf("bounce.esp%d.example", address%200)
	}
	result := map[bool]string{true: "pass", false: "fail"}
	e.SPFAuth = &report.SPFAuth{Domain: e.EnvelopeFrom, Result: result[d.r.IntN(100) < 96]}
	e.Signatures = []report.DKIMAuth{{
		Domain: domain, Selector: fmt.Sprintf("sel%d", n%5), Result: result[e.DKIM], Aligned: true,
	}}
	if d.r.IntN(3) == 0 {
		e.Signatures = append(e.Signatures,
			report.DKIMAuth{Domain: fmt.Sprintf("esp%d.example", address%200), Selector: "s1",
				Result: "pass"})
	}
	return e
}
