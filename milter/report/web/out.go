package web

import (
	"context"
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
	t := &Table{Name: "tonight", Caption: "Each domain that asks for reports, whether it gets " +
		"one, and why. The DNS is queried only when a report is sent: an address at another domain " +
		"must have agreed.",
		Empty: "No domain that sent mail here asks for reports, or reports.collect is false.",
		Columns: []Column{{Key: "domain", Title: "Policy domain", Wrap: true},
			{Key: "state", Title: "Tonight"}, {Key: "why", Title: "Why", Wrap: true},
			{Key: "messages", Title: "Messages", Right: true}, {Key: "at", Title: "At, UTC"}}}
	commands, instead := s.changes(ctx, v)
	for _, r := range o.Rows {
		if r.State == "sends" {
			sends++
		}
		t.Rows = append(t.Rows, []Cell{text(r.Domain).head().to(previewURL(r.Domain)),
			text(r.State), reasonCell(r.Why),
			{Value: r.Messages, HTML: plain(advice.Count(r.Messages))}, moment(r.At)})
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
