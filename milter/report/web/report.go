package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// reportPage reports whether a report can be trusted, and what it says.
func (s *Server) reportPage(ctx context.Context, v visit, id int64, n int) (*page, error) {
	r, records, err := s.read.Report(ctx, id)
	if err != nil {
		return nil, err
	}
	if !v.may(r.Domain) {
		return nil, ErrNotFound
	}
	records, hidden := v.visible(&r, records)
	now := advice.DayOf(v.now)
	at := "/r/" + itoa(id)
	begin := advice.DayOf(r.Begin)
	p := &page{Wide: true, Current: "/", Title: visible("Report of " + r.Receiver + ", " +
		begin.Short(now)), Filter: v.filter,
		Crumbs: []crumb{{"Domains", "/"}, {name(r.Domain), domainURL(r.Domain)},
			{say("%s, %s", r.Receiver, dayHTML(begin, now)), at}}}
	if n > 0 {
		// A record of several days is a row for each.
		records = slices.DeleteFunc(records, func(r Record) bool { return r.N != n })
		if len(records) == 0 {
			return nil, ErrNotFound
		}
		rec := records[0]
		for i := range records[1:] {
			rec.Count += records[1+i].Count
		}
		p.Crumbs = append(p.Crumbs, crumb{say("record %s", n), ""})
		p.Title = fmt.Sprintf("Record %d of report %d", n, id)
		p.Heading = say("Record %s of the report of %s on %s.", n, r.Receiver,
			dayHTML(rec.Day, now))
		p.Sections = []section{{ID: "words", Title: "In words",
			Verdict: inWords(&rec, r.Policy, now), Table: recordTable(records, false)}}
		p.Sections[0].Table.Name = ""
		p.Sections[0].Table.Caption = "The same record, as it is in the report."
		return p, nil
	}
	passed := cmp.Or(map[bool]string{r.Pass == 0: "none", r.Pass == r.Messages: "all"}[true],
		advice.Count(r.Pass))
	p.Heading = say("%s received %s as %s on %s; %s passed.", r.Receiver,
		plain(advice.Plural(r.Messages, "message", "messages")), r.Domain,
		dayHTML(begin, now), plain(passed))
	if hidden > 0 {
		p.Lead = append(p.Lead, say("%s not shown, of domains that you may not see.",
			plain(advice.Plural(int64(hidden), "record is", "records are"))))
	}
	chosen := v.q.Get("result")
	if chosen != "" && !slices.Contains(resultsOfRecords, chosen) {
		return nil, fmt.Errorf("result=%.40s: %w", chosen, errNoResult)
	}
	choices := resultChoices(records, at, chosen)
	if chosen != "" {
		only := Filter{Result: chosen}
		records = slices.DeleteFunc(slices.Clone(records),
			func(r Record) bool { return !only.Matches(&r) })
	}
	t := recordTable(records, false)
	t.Caption = say("%s, %s. The number of a record leads to an explanation. Grey results do no "+
		"harm: the other mechanism passed.",
		plain(advice.Plural(int64(len(records)), "record", "records")),
		plain(advice.Plural(messagesOf(records), "message", "messages")))
	t.Empty = "The report has no record, which means that its sender saw no mail."
	if chosen != "" {
		t.Empty = say("No record of this report has the result %s.", chosen)
	}
	p.Sections = []section{reportFacts(r), parseNotes(r, at),
		{ID: "records", Title: "Records", Table: t, Choices: choices}}
	if len(records) > 0 {
		p.Sections = append(p.Sections, section{ID: "words",
			Title:   fmt.Sprintf("Record %d in words", records[0].N),
			Verdict: inWords(&records[0], r.Policy, now)})
	}
	if raw, err := s.read.Raw(ctx, id); err == nil && hidden == 0 {
		p.Sections = append(p.Sections, section{ID: "raw", Title: "As received", Raw: rawXML(raw),
			Text: []template.HTML{link(at+"/raw.xml", "Download the XML")}})
	}
	return p, nil
}

// visible takes out of a report the records of domains that the visitor may not see: a report on a
// domain has those of domains below it, too, which may be someone else's.
func (v visit) visible(r *Report, records []Record) (left []Record, hidden int) {
	for i := range records {
		if v.may(records[i].Domain) {
			left = append(left, records[i])
		}
	}
	if hidden = len(records) - len(left); hidden > 0 {
		r.Messages, r.Pass, r.Records = 0, 0, len(left)
		for i := range left {
			r.Messages += left[i].Count
			if left[i].Pass() {
				r.Pass += left[i].Count
			}
		}
	}
	return left, hidden
}

func reportFacts(r Report) section {
	t := &Table{Name: "report", Fit: true, Caption: "The report and its sender.",
		Columns: []Column{{Key: "what", Title: "What"}, {Key: "value", Title: "Value", Wrap: true}}}
	row := func(label string, c Cell) { t.Rows = append(t.Rows, []Cell{words(label).head(), c}) }
	row("Reporter", text(strings.TrimSpace(r.Org+" "+r.Email)))
	row("Report-ID", text(cmp.Or(r.ReportID, "none")))
	row("Period begins", moment(r.Begin))
	row("Period ends", moment(r.End))
	row("Received", moment(r.Received))
	row("Verified", words(yes(r.Trusted)).note(esc(r.Trust)))
	row("Policy seen", text(r.Policy))
	row("Format", text(r.Format))
	row("Generator", text(cmp.Or(r.Generator, "not given")))
	row("Copies", words(advice.Plural(int64(r.Duplicates), "duplicate", "duplicates")+
		", not counted"))
	return section{Cols: "cols", ID: "meta", Title: "Report", Table: t}
}

func parseNotes(r Report, at string) section {
	t := &Table{Name: "notes", Fit: true, Caption: "What deviates from the standard, and how it " +
		"was read.",
		Empty: "None: the report follows the standard.",
		Columns: []Column{{Key: "code", Title: "Code"}, {Key: "title", Title: "Note"},
			{Key: "text", Title: "Text", Wrap: true}}}
	for _, n := range r.Notes {
		t.Rows = append(t.Rows, []Cell{text(n.Code).head(), text(n.Title), text(n.Text)})
	}
	return section{End: true, ID: "notes", Title: "Parse notes", Table: t}
}

// inWords explains a record of a report that names a policy.
func inWords(r *Record, policy string, now advice.Day) template.HTML {
	out := say("On %s %s received %s from %s that claimed %s. ", dayHTML(r.Day, now), r.Receiver,
		plain(advice.Plural(r.Count, "message", "messages")), mono(r.Address.String()),
		cmp.Or(r.From, r.Domain))
	switch {
	case r.SPFResult == "pass" && r.SPF == "pass":
		out += say("SPF passed for %s, which aligns. ", cmp.Or(r.Envelope, r.SPFDomain))
	case r.SPFResult == "pass":
		out += say("SPF passed for %s, which does not align. ",
			cmp.Or(r.Envelope, r.SPFDomain, "another domain"))
	default:
		out += say("SPF did not pass: %s. ", cmp.Or(r.SPFResult, "no result"))
	}
	out += r.signedWords()
	result := "failed"
	if r.Pass() {
		result = "passed"
	}
	out += say("So DMARC %s. ", plain(result))
	if !r.Pass() && policy != "" {
		out += say("The policy that the receiver saw is %s. ", mono(policy))
	}
	switch becameOf(r) {
	case "held":
		out += say("%s held them.", r.Receiver)
	case "refused":
		out += say("%s refused them.", r.Receiver)
	default:
		out += say("%s neither held nor refused them.", r.Receiver)
	}
	for _, reason := range r.Reasons {
		out += say(" Its reason: %s", mono(reason.Type))
		if reason.Comment != "" {
			out += say(": “%s”", reason.Comment)
		}
		out += "."
	}
	return out
}

// signedWords says what DKIM found: of several signatures the one that decided.
func (r *Record) signedWords() template.HTML {
	if len(r.Signatures) == 0 {
		if r.DKIM == "pass" {
			return "DKIM passed with an aligned signature. "
		}
		return "The messages had no DKIM signature. "
	}
	s := r.Signatures[0]
	for _, other := range r.Signatures {
		isAligned := within(other.Domain, r.Domain) || within(r.From, other.Domain)
		if other.Result == "pass" && (isAligned || s.Result != "pass") {
			s = other
		}
	}
	switch {
	case r.DKIM == "pass":
		return say("DKIM passed with an aligned signature, of %s with selector %s. ", s.Domain,
			cmp.Or(s.Selector, "unknown"))
	case s.Result == "pass":
		return say("DKIM passed for %s, which does not align. ", s.Domain)
	}
	return say("DKIM did not pass with an aligned domain: the signature of %s has the result %s. ",
		s.Domain, s.Result)
}

func messagesOf(records []Record) (n int64) {
	for i := range records {
		n += records[i].Count
	}
	return n
}

// errNoResult reports an address that names a result that a record cannot have.
var errNoResult = errors.New("the results are pass, delivered, held and refused")

// resultsOfRecords are what may have become of the messages of a record.
var resultsOfRecords = []string{"pass", "delivered", "held", "refused"}

// resultChoices are links to the records of a report with each result that some have.
func resultChoices(records []Record, at, chosen string) []choice {
	has := map[string]bool{}
	for i := range records {
		has[becameOf(&records[i])] = true
	}
	if len(has) < 2 {
		return nil
	}
	out := []choice{{"all", at + "#records", chosen == ""}}
	for _, result := range resultsOfRecords {
		if has[result] {
			text := result
			if result == "delivered" {
				text = "failed, delivered"
			}
			out = append(out, choice{text, at + "?result=" + result + "#records",
				chosen == result})
		}
	}
	return out
}
