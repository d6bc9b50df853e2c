package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"

	"mailseal/milter/report/advice"
)

// newMatrix draws the rows of one page.
func (s *Server) newMatrix(ctx context.Context, b board, v visit) (*matrix, error) {
	all := b.lines
	m := &matrix{Days: advice.Plural(int64(v.filter.To-v.filter.From+1), "day", "days"),
		Caption: say("Mail with each domain in From, %s. Each number counts messages and leads "+
			"to a list of them.",
			period(v.filter, advice.DayOf(v.now)))}
	volume := map[string]int64{}
	for _, l := range all {
		for _, r := range l.x.receiver {
			volume[r.Receiver] += r.Messages
		}
	}
	for r := range volume {
		m.Wide = append(m.Wide, r)
	}
	slices.SortFunc(m.Wide, func(a, b string) int {
		return cmp.Or(cmp.Compare(volume[b], volume[a]), cmp.Compare(a, b))
	})
	m.Wide = m.Wide[:min(9, len(m.Wide))]
	m.Table = Table{Name: "domains"}
	if v.table != "" { // of all domains, which the page does not show
		m.Table = matrixTable(all, m.Wide)
	}
	all, parked := fold(all, v)
	first := min(v.offset(rowsOfMatrix), len(all))
	shown := all[first:min(first+rowsOfMatrix, len(all))]
	if !b.summed {
		if err := s.sumLines(ctx, shown, v.filter); err != nil {
			return nil, err
		}
	}
	for _, l := range shown {
		m.Rows = append(m.Rows, l.x.drawn().row(l.h, m.Wide))
	}
	if len(parked) > 0 && first+rowsOfMatrix >= len(all) {
		m.Folded = foldedLine(parked, v)
	}
	m.Pager = v.pager(int64(len(all)), rowsOfMatrix)
	return m, nil
}

func (x *facts) row(h health, receivers []string) matrixRow {
	d := x.domain
	f := x.filter
	pass, rated := x.rated()
	r := matrixRow{ID: rowID(d.Name), Word: h.word(), Name: name(d.Name), URL: domainURL(d.Name) +
		"?" + f.query("domain", ""),
		Why: h.why, Fix: h.fix, FixURL: h.fixURL, DNS: d.dnsCell()}
	r.Policy, r.Age, r.Seen = x.policyCell()
	title := d.Name + ": no reports"
	if x.total.Messages > 0 {
		title = d.Name + ": " + advice.Count(x.total.Pass) + " pass, " +
			advice.Count(x.total.Delivered) +
			" fail and were delivered, " + advice.Count(x.total.Held+x.total.Refused) +
			" held or refused"
	}
	var marks []advice.Day
	for _, e := range x.events {
		marks = append(marks, advice.DayOf(e.At))
	}
	r.Spark = sparkline(title, x.days, marks)
	r.Messages = number(x.total.Messages, f.messages())
	r.Pass = x.parkedOr(rate(pass, rated).to(domainURL(d.Name) + "?" + f.query("domain", "") +
		"#sources"))
	r.DKIM = x.parkedOr(Cell{HTML: plain(advice.Rate(x.total.DKIM, x.total.Messages))})
	r.SPF = x.parkedOr(Cell{HTML: plain(advice.Rate(x.total.SPF, x.total.Messages))})
	r.Held = number(x.total.Held, f.messages("result", "held"))
	r.Refused = number(x.total.Refused, f.messages("result", "refused"))
	unknown := x.grounds().Unknown
	r.Unknown = Cell{HTML: plain(advice.Count(unknown)), Class: "mute"}
	if unknown > 0 {
		r.Unknown = Cell{HTML: link(domainURL(d.Name)+"#sources", plain(advice.Count(unknown)))}
	}
	r.Receivers, r.Narrow = x.receiverCells(receivers)
	return r
}

// policyCell is the policy that the DNS shows, since when reports name it, and what they name if
// that is another one: some receivers remember a record for long. Without a check of the DNS it is
// the policy that reports name.
func (x *facts) policyCell() (policy, age string, seen template.HTML) {
	d := x.domain
	p := d.Published
	switch {
	case p == nil && !d.Known:
		return "unknown", "", ""
	case p == nil || d.Known && !p.Gone && p.Step == d.Policy.Step:
		return d.Policy.Step.String(), d.Policy.Since.Age(x.now), ""
	case p.Gone:
		policy = "no valid record"
	default:
		policy = p.Step.String()
	}
	switch {
	case !d.Known:
	case d.Was != nil && !p.Gone && *d.Was == p.Step:
		seen = say("seen: %s → %s on %s", plain(d.Was.String()), plain(d.Policy.Step.String()),
			dayHTML(d.Policy.Since, x.now))
	default:
		seen = say("seen: %s, %s", plain(d.Policy.Step.String()), dayHTML(d.Last, x.now))
	}
	return policy, "", seen
}

// dnsCell says what the last check of the domain's records found, and leads to it.
func (d Domain) dnsCell() Cell {
	switch c := d.DNS; {
	case c == nil:
		return Cell{Value: "", HTML: "–", Class: "mute"}
	case c.Faults > 0:
		return Cell{Value: c.words(), Class: "bad",
			HTML: link(domainURL(d.Name)+"#checked", plain(c.words()))}
	case c.Warnings > 0:
		return Cell{Value: c.words(), Class: "iffy",
			HTML: link(domainURL(d.Name)+"#checked", plain(c.words()))}
	}
	return Cell{Value: "ok", Class: "mute",
		HTML: link(domainURL(d.Name)+"#checked", "ok")}
}

func (x *facts) parkedOr(c Cell) Cell {
	if x.domain.Parked || x.total.Messages == 0 {
		return Cell{HTML: "–", Class: "mute"}
	}
	return c
}

func (x *facts) receiverCells(receivers []string) (wide []receiverCell, narrow receiverCell) {
	sums := map[string]Counts{}
	for _, r := range x.receiver {
		sums[r.Receiver] = r.Counts
	}
	last := map[string]Reporter{}
	for _, r := range x.reporter {
		last[r.Receiver] = r
	}
	rest, narrowRest := x.total, x.total
	for i, r := range receivers {
		c := x.cell(r, sums[r])
		c.Wide, c.First = i >= 4, i == 0
		rest.Add(negative(sums[r]))
		if i < 4 {
			narrowRest.Add(negative(sums[r]))
		}
		if p := last[r]; x.now-p.Last > 4 && advice.IsDaily(p.Days, p.First, p.Last) {
			c.Late, c.Class = true, c.Class+" late"
		}
		wide = append(wide, c)
	}
	other := x.cell("other", rest)
	other.Wide = true
	narrow = x.cell("other", narrowRest)
	return append(wide, other), narrow
}

func negative(c Counts) Counts {
	return Counts{-c.Messages, -c.Pass, -c.DKIM, -c.SPF, -c.Delivered, -c.Held, -c.Refused,
		-c.Forwarded, -c.Listed}
}

func (x *facts) cell(receiver string, c Counts) receiverCell {
	out := receiverCell{Name: receiver, Text: "–", Class: "none"}
	if c.Messages <= 0 || x.domain.Parked {
		return out
	}
	out.Text = advice.Rate(c.Pass, c.Messages)
	out.URL = domainURL(x.domain.Name) + "?" + x.filter.query("domain", "", "receiver", receiver)
	if receiver == "other" {
		out.URL = domainURL(x.domain.Name) + "?" + x.filter.query("domain", "") + "#receivers"
	}
	out.Class = map[string]string{"": "", "iffy": "b ", "bad": "c "}[rateClass(c.Pass, c.Messages)]
	switch share := c.Messages * 100 / max(x.total.Messages, 1); {
	case share >= 60:
		out.Class += "s12"
	case share >= 40:
		out.Class += "s10"
	case share >= 25:
		out.Class += "s8"
	case share >= 10:
		out.Class += "s6"
	default:
		out.Class += "s4"
	}
	return out
}

// dnsValues are what the last check of the records found, for programs: empty before the first.
func (d Domain) dnsValues() []Cell {
	out := make([]Cell, 3)
	if p := d.Published; p != nil && !p.Gone {
		out[0].Value = p.Step.String()
	} else if p != nil && p.Invalid {
		out[0].Value = "invalid"
	} else if p != nil {
		out[0].Value = "no record"
	}
	if d.DNS != nil {
		out[1].Value, out[2].Value = int64(d.DNS.Faults), int64(d.DNS.Warnings)
	}
	return out
}

// matrixTable is the overview as CSV and JSON: every domain, not only those of the page.
func matrixTable(all []scored, receivers []string) Table {
	t := Table{Name: "domains"}
	for _, key := range []string{"health", "domain", "policy", "messages", "pass", "dkim", "spf",
		"delivered", "held", "refused", "why", "dns_policy", "dns_faults", "dns_warnings"} {
		t.Columns = append(t.Columns, Column{Key: key})
	}
	for i := range receivers {
		t.Columns = append(t.Columns, Column{Key: "receiver_" + advice.Count(int64(i+1))},
			Column{Key: "receiver_" + advice.Count(int64(i+1)) + "_pass_percent"})
	}
	for _, s := range all {
		c := s.x.total
		row := []Cell{{Value: healthWords[s.h.level].word}, {Value: s.x.domain.Name},
			{Value: s.x.domain.Policy.Step.String()},
			{Value: c.Messages},
			{Value: c.Pass},
			{Value: c.DKIM},
			{Value: c.SPF},
			{Value: c.Delivered},
			{Value: c.Held},
			{Value: c.Refused}, {Value: s.h.short}}
		row = append(row, s.x.domain.dnsValues()...)
		sums := map[string]Counts{}
		for _, r := range s.x.receiver {
			sums[r.Receiver] = r.Counts
		}
		for _, r := range receivers {
			row = append(row, Cell{Value: r},
				Cell{Value: advice.Rate(sums[r].Pass, sums[r].Messages)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
