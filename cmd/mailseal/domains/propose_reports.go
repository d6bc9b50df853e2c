package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/advice"
)

// maxSources bounds how many sources of reports a proposal names, those with most messages.
const maxSources = 20

// fromReports lets in the addresses that reports show to be the domain's own and that SPF would not
// pass, and reports for each source whether it is let in.
func (q *SPFWishes) fromReports(ctx context.Context, name domain.Name, text string,
	out *publish.Proposal) error {
	if q.Reports == nil {
		return nil
	}
	r, err := q.Reports.Of(ctx, name.String())
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("the DMARC reports on %s: %w", name, err))
	}
	own := slices.DeleteFunc(slices.Clone(r.Sources), func(s advice.Source) bool {
		return !s.Class.IsOwn() || s.Messages < fewest && !s.Judged
	})
	if len(own) == 0 {
		out.Notes = append(out.Notes, fmt.Sprintf(
			"The reports of %d days show no source of the domain's own mail.", reportedDays))
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Sources of the domain's mail in the reports of %d days:\n", reportedDays)
	now := dns.Pretend{Resolver: q.Resolver, Name: name.String(), Text: text}
	for i := range own[:min(len(own), maxSources)] {
		s := &own[i]
		fmt.Fprintf(&b, "  %s from %s (%s): "+
			"%s\n", messages(s.Messages), s.Name, s.Class, q.place(ctx, now, name, s))
	}
	if n := len(own) - maxSources; n > 0 {
		fmt.Fprintf(&b, "  and %s with fewer messages\n",
			advice.Plural(int64(n), "source", "sources"))
	}
	out.Notes = append(out.Notes, strings.TrimSpace(b.String()))
	return nil
}

// place decides whether a source is let in. An include helps only
// where the envelope domain is the domain's own, since SPF is asked of that one.
func (q *SPFWishes) place(ctx context.Context, now dns.Pretend, name domain.Name,
	s *advice.Source) string {
	if s.Envelope != "" && s.Envelope != name.String() {
		text := "not added: receivers check SPF for its envelope domain, " +
			"" + s.Envelope + ", so a term here will not help"
		if s.DKIM*100 < s.Messages*99 {
			text += "; have it sign as the domain"
		}
		return text
	}
	var added []netip.Prefix
	for _, addr := range s.Addresses {
		if !passes(ctx, now, name, addr) {
			added = append(added, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	if len(added) == 0 {
		return "already allowed"
	}
	q.Addresses = append(q.Addresses, added...)
	return "added"
}
