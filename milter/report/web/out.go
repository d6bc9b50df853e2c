package web

import (
	"context"
	"html/template"
	"strings"

	"mailseal/milter/report/advice"
)

// outPage says what leaves tonight, and to whom nothing goes.
func (s *Server) outPage(ctx context.Context, v visit) (*page, error) {
	o, err := s.read.Outgoing(ctx, v.now)
	if err != nil {
		return nil, err
	}
	sends := int64(0)
	now := advice.DayOf(v.now)
	t := &Table{Name: "tonight", Caption: "Each domain that asks for reports gets one if every " +
		"condition is met. The DNS is queried only when a report is sent: an address at another " +
		"domain must have agreed. A relation is that one of your users wrote to the domain in the " +
		"last 90 days, that its mail passed DMARC on at least 3 days over 14 or more, that mail " +
		"which only forges it failed on 3 days from 2 networks, or that reports.domains lists it.",
		Empty: "No domain that sent mail here asks for reports, or reports.collect is false.",
		Columns: []Column{{Key: "domain", Title: "Policy domain", Wrap: true},
			{Key: "state", Title: "Tonight"},
			{Key: "allowed", Title: "Allowed", Gap: true}, {Key: "relation", Title: "Relation"},
			{Key: "relation_note", Title: "rests on", Wrap: true},
			{Key: "address", Title: "Address"},
			{Key: "permission", Title: "Permission"},
			{Key: "not_suppressed", Title: "Not suppressed"},
			{Key: "enough", Title: "Enough"},
			{Key: "messages", Title: "Messages", Right: true, Gap: true},
			{Key: "rows", Title: "rows", Right: true}, {Key: "at", Title: "At, UTC"},
			{Key: "why", Title: "Why", Wrap: true}}}
	commands, instead := s.changes(ctx, v)
	for _, r := range o.Rows {
		if r.State == "sends" {
			sends++
		}
		t.Rows = append(t.Rows, []Cell{text(r.Domain).head().to(previewURL(r.Domain)),
			text(r.State), r.Gates.Allowed.cell(), {Value: r.Gates.Relation.word(),
				HTML: r.Gates.Relation.html()}, reasonCell(r.Gates.Relation.Note).as("s"),
			r.Gates.Address.cell(), r.Gates.Permission.cell(), r.Gates.Free.cell(),
			r.Gates.Enough.cell(),
			{Value: r.Messages, HTML: plain(advice.Count(r.Messages))},
			{Value: r.Rows, HTML: plain(advice.Count(r.Rows))}, moment(r.At),
			reasonCell(r.Why)})
	}
	sent := &Table{Name: "sent", Caption: "The newest first.", Empty: "None yet.",
		Columns: []Column{{Key: "domain", Title: "Domain", Wrap: true}, {Key: "day", Title: "Day"},
			{Key: "to", Title: "To", Wrap: true}, {Key: "sent", Title: "Sent, UTC"},
			{Key: "state", Title: "State", Wrap: true}}}
	if commands != nil {
		sent.Columns = append(sent.Columns, Column{Title: "What to do", Forms: true})
	}
	for _, r := range o.Sent {
		row := []Cell{text(r.Domain).head(), day(r.Day, now), text(r.To),
			moment(r.At), reasonCell(r.State)}
		if commands != nil {
			c := Cell{}
			if r.Failed {
				c.Form = &rowForm{Action: "/out", Buttons: []rowButton{{"resend", r.ID,
					"Send the report again", "to each of its addresses that did not get it"}}}
			}
			row = append(row, c)
		}
		sent.Rows = append(sent.Rows, row)
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
	p.Lead = append(p.Lead, instead...)
	p.Sections = []section{{ID: "tonight", Title: "Tonight", Table: t},
		{ID: "sent", Title: "Sent", Table: sent}, suppressed(o.Blocked, v, commands != nil)}
	if len(o.Hosts) > 0 {
		p.Sections = append(p.Sections,
			section{ID: "hosts", Title: "Hosts", Table: hostTable(o.Hosts)})
	}
	return p, nil
}

// cell is a cell with a gate: an open one is quiet, and a closed one says why.
func (g Gate) cell() Cell {
	value, shown := g.word(), g.html()
	if g.Note != "" {
		value += ": " + g.Note
	}
	return Cell{Value: value, HTML: shown}.note(plain(visible(g.Note)))
}

func (g Gate) html() template.HTML {
	switch {
	case !g.Known:
		return `<span class="mute">later</span>`
	case g.Open:
		return `<span class="mute">yes</span>`
	}
	return "<b>no</b>"
}

// suppressed lists the addresses that get no reports.
func suppressed(list []Suppression, v visit, mayChange bool) section {
	t := &Table{Name: "suppressed", Caption: "After a bounce an address gets no reports for 7 " +
		"days, after a second one for 30, and then for 180.",
		Empty: "None: no report bounced, and no administrator added an address.",
		Columns: []Column{{Key: "address", Title: "Address", Wrap: true},
			{Key: "why", Title: "Why", Wrap: true}, {Key: "until", Title: "Until"}}}
	if mayChange {
		t.Columns = append(t.Columns, Column{Title: "What to do", Forms: true})
	}
	for _, b := range list {
		row := []Cell{text(b.Address).head(), reasonCell(b.Why), moment(b.Until)}
		if mayChange {
			row = append(row, Cell{Form: &rowForm{Action: "/out", Buttons: []rowButton{{"release",
				b.Address, "Remove", b.Address}}}})
		}
		t.Rows = append(t.Rows, row)
	}
	out := section{ID: "supp", Title: "Suppressed addresses", Table: t}
	if mayChange {
		today := advice.DayOf(v.now)
		out.Suppress = &suppressForm{First: (today + 1).String(), Until: (today + 365).String()}
	}
	return out
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
