package web

import (
	"context"
	"html/template"
	"slices"

	"mailseal/milter/report/advice"
)

// decision is what a person may decide about the reports of an organization.
type decision struct {
	field string // of the form
	text  string // of its button; the name follows
	said  string // once it is done; the name stands before it
	do    func(c Commands, ctx context.Context, by, org string) error
}

// The decisions. A reporter that a person decided on has another one, which takes that back.
var decisions = []decision{
	{"trust", "Trust", "count from now on.", Commands.Trust},
	{"refuse", "Do not count reports of",
		"do not count any more. They are kept, and “Reports in” has a button that reverts this.",
		Commands.Refuse},
	{"prove", "Take it back:", "count if they are verified.", Commands.Prove},
}

// decideForm is a button of a form.
type decideForm struct{ Field, Text, Org string }

func decide(field, org string) decideForm {
	i := slices.IndexFunc(decisions, func(d decision) bool { return d.field == field })
	return decideForm{field, decisions[i].text, org}
}

// decidedSection lists the reporters that a person decided on.
func decidedSection(in Intake, mayChange bool) section {
	t := &Table{Name: "decided", Fit: true,
		Caption: "What was decided here or by “mailseal reports accept” and “refuse”.",
		Empty:   "None: reports count if they are verified.",
		Columns: []Column{{Key: "reporter", Title: "Reporter", Wrap: true},
			{Key: "decision", Title: "Its reports"},
			{Key: "reports", Title: "Stored", Right: true}}}
	out := section{ID: "decided", Title: "Reporters decided on", Table: t}
	for _, d := range in.Decided {
		says := "count without proof"
		if d.Refused {
			says = "do not count"
		}
		t.Rows = append(t.Rows, []Cell{text(d.Org).head(), words(says),
			{Value: d.Reports, HTML: plain(advice.Count(d.Reports))}})
		if mayChange {
			out.Decide = append(out.Decide, decide("prove", d.Org))
		}
	}
	return out
}

// trustSection shows if the reports of a receiver count, with the button that changes it. Only
// those who see all domains are told: a decision concerns them all.
func (s *Server) trustSection(ctx context.Context, v visit, receiver string) (section,
	[]template.HTML) {
	out := section{ID: "trust", Title: "Do its reports count?"}
	if !v.all() {
		return out, nil
	}
	in, err := s.intake(ctx)
	if err != nil {
		out.Text = []template.HTML{"This could not be read."}
		return out, nil
	}
	text, change := "They count if they are verified: if their mail was authenticated for the reporter’s domain. A "+
		"reporter whose numbers cannot be true can be left out of all sums.",
		decide("refuse", receiver)
	for _, d := range in.Decided {
		switch {
		case d.Org != receiver:
			continue
		case d.Refused:
			text = "An administrator decided that they do not count. They are kept, but no sum includes them."
		default:
			text = "An administrator decided that they count without authentication."
		}
		change = decide("prove", receiver)
	}
	out.Text = []template.HTML{plain(text)}
	commands, why := s.changes(ctx, v)
	if commands != nil {
		out.Decide = []decideForm{change}
	}
	return out, why
}
