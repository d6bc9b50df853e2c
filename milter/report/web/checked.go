package web

import (
	"html/template"
)

// checkedSection is what the last check of the records found.
func (x *facts) checkedSection() section {
	out := section{ID: "checked", Title: "DNS check"}
	c := x.domain.DNS
	if c == nil {
		out.Text = []template.HTML{"The records were not checked yet: the role dns of “mailseal " +
			"reports serve” does it for each domain once in reports.dns_every."}
		return out
	}
	text := say("The check of %s found %s.", timeHTML(c.At), plain(c.words()))
	if c.Worst != "" {
		text += " " + prose(c.Worst)
	}
	out.Text = []template.HTML{text}
	return out
}
