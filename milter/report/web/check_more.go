package web

import (
	"fmt"
	"html/template"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// checkForm asks for a domain.
type checkForm struct {
	Domain, Selectors string
	Note              template.HTML
}

// spfForm and dmarcForm ask who sends and who reads, and show the record.
type spfForm struct {
	Domain, Selectors string
	Sources           []tick
	Terms             []tick
	Let               string
	All               []option
}

type dmarcForm struct {
	Domain, Selectors string
	Silent, Machines  bool
	Testing           bool
	Reports           string
	Policy            []option
}

// tick is a box of a form that can be ticked.
type tick struct {
	Value   string
	Text    template.HTML
	Checked bool
}

// Bounds of the results of a check on a page.
const (
	maxShown   = 200 // findings
	maxPublish = 12  // records to publish
)

func (c *Checked) sections(own []source, q Question) []section {
	out := []section{c.findings()}
	if s := c.publish(); len(s.Records) > 0 {
		out = append(out, s)
	}
	if c.HasSPF {
		out = append(out, section{ID: "spf-words", Title: "SPF, as receivers read it",
			Text: []template.HTML{
				say("It takes %s of 10 lookups, and %s of 2 lookups without an answer.",
					c.Lookups, c.Voids),
			},
			Raw: esc2(c.SPF), RawLabel: "What the SPF record allows"})
	}
	spf := section{Cols: "cols", ID: "spf-form", Title: "Edit SPF", SPF: c.spfForm(own, q)}
	c.NewSPF.show(&spf, "What the proposal allows")
	dmarc := section{ID: "dmarc-form", Title: "Edit DMARC", DMARC: dmarcFormOf(q), End: true}
	c.NewDMARC.show(&dmarc, "The steps of the policy")
	return append(out, spf, dmarc)
}

// esc2 is a text of several lines with strangers' names, whole.
func esc2(s string) template.HTML {
	lines := strings.Split(s, "\n")
	var out []string
	for _, l := range lines[:min(len(lines), maxShown)] {
		out = append(out, string(prose(brief(l))))
	}
	return template.HTML(strings.Join(out, "\n")) //nolint:gosec // every line was escaped
}

func (c *Checked) findings() section {
	t := &Table{
		Name:    "findings",
		Caption: plain(c.caption()),
		Empty:   "All checks of “mailseal domain” passed.",
		Columns: []Column{
			{Key: "severity", Title: "Severity"},
			{Key: "name", Title: "Name", Wrap: true},
			{Key: "finding", Title: "Finding", Wrap: true},
			{Key: "why", Title: "Why it matters", Wrap: true},
			{Key: "check", Title: "Check"},
		},
	}
	for _, f := range c.Findings[:min(len(c.Findings), maxShown)] {
		i := slices.IndexFunc(
			severities,
			func(s struct {
				word, one, many, shown,
				class string
			}) bool {
				return s.word == f.Severity
			},
		)
		if i < 0 {
			i = len(severities) - 1
		}
		word := Cell{
			Value: f.Severity,
			HTML: template.HTML(
				`<span class="w ` + severities[i].class + `">` + severities[i].shown + `</span>`,
			),
		} //nolint:gosec // ours
		row := []Cell{
			word,
			text(f.Name),
			sentenceCell(brief(f.Text)).head(),
			words(f.Why),
			words(f.Code).as("s m"),
		}
		if f.Seen != "" {
			row[2].HTML += `<br>` + marked(f)
		}
		t.Rows = append(t.Rows, row)
	}
	return section{ID: "findings", Title: "Findings", Table: t}
}

func (c *Checked) caption() string {
	var parts []string
	for _, s := range severities {
		if n := c.count(s.word); n > 0 {
			parts = append(parts, advice.Plural(n, s.one, s.many))
		}
	}
	if len(c.Findings) > maxShown {
		parts = append(parts, fmt.Sprintf("the first %d are shown", maxShown))
	}
	return strings.Join(parts, ", ") + "."
}

// around is how much of a record is shown on each side of what a finding is about, in bytes.
const around = 60

// marked shows the record that a finding is about, with the place marked.
func marked(f Found) template.HTML {
	start, end := min(max(f.Start, 0), len(f.Seen)), min(max(f.End, 0), len(f.Seen))
	if end <= start {
		return `<span class="m">` + esc(f.Seen) + `</span>`
	}
	before, place, after := f.Seen[:start], f.Seen[start:end], f.Seen[end:]
	if len(before) > around {
		before = "…" + strings.ToValidUTF8(before[len(before)-around:], "")
	}
	if len(after) > around {
		after = strings.ToValidUTF8(after[:around], "") + "…"
	}
	return `<span class="m">` + esc(before) + `<mark>` + esc(place) + `</mark>` + esc(after) +
		`</span>`
}

// publish is what findings say to publish, each record once.
func (c *Checked) publish() section {
	out := section{ID: "publish", Title: "Publish", Text: []template.HTML{
		"Each record is shown in three forms; a click selects the whole text. Publish it, wait " +
			"half a minute, and check again."}}
	var known []Publish
	for _, f := range c.Findings {
		for _, p := range f.Publish {
			if slices.Contains(known, p) || len(known) == maxPublish {
				continue
			}
			known = append(known, p)
			out.Records = append(out.Records, p.records()...)
		}
	}
	return out
}

// records are a record in its forms; short ones need no strings.
func (p Publish) records() []record {
	at := visible(p.Name) + " " + p.Kind
	if p.Who != "" {
		at += ", to be published by " + visible(p.Who)
	}
	out := []record{{at + ": line of a zone file", visible(p.Zone)},
		{at + ": value", visible(p.Value)}}
	if strings.Contains(p.Strings, `" "`) {
		out = append(
			out,
			record{at + ": in strings, for forms that accept at most 255 characters",
				visible(p.Strings)},
		)
	}
	return out
}

// show puts a proposal below its form. A note of several lines has the label.
func (p Proposal) show(s *section, label string) {
	if p.Problem != "" {
		s.Problem = visible(p.Problem)
	}
	for _, r := range p.Records {
		s.Records = append(s.Records, r.records()...)
	}
	for _, n := range p.Notes {
		if strings.Contains(n, "\n") {
			s.Raw, s.RawLabel = esc2(n), label
			continue
		}
		s.Notes = append(s.Notes, prose(brief(n)))
	}
}

func (c *Checked) spfForm(own []source, q Question) *spfForm {
	form := &spfForm{
		Domain:    q.Domain,
		Selectors: strings.Join(q.Selectors, " "),
		All: []option{{"", "as published, softened", q.SPF.All == ""},
			{"~all", "~all: softfail", q.SPF.All == "~all"},
			{"-all", "-all: fail", q.SPF.All == "-all"}},
	}
	for i := range own {
		s := &own[i]
		form.Sources = append(form.Sources, tick{s.Name, say(
			"%s, %s in 30 days, %s",
			mono(s.Name),
			plain(
				advice.Plural(s.Messages, "message", "messages"),
			),
			plain(advice.Plural(int64(len(s.Addresses)), "address", "addresses")),
		), slices.Contains(q.SPF.Networks, s.Addresses[0].String())})
	}
	for _, t := range c.Terms[:min(len(c.Terms), maxShown)] {
		if strings.EqualFold(strings.TrimLeft(t, "+-~?"), "all") {
			continue
		}
		form.Terms = append(form.Terms, tick{t, mono(t), slices.Contains(q.SPF.Without, t)})
	}
	form.Let = strings.Join(
		slices.DeleteFunc(slices.Concat(q.SPF.Includes, q.SPF.Networks), func(n string) bool {
			return slices.ContainsFunc(own, func(s source) bool {
				return slices.ContainsFunc(s.Addresses,
					func(ip netip.Addr) bool { return ip.String() == n })
			})
		}),
		" ",
	)
	return form
}

func dmarcFormOf(q Question) *dmarcForm {
	return &dmarcForm{
		Domain:    q.Domain,
		Selectors: strings.Join(q.Selectors, " "),
		Silent:    q.DMARC.Silent,
		Testing:   q.DMARC.Testing,
		Machines:  !q.DMARC.People,
		Reports:   q.DMARC.Reports,
		Policy:    options(q.DMARC.Policy, "as published"),
	}
}
