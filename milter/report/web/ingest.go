package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// ingestPage reports whether reports arrive, and which did not get in.
func (s *Server) ingestPage(ctx context.Context, v visit) (*page, error) {
	in, err := s.intake(ctx)
	if err != nil {
		return nil, err
	}
	now := advice.DayOf(v.now)
	failed := in.unread()
	p := &page{Current: "/ingest", Title: advice.Plural(failed, "mail", "mails") + " not read",
		Filter: v.filter}
	p.Heading = say("%s today, and every mail could be read.",
		plain(advice.Plural(in.Today, "report was stored", "reports were stored")))
	if in.UnreadToday > 0 {
		p.Heading = say("%s today; %s not be read.",
			plain(advice.Plural(in.Today, "report was stored", "reports were stored")),
			plain(advice.Plural(in.UnreadToday, "mail could", "mails could")))
	}
	b := dayBars{from: now - 29, to: now, late: now, days: map[advice.Day]Counts{}}
	for _, d := range in.Days {
		b.days[d.Day] = Counts{Messages: d.N, Pass: d.N}
	}
	p.Facts = []fact{{Label: "Stored today", Value: number(in.Today, "/reports").HTML,
		Note: say("usually %s at this hour", in.Usual)},
		{Label: "Arrived today", Value: plain(advice.Plural(in.Mails, "mail", "mails")),
			Note: plain(size(in.Bytes))},
		{Label: "Duplicates today", Value: plain(advice.Count(in.Duplicates)),
			Note: "not counted twice"},
		{Label: "Not read", Value: link("#errors", plain(advice.Count(failed)))},
		{Label: "Not verified", Value: link("#unverified", plain(advice.Count(int64(len(in.Unverified)))))},
		{Label: "Not your domain", Value: link("#others", plain(advice.Count(int64(len(in.Others)))))},
		{Label: "Reports by day", Value: sparkline("reports stored in 30 days", b, nil)}}
	if !in.Last.IsZero() {
		p.Facts = append(p.Facts, fact{Label: "Last mail", Value: timeHTML(in.Last)})
	}
	unverified := section{ID: "unverified", Title: "Senders not verified",
		Table: strangers("unverified", in.Unverified, now,
			"Stored and shown, but not counted: their mail has no aligned DKIM or SPF pass for "+
				"the reporter’s domain.",
			"None: every report was sent by the reporter that it names.")}
	commands, why := s.changes(ctx, v)
	p.Lead = append(p.Lead, why...)
	if commands != nil {
		for _, u := range in.Unverified {
			if d := decide("trust", u.Org); !slices.Contains(unverified.Decide, d) {
				unverified.Decide = append(unverified.Decide, d)
			}
		}
	}
	p.Sections = []section{unreadSection(in, commands != nil)}
	if commands != nil {
		p.Sections = append(p.Sections, section{ID: "upload", Title: "Upload", Upload: true})
	}
	p.Sections = append(p.Sections, s.silentSection(ctx, v), unverified,
		decidedSection(in, commands != nil),
		section{ID: "others", Title: "Domains not yours",
			Table: strangers("others", in.Others, now,
				"Reports on a domain that is not configured.",
				"None: every report is about a domain of yours.")},
		section{ID: "ruf", Title: "Failure and TLS reports",
			Text: []template.HTML{say("%s failure reports and %s TLS reports are stored.",
				in.Failures, in.TLS)}})
	return p, nil
}

// unread is how many mails there are in which something could not be read.
func (in *Intake) unread() (n int64) {
	for _, k := range in.Unread {
		n += k.N
	}
	return max(n, int64(len(in.Errors)))
}

// unreadSection lists mails in which something could not be read. Those who may change something
// see them as they came, have them read again and delete them.
func unreadSection(in Intake, mayChange bool) section {
	t := &Table{Name: "errors",
		Caption: "These mails are kept unchanged for reports.intake.raw_days, and not counted.",
		Empty:   "None: every mail that arrived was read.",
		Columns: []Column{{Key: "received", Title: "Received, UTC"}, {Key: "code", Title: "Kind"},
			{Key: "why", Title: "Why", Wrap: true}, {Key: "from", Title: "From", Wrap: true},
			{Key: "subject", Title: "Subject", Wrap: true},
			{Key: "bytes", Title: "Bytes", Right: true}}}
	if n := in.unread(); n > int64(len(in.Errors)) {
		t.Caption = say("The latest %s of %s. They are kept unchanged for "+
			"reports.intake.raw_days, and not counted.", len(in.Errors), n)
	}
	if mayChange {
		t.Columns = append(t.Columns, Column{Title: "What to do", Forms: true})
	}
	for _, e := range in.Errors {
		at := moment(e.At)
		row := []Cell{at, text(e.Code), text(strings.ReplaceAll(e.Why, "\n", "; ")),
			text(e.From).head(), text(e.Subject),
			{Value: e.Length, HTML: plain(advice.Count(e.Length))}}
		if mayChange {
			row[0] = at.to(unreadURL(e.ID))
			c := Cell{HTML: link(unreadURL(e.ID), "Look") + " " +
				link(unreadURL(e.ID)+"#delete", "Delete"), Class: "nw"}
			if e.Held {
				c.Form = &rowForm{Action: "/ingest", Buttons: []rowButton{{"reread", itoa(e.ID),
					"Read again", "number " + itoa(e.ID)}}}
			}
			row = append(row, c)
		}
		t.Rows = append(t.Rows, row)
	}
	out := section{ID: "errors", Title: "Not read", Table: t}
	for _, k := range in.Unread {
		if mayChange && k.Held > 0 {
			out.Decide = append(out.Decide, decideForm{Field: "rereadkind", Org: k.Kind,
				Text: "Read all " + advice.Count(k.Held) + " again of kind"})
		}
	}
	return out
}

// size is a number of bytes for a reader.
func size(n int64) string {
	switch {
	case n < 10_000:
		return advice.Count(n) + " bytes"
	case n < 10_000_000:
		return advice.Count(n/1000) + " KB"
	}
	return advice.Count(n/1_000_000) + " MB"
}

func strangers(nameOfTable string, list []Stranger, now advice.Day, caption,
	empty template.HTML) *Table {
	t := &Table{Name: nameOfTable, Caption: caption, Empty: empty,
		Columns: []Column{{Key: "reporter", Title: "Reporter named", Wrap: true},
			{Key: "from", Title: "Sender of the mail", Wrap: true},
			{Key: "domain", Title: "Domain", Wrap: true}, {Key: "reports", Title: "Reports",
				Right: true}, {Key: "since", Title: "Since"}}}
	for _, u := range list {
		t.Rows = append(t.Rows, []Cell{text(u.Org).head(), text(u.From), text(u.Domain),
			{Value: u.Reports, HTML: plain(advice.Count(u.Reports))},
			day(advice.DayOf(u.Since), now)})
	}
	return t
}

// reporters returns when each receiver reported on each domain: as role intake found it out, where
// that is kept, since there may be a million reports in the period.
func (s *Server) reporters(ctx context.Context, v visit) ([]Reporter, error) {
	kept, _, ok, err := s.domainStates(ctx)
	if err != nil {
		return nil, err
	}
	if !ok || kept.Mark == (Mark{}) {
		return s.read.Receivers(ctx, usual(advice.DayOf(v.now)))
	}
	var out []Reporter
	for n, x := range kept.Domains {
		for _, r := range x.Reporters {
			out = append(out, r.reporter(n, x.Day))
		}
	}
	slices.SortFunc(out, func(a, b Reporter) int {
		return cmp.Or(cmp.Compare(a.Receiver, b.Receiver), cmp.Compare(a.Domain, b.Domain))
	})
	return out, nil
}

// silentSection lists receivers that reported daily and do not any more.
func (s *Server) silentSection(ctx context.Context, v visit) section {
	t := &Table{Name: "silent", Caption: "Receivers that reported on most days, and stopped.",
		Empty: "None: every receiver that reports daily is on time.", Fit: true,
		Columns: []Column{{Key: "receiver", Title: "Receiver"}, {Key: "domain", Title: "Domain"},
			{Key: "days", Title: "Days", Right: true}, {Key: "last", Title: "Last day"}}}
	out := section{ID: "silent", Title: "Silent receivers", Table: t}
	reporters, err := s.reporters(ctx, v)
	if err != nil {
		out.Text = []template.HTML{"The list could not be read."}
		return out
	}
	now := advice.DayOf(v.now)
	reporters = slices.DeleteFunc(reporters, func(r Reporter) bool {
		return now-r.Last <= 4 || !advice.IsDaily(r.Days, r.First, r.Last)
	})
	if len(reporters) > listedRows && v.format == "" {
		t.Caption = say("The first %s of %s receivers that reported on most days, and stopped; "+
			"all are in the CSV and JSON.", listedRows, len(reporters))
		reporters = reporters[:listedRows]
	}
	for _, r := range reporters {
		t.Rows = append(t.Rows, []Cell{text(r.Receiver).head(), text(r.Domain),
			{Value: int64(now - r.Last), HTML: plain(advice.Count(int64(now - r.Last)))},
			day(r.Last, now)})
	}
	return out
}
