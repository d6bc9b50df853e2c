package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// Rows of a page of a list, and of a list that is asked for as CSV or JSON.
const (
	rowsOfPage   = 100
	rowsOfExport = 100_000
)

// messagesPage lists the records that add up to a number of another page.
func (s *Server) messagesPage(ctx context.Context, v visit) (*page, error) {
	f, err := s.selection(ctx, v)
	if err != nil {
		return nil, err
	}
	sums, err := s.read.Sums(ctx, f)
	if err != nil {
		return nil, err
	}
	var total Counts
	for _, sum := range sums {
		total.Add(sum.Counts)
	}
	window := Window{Offset: v.offset(rowsOfPage), Rows: rowsOfPage}
	if v.format != "" {
		window = Window{Rows: rowsOfExport}
	}
	records, err := s.read.Records(ctx, f, window)
	if err != nil {
		return nil, err
	}
	p := &page{Wide: true, Current: "/", Title: advice.Plural(total.Messages, "message",
		"messages"), Filter: v.filter,
		Crumbs: []crumb{{"Domains", "/"}, {"Messages", ""}},
		Heading: say("%s, %s.", plain(advice.Plural(total.Messages, "message", "messages")),
			period(f, advice.DayOf(v.now)))}
	p.Lead = []template.HTML{v.described()}
	p.Facts = countFacts(total)
	t := recordTable(records, true)
	t.Caption = "Records of reports, the newest first. The number of a record leads to an " +
		"explanation."
	t.Empty = "No record matches the selection above."
	p.Sections = []section{{ID: "records", Title: "Records", Table: t,
		Pager: v.morePager(len(records), rowsOfPage)}}
	return p, nil
}

func countFacts(c Counts) []fact {
	return []fact{{Label: "Messages", Value: plain(advice.Count(c.Messages))},
		{Label: "Pass DMARC", Value: plain(advice.Count(c.Pass)),
			Note: plain(percent(c.Pass, c.Messages))},
		{Label: "Fail, delivered", Value: plain(advice.Count(c.Delivered))},
		{Label: "Held", Value: plain(advice.Count(c.Held))},
		{Label: "Refused", Value: plain(advice.Count(c.Refused))}}
}

// described describes the selection of the query in words.
func (v visit) described() template.HTML {
	var parts []string
	for _, key := range []string{"domain", "source", "address", "receiver", "result", "header_from",
		"envelope", "signer", "selector", "noselector", "dkim", "spf", "reason"} {
		if value := v.q.Get(key); value != "" {
			parts = append(parts, string(say("%s %s", plain(strings.ReplaceAll(key, "_", " ")),
				mono(value))))
		}
	}
	if len(parts) == 0 {
		return "Selected: everything that you may see."
	}
	return "Selected: " + template.HTML(advice.List(parts, 12)) +
		"." //nolint:gosec // parts were escaped
}

func recordTable(records []Record, withReport bool) *Table {
	t := &Table{Name: "records", Columns: []Column{{Key: "record", Title: "Record"},
		{Key: "day", Title: "Day"}, {Key: "domain", Title: "Domain"},
		{Key: "receiver", Title: "Receiver"},
		{Key: "address", Title: "Address"},
		{Key: "count", Title: "Messages", Right: true},
		{Key: "dmarc", Title: "DMARC"},
		{Key: "applied", Title: "applied"},
		{Key: "dkim", Title: "DKIM"},
		{Key: "spf", Title: "SPF"},
		{Key: "from", Title: "From"}, {Key: "envelope", Title: "envelope"},
		{Key: "spf_result", Title: "SPF said"},
		{Key: "signatures", Title: "signatures", Wrap: true},
		{Key: "reasons", Title: "Reason given", Wrap: true}}}
	for i := range records {
		r := &records[i]
		at := fmt.Sprintf("/r/%d/%d", r.Report, r.N)
		label := itoa(int64(r.N))
		if withReport {
			label = fmt.Sprintf("%d/%d", r.Report, r.N)
		}
		result := words("pass").as("good")
		grey := "mute"
		if !r.Pass() {
			result, grey = words("fail").as("bad"), ""
		}
		var signatures, reasons []string
		for _, s := range r.Signatures {
			signatures = append(signatures, s.Domain+" / "+s.Selector+" "+s.Result)
		}
		for _, reason := range r.Reasons {
			reasons = append(reasons, strings.TrimSuffix(reason.Type+": "+reason.Comment, ": "))
		}
		t.Rows = append(t.Rows, []Cell{{Value: label, HTML: link(at, plain(label)), Head: true},
			{Value: r.Day.String(), HTML: dayHTML(r.Day, r.Day)},
			text(r.Domain), text(r.Receiver), addressCell(r.Address),
			number(r.Count, at), result,
			text(r.Disposition), mechanism(r.DKIM, grey), mechanism(r.SPF, grey), text(r.From),
			text(cmp.Or(r.Envelope, "–")),
			text(cmp.Or(r.SPFResult, "–")), text(cmp.Or(strings.Join(signatures, ", "), "none")),
			text(cmp.Or(strings.Join(reasons, ", "), "–"))})
	}
	return t
}

// mechanism is the result of DKIM or SPF; a failure beside a DMARC pass is grey.
func mechanism(result, grey string) Cell {
	c := text(result)
	if result != "pass" {
		c.Class = grey
	}
	return c
}

// reportsPage lists reports.
func (s *Server) reportsPage(ctx context.Context, v visit) (*page, error) {
	f, err := s.selection(ctx, v)
	if err != nil {
		return nil, err
	}
	window := Window{Offset: v.offset(rowsOfPage), Rows: rowsOfPage}
	if v.format != "" {
		window = Window{Rows: rowsOfExport}
	}
	reports, n, err := s.read.Reports(ctx, f, window)
	if err != nil {
		return nil, err
	}
	p := &page{Current: "/", Title: advice.Plural(n, "report", "reports"), Filter: v.filter,
		Crumbs: []crumb{{"Domains", "/"}, {"Reports", ""}},
		Heading: say("%s, %s.", plain(advice.Plural(n, "report", "reports")),
			period(f, advice.DayOf(v.now))), Lead: []template.HTML{v.described()}}
	t := &Table{Name: "reports", Columns: reportColumns, Caption: "The newest first.",
		Empty: "No report is selected."}
	for _, r := range reports {
		t.Rows = append(t.Rows, reportRow(r, advice.DayOf(v.now)))
	}
	p.Sections = []section{{ID: "reports", Title: "Reports", Table: t,
		Pager: v.pager(n, rowsOfPage)}}
	return p, nil
}

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
		p.Sections = []section{{ID: "words", Title: "In words", Verdict: inWords(&rec, now),
			Table: recordTable(records, false)}}
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
	t := recordTable(records, false)
	t.Caption = say("%s, %s. The number of a record leads to an explanation. Grey results do no "+
		"harm: the other mechanism passed.",
		plain(advice.Plural(int64(len(records)), "record", "records")),
		plain(advice.Plural(r.Messages, "message", "messages")))
	t.Empty = "The report has no record, which means that its sender saw no mail."
	p.Sections = []section{reportFacts(r), parseNotes(r, at),
		{ID: "records", Title: "Records", Table: t}}
	if len(records) > 0 {
		p.Sections = append(p.Sections, section{ID: "words", Title: "Record 1 in words",
			Verdict: inWords(&records[0], now)})
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

// inWords explains a record.
func inWords(r *Record, now advice.Day) template.HTML {
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
	switch {
	case r.DKIM == "pass":
		out += "DKIM passed with an aligned signature. "
	case len(r.Signatures) == 0:
		out += "The messages had no DKIM signature. "
	default:
		s := r.Signatures[0]
		out += say("DKIM did not pass with an aligned domain: the signature of %s has the result "+
			"%s. ",
			s.Domain, s.Result)
	}
	result := "failed"
	if r.Pass() {
		result = "passed"
	}
	out += say("So DMARC %s. ", plain(result))
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

// receiverPage shows what one receiver reports on each domain.
func (s *Server) receiverPage(ctx context.Context, v visit) (*page, error) {
	receiver := v.q.Get("name")
	f := v.filter
	f.Receiver = receiver
	domains, err := s.domains(ctx, v)
	if err != nil {
		return nil, err
	}
	f.Domains = names(domains)
	sums, err := s.read.Sums(ctx, f, ByDomain)
	if err != nil {
		return nil, err
	}
	list := sortedSums(sums)
	if v.format == "" {
		list = cut(list, Window{Offset: v.offset(rowsOfPage), Rows: rowsOfPage})
	}
	shown := f
	shown.Domains = []string{}
	for _, sum := range list {
		shown.Domains = append(shown.Domains, sum.Domain)
	}
	if len(sums) == 0 {
		shown.Domains = f.Domains // it may have reported that there was no mail
	}
	reporters, err := s.read.Receivers(ctx, shown)
	if err != nil {
		return nil, err
	}
	if len(sums)+len(reporters) == 0 {
		return nil, ErrNotFound
	}
	now := advice.DayOf(v.now)
	var total Counts
	t := &Table{Name: "domains", Caption: say("Mail in the reports of %s, %s.", receiver,
		period(f, now)),
		Empty: "No message in this period.",
		Columns: []Column{{Key: "domain", Title: "Domain"}, {Key: "messages", Title: "Messages",
			Right: true}, {Key: "dmarc_percent", Title: "DMARC, %", Right: true},
			{Key: "delivered", Title: "Fail: delivered", Right: true},
			{Key: "held", Title: "held", Right: true},
			{Key: "refused", Title: "refused", Right: true},
			{Key: "last", Title: "last day"}}}
	last := map[string]Reporter{}
	for _, r := range reporters {
		last[r.Domain] = r
	}
	for i := range sums {
		total.Add(sums[i].Counts)
	}
	for _, sum := range list {
		df := f
		df.Domains = []string{sum.Domain}
		t.Rows = append(t.Rows, []Cell{{Value: sum.Domain, HTML: link(domainURL(sum.Domain)+"?"+
			df.query("domain", ""), name(sum.Domain)), Head: true},
			number(sum.Messages, df.messages()), rate(sum.Pass, sum.Messages),
			number(sum.Delivered, df.messages("result", "delivered")),
			number(sum.Held, df.messages("result", "held")), number(sum.Refused,
				df.messages("result", "refused")), day(last[sum.Domain].Last, now)})
	}
	p := &page{Current: "/", Title: visible(receiver), Filter: v.filter, Periods: periods(v),
		Crumbs: []crumb{{"Domains", "/"}, {name(receiver), ""}},
		Heading: say("%s reported on %s in %s.", receiver,
			plain(advice.Plural(total.Messages, "message", "messages")),
			plain(advice.Plural(int64(len(sums)), "domain", "domains"))), Facts: countFacts(total)}
	p.Sections = []section{{ID: "domains", Title: "Domains", Table: t,
		Pager: v.pager(int64(len(sums)), rowsOfPage)}}
	if v.all() {
		trust, why := s.trustSection(ctx, v, receiver)
		p.Lead, p.Sections = append(p.Lead, why...), append(p.Sections, trust)
	}
	return p, nil
}
