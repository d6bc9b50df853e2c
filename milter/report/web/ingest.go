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
	failed := int64(len(in.Errors))
	p := &page{Current: "/ingest", Title: advice.Plural(failed, "report", "reports") + " not read",
		Filter: v.filter}
	p.Heading = say("%s today; %s could not be read.",
		plain(advice.Plural(in.Today, "report was stored", "reports were stored")),
		plain(cmp.Or(map[bool]string{failed == 0: "none"}[true], advice.Count(failed))))
	b := dayBars{from: now - 29, to: now, late: now, days: map[advice.Day]Counts{}}
	for _, d := range in.Days {
		b.days[d.Day] = Counts{Messages: d.N, Pass: d.N}
	}
	p.Facts = []fact{{Label: "Stored today", Value: number(in.Today, "/reports").HTML,
		Note: say("usually %s at this hour", in.Usual)},
		{Label: "Duplicates", Value: plain(advice.Count(in.Duplicates)), Note: "not counted twice"},
		{Label: "Not read", Value: link("#errors", plain(advice.Count(failed)))},
		{Label: "Not verified", Value: link("#unverified", plain(advice.Count(int64(len(in.Unverified)))))},
		{Label: "Not your domain", Value: link("#others", plain(advice.Count(int64(len(in.Others)))))},
		{Label: "Reports by day", Value: sparkline("reports stored in 30 days", b, nil)}}
	if !in.Last.IsZero() {
		p.Facts = append(p.Facts, fact{Label: "Last mail", Value: timeHTML(in.Last)})
	}
	errorsTable := &Table{Name: "errors",
		Caption: "These mails are kept unchanged for reports.intake.raw_days, and not counted.",
		Empty:   "None: every mail that arrived was read.",
		Columns: []Column{{Key: "received", Title: "Received, UTC"}, {Key: "code", Title: "Code"},
			{Key: "why", Title: "Why", Wrap: true}, {Key: "from", Title: "From", Wrap: true},
			{Key: "subject", Title: "Subject", Wrap: true},
			{Key: "bytes", Title: "Bytes", Right: true}}}
	for _, e := range in.Errors {
		errorsTable.Rows = append(errorsTable.Rows, []Cell{moment(e.At), text(e.Code), text(e.Why),
			text(e.From).head(), text(e.Subject),
			{Value: e.Length, HTML: plain(advice.Count(e.Length))}})
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
	p.Sections = []section{{ID: "errors", Title: "Not read", Table: errorsTable}}
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

// silentSection lists receivers that reported daily and do not any more.
func (s *Server) silentSection(ctx context.Context, v visit) section {
	t := &Table{Name: "silent", Caption: "Receivers that reported on most days, and stopped.",
		Empty: "None: every receiver that reports daily is on time.", Fit: true,
		Columns: []Column{{Key: "receiver", Title: "Receiver"}, {Key: "domain", Title: "Domain"},
			{Key: "days", Title: "Days", Right: true}, {Key: "last", Title: "Last day"}}}
	out := section{ID: "silent", Title: "Silent receivers", Table: t}
	reporters, err := s.read.Receivers(ctx, v.filter)
	if err != nil {
		out.Text = []template.HTML{"The list could not be read."}
		return out
	}
	now := advice.DayOf(v.now)
	for _, r := range reporters {
		if now-r.Last > 4 && r.Days*10 >= 6*int(v.filter.To-v.filter.From+1) {
			t.Rows = append(t.Rows, []Cell{text(r.Receiver).head(), text(r.Domain),
				{Value: int64(now - r.Last), HTML: plain(advice.Count(int64(now - r.Last)))},
				day(r.Last, now)})
		}
	}
	return out
}

// outPage says what leaves tonight, and to whom nothing goes.
func (s *Server) outPage(ctx context.Context, v visit) (*page, error) {
	o, err := s.read.Outgoing(ctx, v.now)
	if err != nil {
		return nil, err
	}
	sends := int64(0)
	now := advice.DayOf(v.now)
	t := &Table{Name: "tonight", Caption: "Each domain that asks for reports, whether it gets " +
		"one, and why. The DNS is asked only when a report is sent: an address at another domain " +
		"must have agreed.",
		Empty: "No domain that sent mail here asks for reports, or reports.collect is false.",
		Columns: []Column{{Key: "domain", Title: "Policy domain", Wrap: true},
			{Key: "state", Title: "Tonight"}, {Key: "why", Title: "Why", Wrap: true},
			{Key: "messages", Title: "Messages", Right: true}, {Key: "at", Title: "At, UTC"}}}
	for _, r := range o.Rows {
		if r.State == "sends" {
			sends++
		}
		t.Rows = append(t.Rows, []Cell{text(r.Domain).head(), text(r.State), reasonCell(r.Why),
			{Value: r.Messages, HTML: plain(advice.Count(r.Messages))}, moment(r.At)})
	}
	sent := &Table{Name: "sent", Caption: "The newest first.", Empty: "None yet.",
		Columns: []Column{{Key: "domain", Title: "Domain", Wrap: true}, {Key: "day", Title: "Day"},
			{Key: "to", Title: "To", Wrap: true}, {Key: "sent", Title: "Sent, UTC"},
			{Key: "state", Title: "State"}}}
	for _, r := range o.Sent {
		sent.Rows = append(sent.Rows, []Cell{text(r.Domain).head(), day(r.Day, now), text(r.To),
			moment(r.At), reasonCell(r.State)})
	}
	blocked := &Table{Name: "suppressed", Caption: "These addresses get no reports for 7 days " +
		"after a bounce, for 30 after a second one, and then for 180.",
		Empty: "None: no report bounced.",
		Columns: []Column{{Key: "address", Title: "Address", Wrap: true},
			{Key: "why", Title: "Why", Wrap: true}, {Key: "until", Title: "Until"}}}
	for _, b := range o.Blocked {
		blocked.Rows = append(blocked.Rows, []Cell{text(b.Address).head(), reasonCell(b.Why),
			moment(b.Until)})
	}
	p := &page{Current: "/out", Title: advice.Plural(sends, "report is", "reports are") +
		" sent tonight", Filter: v.filter,
		Heading: say("%s sent tonight.", plain(advice.Plural(sends, "report is", "reports are")))}
	if o.More > 0 {
		p.Lead = append(p.Lead, say("Only the %s with the most messages are shown; %s more ask "+
			"for reports.",
			plain(advice.Plural(int64(len(o.Rows)), "domain", "domains")),
			plain(advice.Count(int64(o.More)))))
	}
	if !o.On {
		p.Title, p.Heading = "Sending is off", "Sending is off (reports.send). This is what "+
			"would be sent."
	}
	if waits := s.waits(); waits != "" {
		p.Lead = append(p.Lead, plain(waits))
	}
	p.Sections = []section{{ID: "tonight", Title: "Tonight", Table: t},
		{ID: "sent", Title: "Sent", Table: sent},
		{ID: "supp", Title: "Suppressed addresses", Table: blocked}}
	if len(o.Hosts) > 0 {
		p.Sections = append(p.Sections,
			section{ID: "hosts", Title: "Hosts", Table: hostTable(o.Hosts)})
	}
	return p, nil
}

// hostTable lists the hosts that share the database.
func hostTable(list []OutHost) *Table {
	t := &Table{Name: "hosts", Caption: "The hosts that share the database. When the host that " +
		"leads fails, another host leads within half a minute.",
		Columns: []Column{{Key: "host", Title: "Host", Wrap: true},
			{Key: "leads", Title: "Leads", Wrap: true},
			{Key: "seen", Title: "Seen, UTC"}, {Key: "segments", Title: "Waiting segments", Right: true},
			{Key: "bytes", Title: "Bytes", Right: true}, {Key: "oldest", Title: "Oldest, UTC"}}}
	for _, h := range list {
		t.Rows = append(t.Rows, []Cell{text(h.Host).head(), text(strings.Join(h.Leads, ", ")),
			moment(h.Seen),
			{Value: h.Segments, HTML: plain(advice.Count(h.Segments))},
			{Value: h.Bytes, HTML: plain(advice.Count(h.Bytes))}, moment(h.Oldest)})
	}
	return t
}

// reasonCell is a cell with a reason in full, which may quote another host.
func reasonCell(s string) Cell {
	return Cell{Value: s, HTML: plain(visible(s))}
}
