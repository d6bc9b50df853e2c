package web

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

func previewURL(domain string) string { return "/out/d/" + url.PathEscape(domain) }

// previewPage shows the exact mails that would bring a domain its reports now.
func (s *Server) previewPage(ctx context.Context, v visit) (*page, error) {
	list, err := s.read.Preview(ctx, v.path("domain"))
	if err != nil {
		return nil, err
	}
	now, first := advice.DayOf(v.now), list[0]
	var messages int64
	reports := map[advice.Day]int{}
	for _, x := range list {
		if x.Sends {
			messages += x.Messages
		}
		reports[x.Day]++
	}
	p := &page{Current: "/out", Title: visible("Preview: " + first.Domain), Filter: v.filter,
		Crumbs: []crumb{{"Reports out", "/out"}, {name(first.Domain), ""}},
		Heading: say("%s would get %s on %s.", first.Domain,
			reportsOf(list), plain(advice.Plural(messages, "message", "messages")))}
	if !slices.ContainsFunc(list, func(x Preview) bool { return x.Sends }) {
		p.Heading = say("%s gets no report: %s.", first.Domain, plain(visible(first.Reason)))
	}
	p.Lead = []template.HTML{"This is what would be sent now, byte for byte, but for mail that is " +
		"still counted today. The DNS was queried for the addresses."}
	part := map[advice.Day]int{}
	for _, x := range list {
		part[x.Day]++
		out := previewSection(x, now)
		if n := reports[x.Day]; n > 1 {
			out.ID += "-" + itoa(int64(part[x.Day]))
			out.Title += fmt.Sprintf(", part %d of %d", part[x.Day], n)
		}
		p.Sections = append(p.Sections, out)
	}
	return p, nil
}

// reportsOf counts the reports that would be sent.
func reportsOf(list []Preview) template.HTML {
	var n int64
	for _, x := range list {
		if x.Sends {
			n++
		}
	}
	if n == 1 {
		return "a report"
	}
	return say("%s reports", n)
}

func previewSection(x Preview, now advice.Day) section {
	at := previewURL(x.Domain) + "/" + url.PathEscape(x.ID)
	out := section{ID: "r" + itoa(int64(x.Day)), Title: "Report on " + x.Day.Short(now),
		RawLabel: "Mail", Raw: mailHead(x.Mail) + rawXML(x.XML)}
	sends := say("It would be sent to %s.", visible(strings.Join(x.To, ", ")))
	if !x.Sends {
		sends = say("It would not be sent: %s.", plain(visible(x.Reason)))
	}
	counted := say("%s in %s.", plain(advice.Plural(x.Messages, "message", "messages")),
		plain(advice.Plural(x.Rows, "row", "rows")))
	if x.Folded > 0 {
		counted = say("%s in %s; %s merged into them.",
			plain(advice.Plural(x.Messages, "message", "messages")),
			plain(advice.Plural(x.Rows, "row", "rows")),
			plain(advice.Plural(x.Folded, "more row was", "more rows were")))
	}
	out.Text = []template.HTML{sends, counted}
	if len(x.Mail) > 0 {
		out.Text = append(out.Text, link(at+"/mail.eml", "Download the mail")+", "+
			link(at+"/report.xml", "the XML"))
	}
	return out
}

// mailHead is the header of a mail, and an empty line.
func mailHead(mail []byte) template.HTML {
	head, _, _ := strings.Cut(string(mail), "\r\n\r\n")
	if head == "" {
		return ""
	}
	return rawXML([]byte(head)) + "\n"
}

// previewFile answers with a mail or the report in it.
func (s *Server) previewFile(w http.ResponseWriter, r *http.Request) {
	who, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	file := r.PathValue("file")
	if !who.all() || file != "mail.eml" && file != "report.xml" {
		s.fail(w, r, who, ErrNotFound)
		return
	}
	list, err := s.read.Preview(r.Context(), r.PathValue("domain"))
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	for _, x := range list {
		if x.ID != r.PathValue("id") {
			continue
		}
		if file == "mail.eml" {
			download(w, "report.eml", x.Mail)
		} else {
			download(w, "report.xml", x.XML)
		}
		return
	}
	s.fail(w, r, who, ErrNotFound)
}

// download answers with a stranger's bytes, which no browser must show as they are.
func download(w http.ResponseWriter, name string, data []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = w.Write(data)
}
