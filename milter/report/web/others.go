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
	if tlsSums.Reports > 0 {
		out[0].Text = append(out[0].Text, say("Mail to %s: %s of %s sessions failed, by %s.",
			x.domain.Name, tlsSums.Bad, tlsSums.Good+tlsSums.Bad,
			link("/tls?"+f.query(), plain(advice.Plural(tlsSums.Reports, "report", "reports")))))
	}
	if failureSums.Reports > 0 {
		out[1].Text = append(out[1].Text, say("%s of single messages that failed.",
			link("/failures?"+f.query(),
				plain(advice.Plural(failureSums.Reports, "report", "reports")))))
	}
	return out, nil
}

// otherPage lists reports of a kind.
func (s *Server) otherPage(ctx context.Context, v visit, kind OtherKind) (*page, error) {
	f, err := s.selection(ctx, v)
	if err != nil {
		return nil, err
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
	n := plain(advice.Plural(sums.Reports, "report", "reports"))
	out := section{ID: string(kind), Title: "Reports", Pager: v.pager(sums.Reports, rowsOfPage)}
	switch kind {
	case TLSReports:
		p.Title, p.Heading = "TLS reports", say("%s on TLS, %s: %s of %s sessions failed.", n,
			period(f, now), sums.Bad, sums.Good+sums.Bad)
		out.Table = tlsTable(list, now)
	default:
		p.Title, p.Heading = "Failure reports", say("%s of single messages that failed, %s.", n,
			period(f, now))
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
			text(cmp.Or(o.Proven, "no domain"))})
	}
	return t
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
			text(o.Reporter), text(cmp.Or(o.Proven, "no domain"))})
	}
	return t
}
