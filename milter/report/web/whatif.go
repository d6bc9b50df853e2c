package web

import (
	"maps"
	"slices"

	"mailseal/milter/report/advice"
)

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
		out.Text = append(out.Text, say("Neither the reports nor the DNS show whether these names "+
			"exist: %s. Those of which no message passed are treated as names that do not exist.",
			prose(advice.List(guessed, 3))))
	}
	switch {
	case form.Term != nil:
		out.Text = append(out.Text, "The list has the SPF terms without which some "+
			"addresses would not pass. For the 200 addresses with the most mail, the record is evaluated "+
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
