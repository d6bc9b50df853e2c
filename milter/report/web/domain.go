package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report/advice"
)

// domainPage shows what is wrong with a domain, since when, who causes it, and which policy comes
// next.
func (s *Server) domainPage(ctx context.Context, v visit, domain string) (*page, error) {
	d, err := s.domain(ctx, v, domain)
	if err != nil {
		return nil, err
	}
	x, err := s.facts(ctx, d, v.filter)
	if err != nil {
		return nil, err
	}
	h := x.healthOf()
	p := &page{Wide: true, Current: "/", Filter: x.filter,
		Title:  healthWords[h.level].word + ": " + d.Name,
		Crumbs: []crumb{{"Domains", "/"}, {name(d.Name), ""}}, Periods: periods(v)}
	finding := "nothing to do"
	switch {
	case h.short != "":
		finding = h.short
	case d.Parked:
		finding = "parked, and no mail uses its name"
		if x.total.Messages > 0 {
			finding = "parked; " + advice.Plural(x.total.Messages, "message", "messages") +
				" used its name"
		}
	case x.total.Messages == 0:
		finding = "no mail in this period"
	}
	p.Heading = h.word() + " " + say("%s: %s.", d.Name, prose(strings.TrimSuffix(finding, ".")))
	p.Facts = x.domainFacts(v.now)
	reasons, err := s.reasons(ctx, x, "", x.filter)
	if err != nil {
		return nil, err
	}
	month, err := s.month(ctx, x)
	if err != nil {
		p.Missing = "The days before this period could not be read."
	}
	detail, err := s.read.Detail(ctx, d.Name)
	if err != nil {
		p.Missing = "What the DNS says of keys and names could not be read."
	}
	p.Sections = append(p.Sections, x.problems(h), x.daySection(month), x.sourceSection(),
		x.receiverSection(reasons), x.nameSection(detail),
		x.dkimSection(detail), x.spfSection(), x.adviceSection(), x.whatIfSection(v, detail),
		x.checkedSection(detail, s.checker != nil))
	reports, n, err := s.read.Reports(ctx, x.filter, Window{Rows: 5})
	if err != nil {
		p.Missing = "The list of reports could not be read."
	}
	p.Sections = append(p.Sections, reportSection(reports, n, x))
	others, err := s.otherSections(ctx, x)
	if err != nil {
		p.Missing = "The lists of TLS and failure reports could not be read."
	}
	p.Sections = append(p.Sections, others...)
	p.askUse(ctx, s, v, d)
	if s.checker != nil {
		p.linkChecks(d.Name)
	}
	return p, nil
}

func (x *facts) domainFacts(now time.Time) []fact {
	d := x.domain
	pass, rated := x.rated()
	policy := x.policyFact()
	align := map[string]string{"s": "strict"}
	out := []fact{
		policy,
		{Label: "Alignment", Value: plain(cmp.Or(align[d.Policy.ADKIM], "relaxed")),
			Note: say("DKIM; SPF %s", plain(cmp.Or(align[d.Policy.ASPF], "relaxed")))},
		{Label: "Messages, " + advice.Plural(int64(x.filter.To-x.filter.From+1), "day", "days"),
			Value: number(x.total.Messages, x.filter.messages()).HTML},
		{Label: "Pass DMARC", Value: plain(percent(pass, rated)), Class: rateClass(pass, rated)},
		{Label: "Fail, delivered", Value: number(x.total.Delivered, x.filter.messages("result", "delivered")).HTML},
		{Label: "Held", Value: number(x.total.Held, x.filter.messages("result", "held")).HTML},
		{Label: "Refused", Value: number(x.total.Refused, x.filter.messages("result", "refused")).HTML},
		{Label: "Receivers", Value: plain(advice.Count(int64(len(x.receiver))))},
	}
	if d.DNS != nil {
		out = append(out, d.DNS.fact(now))
	}
	return out
}

// policyFact is the policy that the DNS shows, with what reports name; without a check of the DNS
// it is what reports name.
func (x *facts) policyFact() fact {
	d := x.domain
	shown, _, seen := x.policyCell()
	out := fact{Label: "Policy in the DNS", Value: plain(shown), Note: seen}
	if d.Published == nil {
		out.Label = "Policy seen"
	}
	if d.Published != nil && d.Published.At != "" && d.Published.At != d.Name {
		out.Note = say("by the record of %s", d.Published.At)
		return out
	}
	switch {
	case !d.Known && d.Published == nil:
		out.Note = "no report has named it"
	case d.Known && seen == "":
		out.Note = say("seen since %s", dayHTML(d.Policy.Since, x.now))
		if d.Was != nil {
			out.Note += say(", %s before", plain(d.Was.String()))
		}
	}
	return out
}

// fact says what the last check of the DNS found, and leads to it.
func (c *Checks) fact(now time.Time) fact {
	class := ""
	if c.Faults > 0 {
		class = "bad"
	}
	out := fact{Label: "DNS", Class: class, Value: link("#checked", plain(c.words()))}
	if !c.At.IsZero() {
		out.Note = say("checked %s", ago(c.At, now))
	}
	return out
}

// ago is a time of the last hour in minutes, and any other one as it is.
func ago(at, now time.Time) template.HTML {
	if m := now.Sub(at) / time.Minute; m >= 0 && m < 60 {
		return say("%s min ago", int64(m))
	}
	return timeHTML(at)
}

func (x *facts) problems(h health) section {
	out := section{ID: "problems", Title: "Problems"}
	for i := range x.sources {
		s := &x.sources[i]
		if s.Messages < 20 || s.cause.Severity == advice.Harmless || len(out.Findings) == 6 {
			continue
		}
		f := finding{Class: "is-warn", WordClass: "w-warn", Word: s.cause.Word,
			Text: prose(s.cause.Text), Fix: s.cause.Fix,
			Title: say("%s, %s", mono(s.Name), plain(advice.Plural(s.Messages, "message", "messages"))),
			URL:   sourceURL(x.domain.Name, s.Name) + "?" + x.filter.query("domain", "")}
		if s.cause.Severity == advice.Fault {
			f.Class, f.WordClass = "is-fail", "w-fail"
		}
		out.Findings = append(out.Findings, f)
	}
	for _, n := range x.advice.Notes {
		f := finding{Class: "is-warn", WordClass: "w-warn", Word: "DNS", Title: prose(n.Fix),
			Text: prose(n.Text)}
		if n.Alarm {
			f.Class, f.WordClass = "is-fail", "w-fail"
		}
		out.Findings = append(out.Findings, f)
	}
	if len(out.Findings) == 0 {
		text := plain("None: no source with 20 messages or more needs attention.")
		if h.level == healthNoData || h.level == healthWarn {
			text = h.why
		}
		out.Text = []template.HTML{text}
	}
	return out
}

func (x *facts) daySection(month map[advice.Day]Counts) section {
	c := x.total
	passedOn := c.Forwarded + c.Listed
	out := section{ID: "time", Title: "Messages by day", Key: []keyEntry{
		{Class: "p", Text: "pass", N: c.Pass},
		{Fill: "url(#fwd)", Text: "fail, forwarded", N: min(passedOn, c.Delivered)},
		{Class: "f", Text: "fail, delivered", N: max(0, c.Delivered-passedOn)},
		{Class: "h", Text: "held or refused", N: c.Held + c.Refused},
		{Fill: "url(#late)", Text: "reports still coming in", N: -1}}}
	letters := map[advice.Day]string{}
	for i, e := range x.events {
		letter := string(rune('A' + i%26))
		letters[advice.DayOf(e.At)] = letter
		out.Marks = append(out.Marks, mark{letter, say("%s: %s", timeHTML(e.At), esc(e.Text))})
	}
	out.Chart = chart(x.days, x.now, letters, func(d advice.Day) string {
		return x.filter.messages("from", d.String(), "to", d.String())
	})
	if moved := x.moved(month); moved != "" {
		out.Text = append(out.Text, moved)
	}
	t := &Table{Name: "days", Caption: "The same days as numbers. Each number leads to its " +
		"messages.", Fit: true,
		Columns: []Column{{Key: "day", Title: "Day"},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "pass", Title: "pass", Right: true},
			{Key: "delivered", Title: "fail, delivered", Right: true},
			{Key: "held", Title: "held", Right: true},
			{Key: "refused", Title: "refused", Right: true}},
		Empty: "No report covers a day of this period."}
	for d := x.filter.From; d <= x.filter.To; d++ {
		c, has := x.days.days[d]
		if !has {
			continue
		}
		at := []string{"from", d.String(), "to", d.String()}
		to := func(more ...string) string {
			return x.filter.messages(append(slices.Clone(at), more...)...)
		}
		t.Rows = append(t.Rows, []Cell{day(d, x.now).head(), number(c.Messages, to()),
			number(c.Pass, to("result", "pass")),
			number(c.Delivered, to("result", "delivered")), number(c.Held, to("result", "held")),
			number(c.Refused, to("result", "refused"))})
	}
	out.More = t
	return out
}

func (x *facts) sourceSection() section {
	t := &Table{Name: "sources", Caption: say("Sources of mail with %s in From, %s. DKIM and SPF "+
		"count aligned passes. The number of addresses opens to a list of them.",
		x.domain.Name, period(x.filter, x.now)),
		Empty: "No source: no message used the domain in this period.",
		Columns: []Column{{Key: "source", Title: "Source"}, {Key: "class", Title: "Class",
			Wrap: true}, {Key: "messages", Title: "Messages", Right: true, Gap: true},
			{Key: "dmarc_percent", Title: "DMARC, %", Right: true, Gap: true},
			{Key: "dkim_percent", Title: "DKIM, %", Right: true},
			{Key: "spf_percent", Title: "SPF, %", Right: true},
			{Key: "delivered", Title: "Fail: delivered", Right: true, Gap: true},
			{Key: "held", Title: "held", Right: true},
			{Key: "refused", Title: "refused", Right: true},
			{Key: "receivers", Title: "Receivers", Right: true, Gap: true},
			{Key: "addresses", Title: "addresses", Right: true},
			{Key: "first", Title: "first seen"},
			{Key: "last", Title: "last seen"},
			{Key: "trend", Title: "Trend"},
			{Key: "cause", Title: "Why", Wrap: true}}}
	for i := range x.sources {
		s := &x.sources[i]
		f := x.filter
		to := func(pairs ...string) string {
			return f.messages(append([]string{"source", s.Name}, pairs...)...)
		}
		dmarc := rate(s.Pass, s.Messages)
		if !s.Class.IsOwn() {
			dmarc.Class = "mute"
		}
		t.Rows = append(t.Rows, []Cell{
			{Value: s.Name, HTML: link(sourceURL(x.domain.Name, s.Name)+"?"+f.query("domain", ""),
				name(s.Name)), Head: true},
			words(string(s.Class)).note(prose(s.why)), number(s.Messages, to()), dmarc,
			Cell{Value: advice.Rate(s.DKIM, s.Messages),
				HTML: plain(advice.Rate(s.DKIM, s.Messages))}.as("mute"),
			Cell{Value: advice.Rate(s.SPF, s.Messages),
				HTML: plain(advice.Rate(s.SPF, s.Messages))}.as("mute"),
			number(s.Delivered, to("result", "delivered")), number(s.Held, to("result", "held")),
			number(s.Refused, to("result", "refused")),
			{Value: int64(len(s.receivers)),
				HTML: plain(advice.Count(int64(len(s.receivers))))},
			x.hostsCell(s), day(s.first, x.now), day(s.last, x.now), x.trendCell(s, i < charted),
			words(s.cause.Word)})
	}
	c := x.total
	t.Foot = []Cell{words("All").head(), {}, number(c.Messages, x.filter.messages()),
		{HTML: plain(advice.Rate(c.Pass, c.Messages))},
		{HTML: plain(advice.Rate(c.DKIM, c.Messages))},
		{HTML: plain(advice.Rate(c.SPF, c.Messages))},
		number(c.Delivered, ""),
		number(c.Held, ""),
		number(c.Refused, ""), {HTML: plain(advice.Count(int64(len(x.receiver))))}, {}, {}, {}, {},
		{}}
	return section{ID: "sources", Title: "Sources", Table: t}
}

func (x *facts) receiverSection(reasons []Sum) section {
	t := &Table{Name: "receivers", Caption: "Receivers that report, and what they did with mail " +
		"that failed.",
		Empty: "No receiver reported in this period.",
		Columns: []Column{{Key: "receiver", Title: "Receiver"},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "dmarc_percent", Title: "DMARC, %", Right: true},
			{Key: "delivered", Title: "Fail: delivered", Right: true, Gap: true},
			{Key: "held", Title: "held", Right: true},
			{Key: "refused", Title: "refused", Right: true},
			{Key: "reasons", Title: "own reasons given", Gap: true, Wrap: true},
			{Key: "last", Title: "last day", Gap: true},
			{Key: "delay_hours", Title: "delay, h", Right: true},
			{Key: "format", Title: "format"},
			{Key: "verified", Title: "verified"}}}
	last := map[string]Reporter{}
	for _, r := range x.reporter {
		last[r.Receiver] = r
	}
	for _, r := range x.receiver {
		to := func(pairs ...string) string {
			return x.filter.messages(append([]string{"receiver", r.Receiver}, pairs...)...)
		}
		p := last[r.Receiver]
		hours := int64(p.Delay.Hours())
		verified := "no"
		if p.Trusted {
			verified = "yes"
		}
		t.Rows = append(t.Rows, []Cell{
			{Value: r.Receiver, HTML: link("/receiver?"+Filter{From: x.filter.From,
				To: x.filter.To}.query("name", r.Receiver), name(r.Receiver)), Head: true},
			number(r.Messages, to()), rate(r.Pass, r.Messages),
			number(r.Delivered, to("result", "delivered")),
			number(r.Held, to("result", "held")), number(r.Refused, to("result", "refused")),
			reasonsCell(reasons, r.Receiver, x.filter.messages),
			day(p.Last, x.now), {Value: hours, HTML: plain(advice.Count(hours))},
			text(p.Format), words(verified)})
	}
	return section{ID: "receivers", Title: "Receivers", Table: t}
}
