package web

import (
	"context"
	"html/template"
	"net/netip"

	"mailseal/milter/report/advice"
)

// everywherePage shows what one source sent as each of the domains that the visitor may see.
func (s *Server) everywherePage(ctx context.Context, v visit, source string) (*page, error) {
	domains, err := s.domains(ctx, v)
	if err != nil {
		return nil, err
	}
	sums, isWhole, err := s.sentAsEach(ctx, v, domains, source)
	if err != nil {
		return nil, err
	}
	if len(sums) == 0 && isWhole {
		return nil, ErrNotFound
	}
	var total Counts
	t := &Table{Name: "domains", Fit: true, Caption: say("What %s sent as each domain, %s.", source,
		period(v.filter, advice.DayOf(v.now))), Empty: "No domain.",
		Columns: []Column{{Key: "domain", Title: "Domain"}, {Key: "messages", Title: "Messages", Right: true},
			{Key: "dmarc_percent", Title: "DMARC, %", Right: true},
			{Key: "dkim_percent", Title: "DKIM, %", Right: true}, {Key: "spf_percent", Title: "SPF, %", Right: true},
			{Key: "delivered", Title: "Fail: delivered", Right: true, Gap: true},
			{Key: "held", Title: "held", Right: true},
			{Key: "refused", Title: "refused", Right: true}}}
	key := "source"
	if _, err := netip.ParseAddr(source); err == nil {
		key = "address"
	}
	for _, sum := range sortedSums(sums) {
		total.Add(sum.Counts)
		f := v.filter
		f.Domains = []string{sum.Domain}
		to := func(pairs ...string) string {
			return f.messages(append([]string{key, source}, pairs...)...)
		}
		t.Rows = append(t.Rows, []Cell{{Value: sum.Domain, Head: true,
			HTML: link(sourceURL(sum.Domain, source)+"?"+f.query("domain", ""), name(sum.Domain))},
			number(sum.Messages, to()), rate(sum.Pass, sum.Messages),
			words(advice.Rate(sum.DKIM, sum.Messages)).as("mute"),
			words(advice.Rate(sum.SPF, sum.Messages)).as("mute"),
			number(sum.Delivered, to("result", "delivered")),
			number(sum.Held, to("result", "held")),
			number(sum.Refused, to("result", "refused"))})
	}
	p := &page{Current: "/", Title: visible(source), Filter: v.filter, Periods: periods(v),
		Crumbs: []crumb{{"Domains", "/"}, {name(source), ""}},
		Heading: say("%s sent %s as %s.", source, plain(advice.Plural(total.Messages, "message", "messages")),
			plain(advice.Plural(int64(len(sums)), "domain", "domains"))), Facts: countFacts(total)}
	if !isWhole {
		p.Lead = []template.HTML{say("With more than %s domains, this page shows single addresses "+
			"only: search for an address of the source.", int64(maxJudgedNow))}
	}
	p.Sections = []section{{ID: "domains", Title: "Domains", Table: t}}
	return p, nil
}

// sentAsEach adds up what a source sent as each domain. That of a name is found in the sources of
// each domain, so isWhole is false for it where there are many.
func (s *Server) sentAsEach(ctx context.Context, v visit, domains []Domain,
	source string) (sums []Sum, isWhole bool,
	err error) {
	f := v.filter
	f.Receiver, f.Domains = "", names(domains)
	if f.address(source) == nil {
		sums, err = s.read.Sums(ctx, f, ByDomain)
		return sums, true, err
	}
	if len(domains) > maxJudgedNow {
		return nil, false, nil
	}
	f.Domains = nil
	for _, d := range domains {
		x, err := s.facts(ctx, d, f)
		if err != nil {
			return nil, true, err
		}
		if src := x.find(source); src != nil {
			sums = append(sums, Sum{Domain: d.Name, Counts: src.counts})
		}
	}
	return sums, true, nil
}
