package web

import (
	"context"
	"html/template"

	"mailseal/milter/report/advice"
)

// useForm asks who writes from a domain.
type useForm struct {
	Action  string
	Answers []classButton
	Undo    bool // there is an answer to take back
}

// askUse adds to the advice what is known about who writes mail from the domain, and the form that
// asks.
func (p *page) askUse(ctx context.Context, s *Server, v visit, d Domain) {
	for i := range p.Sections {
		if p.Sections[i].ID != "advice" || d.Parked {
			continue
		}
		at := &p.Sections[i]
		at.Text = append(at.Text, useText(d, advice.DayOf(s.now()))...)
		commands, instead := s.changes(ctx, v)
		if commands == nil {
			at.Text = append(at.Text, instead...)
			return
		}
		at.Use = &useForm{Action: domainURL(d.Name), Undo: d.UseBy != "", Answers: []classButton{
			{usePeople, "people, also to mailing lists", d.Use == advice.UsePeople},
			{useMachines, "only machines", d.Use == advice.UseMachines},
		}}
	}
}

// useText describes the domain's own mail that this host sent, and the answer of an administrator.
func useText(d Domain, now advice.Day) []template.HTML {
	var out []template.HTML
	if d.Sent > 0 {
		out = append(out, say("This host sent %s as %s in 90 days: %s to other mail, and %s to "+
			"mailing lists.",
			plain(advice.Plural(d.Sent, "message", "messages")), d.Name,
			plain(advice.Plural(d.Reply, "reply", "replies")),
			plain(advice.Plural(d.ToList, "message", "messages"))))
	}
	if d.UseBy != "" {
		who := map[advice.Use]string{advice.UsePeople: "people write from it",
			advice.UseMachines: "only machines write from it"}[d.Use]
		out = append(out, say("%s said on %s that %s.", d.UseBy, dayHTML(d.UseAt, now), plain(who)))
	}
	return out
}
