package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"strings"

	"mailseal/milter/report/advice"
)

// latestOthers is how many TLS and failure reports the page of a domain shows.
const latestOthers = 5

// otherSections are the TLS reports and the failure reports on a domain.
func (s *Server) otherSections(ctx context.Context, x *facts) ([]section, error) {
	f := Filter{From: x.filter.From, To: x.filter.To, Domains: []string{x.domain.Name}}
	tls, tlsSums, err := s.read.Others(ctx, TLSReports, f, Window{Rows: latestOthers})
	if err != nil {
		return nil, err
	}
	failures, failureSums, err := s.read.Others(ctx, FailureReports, f, Window{Rows: latestOthers})
	if err != nil {
		return nil, err
	}
	out := []section{
		{Cols: "cols c2", ID: "tls", Title: "TLS reports", Table: tlsTable(tls, x.now)},
		{ID: "failures", Title: "Failure reports", Table: failureTable(failures, x.now), End: true}}
	if tlsSums.reports() > 0 {
		text := say("Mail to %s: ", x.domain.Name)
		if tlsSums.Verified.Reports == 0 {
			text = ""
		}
		text += tlsSums.sessions(func(n template.HTML) template.HTML {
			return link("/tls?"+f.query(), n)
		})
		out[0].Text = append(out[0].Text, text)
	}
	if failureSums.reports() > 0 {
		out[1].Text = append(out[1].Text, say("%s of single messages that failed%s.",
			link("/failures?"+f.query(),
				plain(advice.Plural(failureSums.reports(), "report", "reports"))),
			failureSums.unverified()))
	}
	return out, nil
}

// sessions says how many sessions failed, by TLS reports that are verified, and how many
// reports there are beside these. in makes a link of the number of reports.
func (s *OtherSums) sessions(in func(template.HTML) template.HTML) template.HTML {
	var parts []string
	if v := s.Verified; v.Reports > 0 {
		parts = append(parts, string(say("%s of %s sessions failed, by %s.", v.Bad, v.Good+v.Bad,
			in(plain(advice.Plural(v.Reports, "report", "reports"))))))
	}
	if u := s.Unverified; u.Reports > 0 {
		parts = append(parts, string(say(
			"Not counted: %s without authentication, which any sender "+
				"can have written.", in(plain(advice.Plural(u.Reports, "report", "reports"))))))
	}
	return template.HTML(strings.Join(parts, " ")) //nolint:gosec // parts were escaped
}

// unverified names those of the reports that any sender can have written.
func (s *OtherSums) unverified() template.HTML {
	if s.Unverified.Reports == 0 {
		return ""
	}
	return say(" (%s of them without authentication: any sender can have written those)",
		s.Unverified.Reports)
}

// otherPage lists reports of a kind.
func (s *Server) otherPage(ctx context.Context, v visit, kind OtherKind) (*page, error) {
	f, err := s.selection(ctx, v)
	if err != nil {
		return nil, err
	}
	if v.session.all() && v.q.Get("domain") == "" && v.chosen() == "" {
		f.Domains = nil // also those on names that are no domain of ours
	}
	window := Window{Offset: v.offset(rowsOfPage), Rows: rowsOfPage}
	if v.format != "" {
		window = Window{Rows: rowsOfExport}
	}
	list, sums, err := s.read.Others(ctx, kind, f, window)
	if err != nil {
		return nil, err
	}
	now := advice.DayOf(v.now)
	p := &page{Wide: true, Current: "/", Filter: v.filter, Periods: periods(v),
		Lead: []template.HTML{v.described()}}
	n := plain(advice.Plural(sums.reports(), "report", "reports"))
	out := section{ID: string(kind), Title: "Reports", Pager: v.pager(sums.Rows, rowsOfPage)}
	switch kind {
	case TLSReports:
		p.Title, p.Heading = "TLS reports", say("%s on TLS, %s.", n, period(f, now))
		if sums.reports() > 0 {
			p.Lead = append(p.Lead, sums.sessions(func(n template.HTML) template.HTML { return n }))
		}
		out.Table = tlsTable(list, now)
	default:
		p.Title, p.Heading = "Failure reports", say("%s of single messages that failed%s, %s.", n,
			sums.unverified(), period(f, now))
		out.Table = failureTable(list, now)
	}
	p.Crumbs = []crumb{{"Domains", "/"}, {plain(p.Title), ""}}
	p.Sections = []section{out}
	return p, nil
}

// tlsTable has a row for each policy of a TLS report.
func tlsTable(list []Other, now advice.Day) *Table {
	t := &Table{Name: "tls", Fit: true, Caption: "How senders could encrypt mail to the domain, " +
		"by policy. The newest first.",
		Empty: "None in this period. They come to the rua of the TXT record at _smtp._tls.",
		Columns: []Column{{Key: "day", Title: "Day"}, {Key: "domain", Title: "Domain", Wrap: true},
			{Key: "reporter", Title: "Reporter", Wrap: true}, {Key: "policy", Title: "policy"},
			{Key: "successful", Title: "Sessions", Right: true},
			{Key: "failed", Title: "failed", Right: true},
			{Key: "why", Title: "Why, and for which host", Wrap: true},
			{Key: "authenticated", Title: "verified for", Wrap: true}}}
	for i := range list {
		o := &list[i]
		failed := Cell{Value: o.Bad, HTML: plain(advice.Count(o.Bad))}
		if o.Bad > 0 {
			failed.Class = "bad"
		}
		t.Rows = append(t.Rows, []Cell{day(advice.DayOf(o.Begin), now).head(), text(o.Domain),
			text(o.Reporter), text(o.Policy),
			{Value: o.Good, HTML: plain(advice.Count(o.Good))}, failed, text(o.why()),
			text(o.proof())})
	}
	return t
}

// proof is what is known of where a report comes from.
func (o *Other) proof() string {
	if o.Proven == "" && o.File {
		return "a file"
	}
	return cmp.Or(o.Proven, "no domain")
}

// maxWhys is how many reasons of a TLS report a row names.
const maxWhys = 3

// why are the reasons for which sessions failed.
func (o *Other) why() string {
	var out []string
	for _, f := range o.Failures[:min(len(o.Failures), maxWhys)] {
		at := ""
		if f.Host != "" {
			at = " at " + f.Host
		}
		out = append(out, fmt.Sprintf("%s%s (%d)", f.Result, at, f.Sessions))
	}
	if more := len(o.Failures) - maxWhys; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return cmp.Or(strings.Join(out, ", "), "–")
}

// failureTable has a row for each failure report.
func failureTable(list []Other, now advice.Day) *Table {
	t := &Table{Name: "failures", Fit: true, Caption: "Single messages that failed. The newest " +
		"first.",
		Empty: "None in this period. Few receivers send them, and only if the DMARC record has ruf.",
		Columns: []Column{{Key: "received", Title: "Received"},
			{Key: "domain", Title: "Domain", Wrap: true},
			{Key: "source", Title: "Source"}, {Key: "failed", Title: "failed"},
			{Key: "result", Title: "applied"}, {Key: "from", Title: "From", Wrap: true},
			{Key: "envelope", Title: "envelope", Wrap: true},
			{Key: "incidents", Title: "Messages", Right: true},
			{Key: "reporter", Title: "Reporter", Wrap: true},
			{Key: "authenticated", Title: "verified for", Wrap: true}}}
	for i := range list {
		o := &list[i]
		t.Rows = append(t.Rows, []Cell{moment(o.Received).head(), text(o.Domain), text(o.Source),
			text(cmp.Or(o.Failed, "–")), text(cmp.Or(o.Result, "–")), text(cmp.Or(o.From, "–")),
			text(cmp.Or(o.MailFrom, "–")), {Value: o.Bad, HTML: plain(advice.Count(o.Bad))},
			text(o.Reporter), text(o.proof())})
	}
	return t
}
