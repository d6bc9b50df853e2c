package web

import (
	"cmp"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/report/advice"
)

// tally counts passes and failures under a key.
type tally struct {
	key        [2]string
	pass, fail int64
	last       advice.Day
}

func ranked(m map[[2]string]*tally) []*tally {
	var out []*tally
	for _, t := range m {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tally) int {
		return cmp.Or(cmp.Compare(b.pass+b.fail, a.pass+a.fail), cmp.Compare(a.key[0], b.key[0]),
			cmp.Compare(a.key[1], b.key[1]))
	})
	return out
}

func (t *tally) add(n int64, pass bool, last advice.Day) {
	if pass {
		t.pass += n
	} else {
		t.fail += n
	}
	t.last = max(t.last, last)
}

func entry(m map[[2]string]*tally, key [2]string) *tally {
	if m[key] == nil {
		m[key] = &tally{key: key}
	}
	return m[key]
}

// maxReasons is how many reasons of a receiver a table shows.
const maxReasons = 4

// reasonsCell is the reasons that a receiver gave for not doing as the policy asks. Each number
// leads to its records.
func reasonsCell(list []Sum, receiver string, to func(...string) string) Cell {
	var values []string
	var shown []string
	for _, s := range list {
		if s.Receiver != receiver {
			continue
		}
		values = append(values, s.Reason+" "+strconv.FormatInt(s.Messages, 10))
		if len(shown) < maxReasons {
			n := number(s.Messages, to("receiver", receiver, "reason", s.Reason))
			shown = append(shown, string(name(s.Reason)+" "+n.HTML))
		}
	}
	if len(values) == 0 {
		return Cell{Value: "", HTML: "–", Class: "mute"}
	}
	html := template.HTML(strings.Join(shown, ", ")) //nolint:gosec // parts were escaped
	if more := len(values) - len(shown); more > 0 {
		html += say(" and %s more", more)
	}
	return Cell{Value: strings.Join(values, ", "), HTML: html}
}

// tableRows is the number of rows that a side table of a page shows; the rest is one line.
const tableRows = 40

func first(list []*tally) []*tally { return list[:min(len(list), tableRows)] }

func (x *facts) dkimSection(d Detail) section {
	m := map[[2]string]*tally{}
	for i := range x.ids {
		seen := map[[2]string]bool{}
		for _, s := range x.ids[i].DKIM {
			key := [2]string{s.Domain, s.Selector}
			if seen[key] {
				continue
			}
			seen[key] = true
			entry(m, key).add(x.ids[i].Messages, s.Result == "pass", x.ids[i].Last)
		}
	}
	t := &Table{Name: "dkim", Caption: "Signatures, and the key as the DNS has it now. A message " +
		"can have several.",
		Empty: "No message had a signature.", Fit: true,
		Columns: []Column{{Key: "signer", Title: "Signer", Wrap: true},
			{Key: "selector", Title: "selector", Wrap: true},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "pass", Title: "verified", Right: true},
			{Key: "aligned", Title: "aligned"},
			{Key: "key", Title: "key in the DNS"},
			{Key: "since", Title: "there since"},
			{Key: "last", Title: "last seen"}}}
	for _, n := range first(ranked(m)) {
		ours := within(n.key[0], x.domain.Name)
		key, since := d.keyCells(n, ours, x.now)
		to := x.filter.messages("signer", n.key[0], "selector", n.key[1])
		switch {
		case n.key[0] == "":
			to = ""
		case n.key[1] == "":
			to += "&noselector=1"
		}
		t.Rows = append(t.Rows, []Cell{text(n.key[0]).head(), text(n.key[1]),
			number(n.pass+n.fail, to),
			{Value: n.pass, HTML: plain(advice.Count(n.pass))},
			words(yes(ours)), key, since, day(n.last, x.now)})
	}
	return section{ID: "dkim", Title: "DKIM", Table: t}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (x *facts) adviceSection() section {
	a := x.advice
	out := section{Cols: "cols c2", ID: "advice", Title: "Advice: " + lower(a.Title),
		Verdict: prose(a.Sentence)}
	if a.Opposite != "" {
		out.Text = append(out.Text, prose(a.Opposite))
	}
	if x.domain.Known || x.total.Messages > 0 {
		out.Ladder = ladder(a, x)
	}
	t := &Table{Name: "conditions", Fit: true,
		Caption: say("Conditions of the next step, %s.", period(x.advised, x.now)),
		Columns: []Column{{Key: "condition", Title: "Condition", Wrap: true}, {Key: "met", Title: "Met"},
			{Key: "found", Title: "Found", Wrap: true},
			{Key: "code", Title: "Code"}}}
	for _, c := range a.Conditions {
		met := words(yes(c.Met)).as("good")
		if !c.Met {
			met.Class = "bad"
		}
		t.Rows = append(t.Rows, []Cell{words(c.Text).head(), met, sentenceCell(c.Found),
			words(c.Code).as("mute")})
	}
	if len(t.Rows) > 0 {
		out.Table = t
	}
	if a.BackText != "" {
		out.Text = append(out.Text, prose(a.BackText))
	}
	next, back := "the next step", "to go back"
	if a.Kind == advice.Retreat {
		next, back = "recommended", "as now"
	}
	if a.Record != "" && a.Kind != advice.Stay {
		out.Records = append(out.Records, x.change(next, a.Record))
	}
	if a.Back != "" {
		out.Records = append(out.Records, x.change(back, a.Back))
	}
	return out
}

// change shows what to publish. Reports do not tell the addresses that they go to, so that a record
// made of what they do tell would end the reports of domains that copy it: where the addresses are
// not known, only the tags to set are shown.
func (x *facts) change(step, text string) record {
	at := "_dmarc." + x.domain.Name + " TXT, " + step
	if strings.Contains(text, "rua=") {
		return record{at, visible(text)}
	}
	tags := []string{}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if strings.HasPrefix(part, "p=") || strings.HasPrefix(part, "t=") {
			tags = append(tags, part)
		}
	}
	if len(tags) == 1 {
		at += ": set this tag, remove t, and leave all other tags unchanged, above all rua"
	} else {
		at += ": set these tags, and leave all other tags unchanged, above all rua"
	}
	return record{at, visible(strings.Join(tags, "; "))}
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func ladder(a advice.Advice, x *facts) []rung {
	var out []rung
	for step := advice.None; step <= advice.Reject; step++ {
		r := rung{Name: step.String()}
		switch {
		case step == a.Now:
			r.Now, r.Class = true, "now"
			r.Note = say("now, since %s", dayHTML(x.domain.Policy.Since, x.now))
		case step < a.Now:
			r.Class, r.Note = "done", "passed"
		case step > a.End:
			r.Class, r.Note = "skipped", "not for a domain that people write from"
		case step == advice.QuarantineTest:
			r.Note = "14 days or more; receivers treat it as none"
		case step == advice.RejectTest:
			r.Note = "14 days or more; receivers treat it as quarantine"
		case step == advice.Quarantine && step != a.End:
			r.Note = "30 days or more"
		}
		if step == a.End {
			r.Class += " end"
			if !r.Now {
				r.Note = "the last step for this domain"
			}
		}
		out = append(out, r)
	}
	return out
}

func (x *facts) whatIfSection(v visit, d Detail) section {
	q := v.q
	change := advice.Change{P: policyWord(q.Get("p")), SP: policyWord(q.Get("sp")),
		NP: policyWord(q.Get("np")), NoSPF: q.Get("nospf") == "1"}
	if q.Get("adkim") == "s" {
		change.ADKIM = "s"
	}
	if q.Get("aspf") == "s" {
		change.ASPF = "s"
	}
	form := &whatIfForm{Action: domainURL(x.domain.Name) + "#whatif", ADKIM: change.ADKIM == "s",
		ASPF: change.ASPF == "s", NoSPF: change.NoSPF,
		P: options(change.P, "as published"), SP: options(change.SP, "as published"),
		NP: options(change.NP, "as published")}
	for _, t := range x.domain.Terms {
		if len(t.Nets) == 0 {
			continue
		}
		if form.Term == nil {
			form.Term = []option{{"", "no SPF term", q.Get("without") == ""}}
		}
		term := visible(t.Text)
		o := option{term, term, q.Get("without") == term}
		if o.Selected {
			change.Without, change.WithoutNet = term, t.Nets
		}
		form.Term = append(form.Term, o)
	}
	out := section{End: true, ID: "whatif", Title: "What if", WhatIf: form}
	missing, guessed := x.missing(d)
	if change.NP != "" && len(guessed) > 0 {
		out.Text = append(out.Text, say("Of %s it is not known whether they exist: reports do not "+
			"say, and the DNS was not asked or did not answer. Those of which no message passed "+
			"count as names that do not exist.", prose(advice.List(guessed, 3))))
	}
	switch {
	case form.Term != nil:
		out.Text = append(out.Text, "The list of SPF terms has those by which alone some "+
			"addresses pass. For the 200 addresses with the most mail, the record is evaluated "+
			"with and without "+
			"each term, once in reports.dns_every.")
	case x.domain.SPFAll == "":
		out.Text = append(out.Text, "The effect of SPF terms is not known: the domain has no SPF "+
			"record, or the role dns of “mailseal reports serve” has not checked it yet, which "+
			"it does once "+
			"in reports.dns_every.")
	}
	if change.IsZero() {
		change.P = "reject"
		form.P = options("reject", "as published")
	}
	t := &Table{Name: "whatif", Fit: true,
		Caption: say("The same %s messages, judged again%s. Receivers do not always apply the "+
			"policy.",
			x.total.Messages, plain(describe(change))),
		Columns: []Column{{Key: "what", Title: ""}, {Key: "today", Title: "today", Right: true},
			{Key: "then", Title: "then", Right: true},
			{Key: "change", Title: "change", Right: true},
			{Key: "because", Title: "because of", Wrap: true}}}
	for _, l := range advice.WhatIf(x.domain.Name, x.domain.Policy, x.rows(missing), change) {
		var because []string
		for _, s := range l.Because {
			because = append(because, s.Source+" "+advice.Count(s.Messages))
		}
		diff := l.Then - l.Today
		shown := advice.Count(diff)
		if diff > 0 {
			shown = "+" + shown
		}
		then := Cell{Value: l.Then, HTML: plain(advice.Count(l.Then))}
		if l.Harm && l.Then > 0 && diff > 0 {
			then.Class = "bad"
		}
		t.Rows = append(t.Rows, []Cell{words(l.Text).head(),
			{Value: l.Today, HTML: plain(advice.Count(l.Today))}, then,
			{Value: diff, HTML: plain(shown)}, sentenceCell(advice.List(because, 3))})
	}
	out.Table = t
	return out
}

func policyWord(s string) string {
	switch s {
	case "none", "quarantine", "reject":
		return s
	}
	return ""
}

func options(selected, empty string) []option {
	out := []option{{"", empty, selected == ""}}
	for _, p := range []string{"none", "quarantine", "reject"} {
		out = append(out, option{p, p, p == selected})
	}
	return out
}

func describe(c advice.Change) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	add("p", c.P)
	add("sp", c.SP)
	add("np", c.NP)
	add("adkim", c.ADKIM)
	add("aspf", c.ASPF)
	if c.NoSPF {
		parts = append(parts, "without SPF")
	}
	if c.Without != "" {
		parts = append(parts, "without "+c.Without)
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + advice.List(parts, 9)
}

// unused returns the names below the domain of which no message passed.
func (x *facts) unused() map[string]bool {
	out := map[string]bool{}
	for i := range x.ids {
		id := &x.ids[i]
		if id.From == "" || id.From == x.domain.Name {
			continue
		}
		if was, has := out[id.From]; !has || was {
			out[id.From] = !id.Pass()
		}
	}
	return out
}

// missing returns the names below the domain that do not exist, as the DNS says. Reports do not say
// whether a name exists: of those that the DNS does not know, guessed, one of which nothing passed
// counts as one that does not.
func (x *facts) missing(d Detail) (missing map[string]bool, guessed []string) {
	missing = x.unused()
	for _, from := range slices.Sorted(maps.Keys(missing)) {
		switch d.Names[from].Exists {
		case "yes":
			missing[from] = false
		case "no":
			missing[from] = true
		default:
			guessed = append(guessed, from)
		}
	}
	return missing, guessed
}

// rows are the messages as what-if judges them.
func (x *facts) rows(missing map[string]bool) []advice.Row {
	var out []advice.Row
	for i := range x.ids {
		id := &x.ids[i]
		r := advice.Row{Address: id.Address, From: id.From, Envelope: id.Envelope, SPF: id.SPF,
			DKIM: id.DKIM, Messages: id.Messages, Missing: missing[id.From],
			AlignedDKIM: id.AlignedDKIM, AlignedSPF: id.AlignedSPF,
			Refused: id.Disposition == "reject", Held: id.Disposition == "quarantine"}
		r.PassedOn = id.Reason == "mailing_list" || id.Reason == "forwarded" ||
			id.Reason == "trusted_forwarder"
		if s := x.byIP[id.Address]; s != nil {
			r.Source, r.Class = s.Name, s.Class
		}
		out = append(out, r)
	}
	return out
}

func reportSection(reports []Report, n int64, x *facts) section {
	t := &Table{Name: "reports", Fit: true, Empty: "No report in this period.",
		Caption: say("%s of %s in this period. %s", len(reports), n,
			link("/reports?"+x.filter.query(), "All reports")),
		Columns: reportColumns}
	for _, r := range reports {
		t.Rows = append(t.Rows, reportRow(r, x.now))
	}
	return section{ID: "reports", Title: "Latest reports", Table: t}
}

var reportColumns = []Column{{Key: "receiver", Title: "Receiver"}, {Key: "domain", Title: "Domain"},
	{Key: "day", Title: "Day, UTC"},
	{Key: "messages", Title: "Messages", Right: true},
	{Key: "dmarc_percent", Title: "DMARC, %", Right: true},
	{Key: "received", Title: "Received"}, {Key: "report", Title: "Report"}}

func reportRow(r Report, now advice.Day) []Cell {
	at := "/r/" + itoa(r.ID)
	return []Cell{text(r.Receiver).head(), text(r.Domain), day(advice.DayOf(r.Begin), now),
		number(r.Messages, at), rate(r.Pass, r.Messages),
		moment(r.Received), {Value: r.ReportID, HTML: link(at, mono(shorten(r.ReportID)))}}
}

// shorten cuts an identifier that no one reads to its end.
func shorten(s string) string {
	if runes := []rune(s); len(runes) > 20 {
		return string(runes[:17]) + "…"
	}
	return cmp.Or(s, "without ID")
}
