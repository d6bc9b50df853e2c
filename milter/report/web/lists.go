package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
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
		"envelope", "signer", "selector", "noselector", "dkim", "spf", "reason",
		"show", "group"} {
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
	find := &findForm{Action: "/reports", Address: strings.TrimSpace(v.q.Get("address"))}
	for _, key := range slices.Sorted(maps.Keys(v.q)) {
		if key != "address" && key != "source" && key != "page" && v.q.Get(key) != "" {
			find.Kept = append(find.Kept, pair{key, v.q.Get(key)})
		}
	}
	if find.Address != "" && v.format == "" && (&Filter{}).address(find.Address) != nil {
		return &page{Current: "/", Title: "Not an address", Filter: v.filter,
			Crumbs:  []crumb{{"Domains", "/"}, {"Reports", ""}},
			Heading: say("%s is not an IP address.", find.Address),
			Sections: []section{{ID: "reports", Title: "Reports", Find: find,
				Problem: "Enter one address, such as 192.0.2.1 or 2001:db8::1."}}}, nil
	}
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
	p.Sections = []section{{ID: "reports", Title: "Reports", Table: t, Find: find,
		Pager: v.pager(n, rowsOfPage)}}
	return p, nil
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
