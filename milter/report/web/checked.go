package web

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// checkedSection is what the last check of the records found.
func (x *facts) checkedSection(d Detail, hasChecker bool) section {
	out := section{ID: "checked", Title: "DNS check"}
	c := x.domain.DNS
	if c == nil {
		out.Text = []template.HTML{"The records were not checked yet: the role dns of “mailseal " +
			"reports serve” does it for each domain once in reports.dns_every."}
		return out
	}
	said := say("The check of %s found %s.", timeHTML(c.At), plain(c.words()))
	if hasChecker {
		said += " " + link(checkURL(x.domain.Name), "Check now") + "."
	}
	out.Text = []template.HTML{said}
	t := &Table{Name: "findings", Fit: true, Caption: "What the check found, the worst first.",
		Empty: "None: no record has a fault.",
		Columns: []Column{{Key: "severity", Title: "Severity"}, {Key: "record", Title: "Record",
			Wrap: true}, {Key: "text", Title: "Finding", Wrap: true}, {Key: "code", Title: "Code"}}}
	list := slices.Clone(d.Findings)
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Compare(severityOf(a.Severity), severityOf(b.Severity))
	})
	for _, f := range list {
		s := severities[severityOf(f.Severity)]
		severity := Cell{Value: f.Severity, HTML: word(s.class, s.shown)}
		t.Rows = append(t.Rows, []Cell{severity.head(), text(f.Record), sentenceCell(f.Text),
			text(f.Code).as("mute")})
	}
	if len(t.Rows) == 0 && c.Faults+c.Warnings > 0 {
		t.Empty = prose(c.Worst)
	}
	out.Table = t
	return out
}

// severityOf is the place of a word of the checker among the severities; a word that is not known
// is a note.
func severityOf(word string) int {
	for i := range severities {
		if severities[i].word == word {
			return i
		}
	}
	return len(severities) - 1
}

// nameSection lists the names in From, and the policy that holds for each.
func (x *facts) nameSection(d Detail) section {
	m := map[[2]string]*tally{}
	for i := range x.ids {
		id := &x.ids[i]
		entry(m, [2]string{id.From}).add(id.Messages, id.Pass(), id.Last)
	}
	t := &Table{Name: "names", Caption: "Domains in From, and the policy that holds for each.",
		Empty: "No message in this period.", Fit: true,
		Columns: []Column{{Key: "from", Title: "From domain", Wrap: true},
			{Key: "exists", Title: "exists"}, {Key: "policy", Title: "policy"},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "dmarc_percent", Title: "DMARC, %", Right: true}}}
	var missing, open int64
	for _, n := range ranked(m) {
		from := d.Names[n.key[0]]
		if from.Exists == "no" {
			missing += n.fail // no policy refuses what passes
			if from.Policy != "reject" {
				open += n.fail
			}
		}
		if len(t.Rows) == tableRows {
			continue
		}
		exists := text(from.Exists)
		if from.Exists == "no" {
			exists.Class = "iffy"
		} else if from.Exists == "" {
			exists = Cell{Value: "", HTML: "–", Class: "mute"}
		}
		policy := text(from.Policy).note(esc(from.Tag))
		if from.Policy == "" {
			policy = Cell{Value: "", HTML: "–", Class: "mute"}
			if from.Exists != "" {
				policy = words("none published")
			}
		}
		t.Rows = append(t.Rows, []Cell{text(n.key[0]).head(), exists, policy,
			number(n.pass+n.fail, x.filter.messages("header_from", n.key[0])),
			rate(n.pass, n.pass+n.fail)})
	}
	out := section{Cols: "cols mid", ID: "names", Title: "Names used", Table: t}
	switch {
	case open > 0:
		out.Notes = append(out.Notes, say("%s names that do not exist. np=reject would have "+
			"receivers refuse such mail, and no other.",
			plain(advice.Plural(open, "failing message uses", "failing messages use"))))
	case missing > 0:
		out.Notes = append(out.Notes, say("%s names that do not exist; the policy refuses them.",
			plain(advice.Plural(missing, "failing message uses", "failing messages use"))))
	}
	return out
}

// oldKey is the number of days after which a key should be replaced.
const oldKey = 365

// keyCells say what the DNS has of a key, and since when.
func (d Detail) keyCells(n *tally, ours bool, now advice.Day) (key, since Cell) {
	unknown := Cell{Value: "", HTML: "–", Class: "mute"}
	k, has := d.Keys[strings.ToLower(n.key[1]+"._domainkey."+n.key[0])]
	if !has || k.State == store.KeyUnknown {
		return unknown, unknown
	}
	key, since = text(k.State), unknown
	switch {
	case k.State == store.KeyThere:
		key = text(k.Kind)
	case ours && n.last >= now-7:
		key.Class = "bad"
	default:
		key.Class = "mute"
	}
	if k.Since.IsZero() || k.State != store.KeyThere {
		return key, since
	}
	from := advice.DayOf(k.Since)
	since = day(from, now).note(plain(from.Age(now)))
	if ours && now-from > oldKey {
		since = since.note("replace it").as("iffy")
	}
	return key, since
}

// spfSection lists the envelope domains, and the terms of the domain's SPF record.
func (x *facts) spfSection() section {
	m := map[[2]string]*tally{}
	for i := range x.ids {
		id := &x.ids[i]
		entry(m, [2]string{id.Envelope}).add(id.Messages, id.SPF == "pass", id.Last)
	}
	t := &Table{Name: "spf", Caption: "Envelope domains.", Empty: "No message in this period.",
		Fit: true,
		Columns: []Column{{Key: "envelope", Title: "Envelope domain", Wrap: true},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "pass", Title: "SPF pass", Right: true}, {Key: "aligned", Title: "aligned"}}}
	for _, n := range first(ranked(m)) {
		cell := number(n.pass+n.fail, x.filter.messages("envelope", n.key[0]))
		if n.key[0] == "" {
			cell = number(n.pass+n.fail, "")
		}
		t.Rows = append(t.Rows, []Cell{text(cmp.Or(n.key[0], "not given")).head(), cell,
			{Value: n.pass, HTML: plain(advice.Count(n.pass))},
			words(yes(within(n.key[0], x.domain.Name)))})
	}
	return section{ID: "spf", Title: "SPF", Table: t, Also: x.termTable(), End: true}
}

// termTable says of each term of the SPF record what it is good for; nil where no term is known.
func (x *facts) termTable() *Table {
	if len(x.domain.Terms) == 0 {
		return nil
	}
	t := &Table{Name: "terms", Fit: true, Caption: "Terms of the SPF record, and the mail of 90 " +
		"days with an envelope of the domain that each let in.",
		Columns: []Column{{Key: "term", Title: "Term", Wrap: true},
			{Key: "messages", Title: "Messages", Right: true}, {Key: "says", Title: ""}}}
	for _, term := range x.domain.Terms {
		verdict := words("in use").as("mute")
		switch {
		case term.Foreign:
			verdict = words("can go: the service uses its own envelope domain").as("iffy")
		case term.Messages == 0 && term.OwnHost:
			verdict = words("no mail, but it lets this host in").as("mute")
		case term.Messages == 0 && x.domain.Parked:
			verdict = words("can go: the domain is parked").as("iffy")
		case term.Messages == 0 && x.advice.Unused(term.Text):
			verdict = words("can go: no mail in 90 days").as("iffy")
		case term.Messages == 0:
			verdict = words("no mail yet, too little to know").as("mute")
		}
		t.Rows = append(t.Rows, []Cell{text(term.Text).head(),
			{Value: term.Messages, HTML: plain(advice.Count(term.Messages))}, verdict})
	}
	return t
}
