package web

import (
	"cmp"
	"html/template"
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
		met := words("yes").as("good")
		if !c.Met {
			met = words("not yet").as("bad")
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
