package web

import (
	"cmp"
	"context"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// rowsOfMatrix is how many domains the overview shows at once; what needs attention is on the first
// page.
const rowsOfMatrix = 25

// matrix is the table domain × receiver.
type matrix struct {
	Caption template.HTML
	Wide    []string // receivers that wide windows show; the first four are shown everywhere
	Rows    []matrixRow
	Table   Table
	Days    string
	Pager   []choice
}

type matrixRow struct {
	ID                                 string
	Word                               template.HTML
	Name                               template.HTML
	URL                                string
	Policy                             string
	Age                                string
	Seen                               template.HTML // what reports name in place of Policy
	DNS                                Cell
	Spark                              template.HTML
	Messages, DKIM, SPF, Held, Refused Cell
	Pass                               Cell
	Unknown                            Cell
	Receivers                          []receiverCell
	Narrow                             receiverCell
	Why                                template.HTML
	Fix, FixURL                        string
}

// Has returns the class of a row that a sentence follows.
func (r matrixRow) Has() string {
	if r.Why != "" {
		return "has"
	}
	return ""
}

type receiverCell struct {
	Name, Class, URL, Text string
	Wide, First, Late      bool
}

type scored struct {
	x *facts
	h health
}

// shownWords are the kinds of domains that the overview can be of.
var shownWords = []string{"enforcing", "monitoring", "parked"}

// overview is the first page: a sentence, then the matrix.
func (s *Server) overview(ctx context.Context, v visit) (*page, error) {
	b, err := s.board(ctx, v)
	if err != nil {
		return nil, err
	}
	all := b.lines
	p := &page{Wide: true, Current: "/", Filter: v.filter}
	p.Title, p.Heading, p.Lead = sentence(all)
	if show := v.q.Get("show"); len(all) == 0 && slices.Contains(shownWords, show) {
		p.Heading = say("None of your domains is %s.", plain(show))
	}
	p.Facts = s.overviewFacts(ctx, v, b)
	p.Lead = append(p.Lead, b.age(v)...)
	p.Periods = periods(v)
	for _, show := range append([]string{"all"}, shownWords...) {
		p.Shown = append(p.Shown, choice{show, "/?" + v.filter.query("show", show),
			cmp.Or(v.q.Get("show"), "all") == show})
	}
	if p.Matrix, err = s.newMatrix(ctx, b, v); err != nil {
		return nil, err
	}
	p.Foot = s.foot(ctx, v, all)
	return p, nil
}

func shows(show string, d Domain) bool {
	switch show {
	case "enforcing":
		return d.Policy.Step >= advice.Quarantine && !d.Parked
	case "monitoring":
		return d.Policy.Step < advice.Quarantine && !d.Parked
	case "parked":
		return d.Parked
	}
	return true
}

// upper begins a sentence that is made of words of our own.
func upper(s template.HTML) template.HTML {
	return template.HTML(strings.ToUpper(string(s[:1]))) + s[1:]
}

// sentence is the finding of the day.
func sentence(all []scored) (title string, heading template.HTML, lead []template.HTML) {
	count := map[int]int64{}
	var need []scored
	for _, s := range all {
		count[s.h.level]++
		if s.h.level <= healthNoData {
			need = append(need, s)
		}
	}
	n := int64(len(all))
	if n == 0 {
		return "No domain", "No domain is configured that you may see: set domains in " +
			"[reports.intake].", nil
	}
	rest := restOf(count[healthWarn], count[healthReady], count[healthOK]+count[healthQuiet])
	lead = []template.HTML{upper(plain(rest))}
	if n := count[healthNew]; n > 0 {
		lead = append(lead, say("%s not judged yet; the role intake judges one domain after the "+
			"other.",
			plain(advice.Plural(n, "domain is", "domains are"))))
	}
	if len(need) == 0 {
		title = "No domain needs attention"
		if n == 1 {
			return title, say("%s needs no attention today.", all[0].x.domain.Name), lead[1:]
		}
		return title, say("None of %s domains needs attention today.", n), lead
	}
	title = advice.Count(int64(len(need))) + " of " + advice.Plural(n, "domain needs",
		"domains need") +
		" attention"
	var parts []string
	for _, s := range need[:min(3, len(need))] {
		parts = append(parts, string(say("%s (%s)", link("#"+rowID(s.x.domain.Name),
			name(s.x.domain.Name)), prose(s.h.short))))
	}
	if more := len(need) - 3; more > 0 {
		parts = append(parts, advice.Count(int64(more))+" more")
	}
	heading = plain(title) + ": " + template.HTML(advice.List(parts, 4)) +
		"." //nolint:gosec // parts were escaped
	return title, heading, lead
}

// restOf describes the domains that the sentence does not name.
func restOf(warned, ready, good int64) string {
	var parts []string
	for _, c := range []struct {
		n               int64
		one, many, what string
	}{{warned, "has", "have", " a warning"}, {ready, "can", "can", " tighten the policy"},
		{good, "needs", "need", " no attention"}} {
		if c.n > 0 {
			parts = append(parts, quantity(c.n, c.one, c.many)+c.what)
		}
	}
	if len(parts) == 0 {
		return "No other domain is known."
	}
	return advice.List(parts, len(parts)) + "."
}

// quantity is a count of domains with the verb that follows it.
func quantity(n int64, one, many string) string {
	switch n {
	case 0:
		return "none " + one
	case 1:
		return "one " + one
	}
	return advice.Count(n) + " " + many
}

func rowID(domain string) string { return strings.ReplaceAll(domain, ".", "-") }

func (s *Server) overviewFacts(ctx context.Context, v visit, b board) []fact {
	var total Counts
	var pass, rated int64
	receivers := map[string]bool{}
	for _, a := range b.lines {
		total.Add(a.x.total)
		p, n := a.x.rated()
		pass, rated = pass+p, rated+n
		for _, r := range a.x.receiver {
			receivers[r.Receiver] = true
		}
	}
	if !b.summed && b.since.IsZero() {
		return nil // there are no sums of this period
	}
	out := []fact{
		{Label: "Messages, " + advice.Plural(int64(v.filter.To-v.filter.From+1), "day", "days"),
			Value: number(total.Messages, v.filter.messages("show", v.q.Get("show"))).HTML},
		{Label: "Pass DMARC", Value: plain(percent(pass, rated)), Class: rateClass(pass, rated)},
		{Label: "Fail, held or refused", Value: plain(advice.Count(total.Held + total.Refused)),
			Note: say("of %s", total.Fail())},
		{Label: "Receivers reporting", Value: plain(advice.Count(int64(len(receivers))))},
	}
	if in, err := s.intake(ctx); err == nil && v.all() {
		out = append(out, fact{Label: "Reports today",
			Value: link("/ingest", plain(advice.Count(in.Today))),
			Note:  say("usually %s at this hour", in.Usual)},
			fact{Label: "Reports not read",
				Value: link("/ingest#errors", plain(advice.Count(in.unread())))})
	}
	return out
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "–"
	}
	return advice.Rate(part, whole) + "%"
}

func periods(v visit) []choice {
	var out []choice
	for _, d := range []struct {
		text string
		days advice.Day
	}{{"7 days", 7}, {"30 days", 30}, {"90 days", 90}, {"1 year", 365}} {
		q := url.Values{}
		for key, values := range v.q {
			if key != "from" && key != "to" && key != "days" && key != "page" {
				q[key] = values
			}
		}
		q.Set("days", advice.Count(int64(d.days)))
		out = append(out, choice{d.text, "?" + q.Encode(), v.filter.To-v.filter.From+1 == d.days})
	}
	return out
}

// newMatrix draws the rows of one page.
func (s *Server) newMatrix(ctx context.Context, b board, v visit) (*matrix, error) {
	all := b.lines
	m := &matrix{Days: advice.Plural(int64(v.filter.To-v.filter.From+1), "day", "days"),
		Caption: say("Mail with each domain in From, %s. Each number counts messages and leads "+
			"to a list of them.",
			period(v.filter, advice.DayOf(v.now)))}
	volume := map[string]int64{}
	for _, l := range all {
		for _, r := range l.x.receiver {
			volume[r.Receiver] += r.Messages
		}
	}
	for r := range volume {
		m.Wide = append(m.Wide, r)
	}
	slices.SortFunc(m.Wide, func(a, b string) int {
		return cmp.Or(cmp.Compare(volume[b], volume[a]), cmp.Compare(a, b))
	})
	m.Wide = m.Wide[:min(9, len(m.Wide))]
	m.Table = Table{Name: "domains"}
	if v.table != "" { // of all domains, which the page does not show
		m.Table = matrixTable(all, m.Wide)
	}
	first := min(v.offset(rowsOfMatrix), len(all))
	shown := all[first:min(first+rowsOfMatrix, len(all))]
	if !b.summed {
		if err := s.sumLines(ctx, shown, v.filter); err != nil {
			return nil, err
		}
	}
	for _, l := range shown {
		m.Rows = append(m.Rows, l.x.drawn().row(l.h, m.Wide))
	}
	m.Pager = v.pager(int64(len(all)), rowsOfMatrix)
	return m, nil
}

func (x *facts) row(h health, receivers []string) matrixRow {
	d := x.domain
	f := x.filter
	pass, rated := x.rated()
	r := matrixRow{ID: rowID(d.Name), Word: h.word(), Name: name(d.Name), URL: domainURL(d.Name) +
		"?" + f.query("domain", ""),
		Why: h.why, Fix: h.fix, FixURL: h.fixURL, DNS: d.dnsCell()}
	r.Policy, r.Age, r.Seen = x.policyCell()
	title := d.Name + ": no reports"
	if x.total.Messages > 0 {
		title = d.Name + ": " + advice.Count(x.total.Pass) + " pass, " +
			advice.Count(x.total.Delivered) +
			" fail and were delivered, " + advice.Count(x.total.Held+x.total.Refused) +
			" held or refused"
	}
	var marks []advice.Day
	for _, e := range x.events {
		marks = append(marks, advice.DayOf(e.At))
	}
	r.Spark = sparkline(title, x.days, marks)
	r.Messages = number(x.total.Messages, f.messages())
	r.Pass = x.parkedOr(rate(pass, rated).to(domainURL(d.Name) + "?" + f.query("domain", "") +
		"#sources"))
	r.DKIM = x.parkedOr(Cell{HTML: plain(advice.Rate(x.total.DKIM, x.total.Messages))})
	r.SPF = x.parkedOr(Cell{HTML: plain(advice.Rate(x.total.SPF, x.total.Messages))})
	r.Held = number(x.total.Held, f.messages("result", "held"))
	r.Refused = number(x.total.Refused, f.messages("result", "refused"))
	unknown := x.grounds().Unknown
	r.Unknown = Cell{HTML: plain(advice.Count(unknown)), Class: "mute"}
	if unknown > 0 {
		r.Unknown = Cell{HTML: link(domainURL(d.Name)+"#sources", plain(advice.Count(unknown)))}
	}
	r.Receivers, r.Narrow = x.receiverCells(receivers)
	return r
}

// policyCell is the policy that the DNS shows, since when reports name it, and what they name if
// that is another one: some receivers remember a record for long. Without a check of the DNS it is
// the policy that reports name.
func (x *facts) policyCell() (policy, age string, seen template.HTML) {
	d := x.domain
	p := d.Published
	switch {
	case p == nil && !d.Known:
		return "unknown", "", ""
	case p == nil || d.Known && !p.Gone && p.Step == d.Policy.Step:
		return d.Policy.Step.String(), d.Policy.Since.Age(x.now), ""
	case p.Gone:
		policy = "no record"
	default:
		policy = p.Step.String()
	}
	switch {
	case !d.Known:
	case d.Was != nil && !p.Gone && *d.Was == p.Step:
		seen = say("seen: %s → %s on %s", plain(d.Was.String()), plain(d.Policy.Step.String()),
			dayHTML(d.Policy.Since, x.now))
	default:
		seen = say("seen: %s, %s", plain(d.Policy.Step.String()), dayHTML(d.Last, x.now))
	}
	return policy, "", seen
}

// dnsCell says what the last check of the domain's records found, and leads to it.
func (d Domain) dnsCell() Cell {
	switch c := d.DNS; {
	case c == nil:
		return Cell{Value: "", HTML: "–", Class: "mute"}
	case c.Faults > 0:
		return Cell{Value: c.words(), Class: "bad",
			HTML: link(domainURL(d.Name)+"#checked", plain(c.words()))}
	case c.Warnings > 0:
		return Cell{Value: c.words(), Class: "iffy",
			HTML: link(domainURL(d.Name)+"#checked", plain(c.words()))}
	}
	return Cell{Value: "ok", Class: "mute",
		HTML: link(domainURL(d.Name)+"#checked", "ok")}
}

func (x *facts) parkedOr(c Cell) Cell {
	if x.domain.Parked || x.total.Messages == 0 {
		return Cell{HTML: "–", Class: "mute"}
	}
	return c
}

func (x *facts) receiverCells(receivers []string) (wide []receiverCell, narrow receiverCell) {
	sums := map[string]Counts{}
	for _, r := range x.receiver {
		sums[r.Receiver] = r.Counts
	}
	last := map[string]Reporter{}
	for _, r := range x.reporter {
		last[r.Receiver] = r
	}
	rest, narrowRest := x.total, x.total
	for i, r := range receivers {
		c := x.cell(r, sums[r])
		c.Wide, c.First = i >= 4, i == 0
		rest.Add(negative(sums[r]))
		if i < 4 {
			narrowRest.Add(negative(sums[r]))
		}
		if p := last[r]; p.Last != 0 && x.now-p.Last > 4 &&
			p.Days*10 >= 6*int(x.filter.To-x.filter.From+1) {
			c.Late, c.Class = true, c.Class+" late"
		}
		wide = append(wide, c)
	}
	other := x.cell("other", rest)
	other.Wide = true
	narrow = x.cell("other", narrowRest)
	return append(wide, other), narrow
}

func negative(c Counts) Counts {
	return Counts{-c.Messages, -c.Pass, -c.DKIM, -c.SPF, -c.Delivered, -c.Held, -c.Refused,
		-c.Forwarded, -c.Listed}
}

func (x *facts) cell(receiver string, c Counts) receiverCell {
	out := receiverCell{Name: receiver, Text: "–", Class: "none"}
	if c.Messages <= 0 || x.domain.Parked {
		return out
	}
	out.Text = advice.Rate(c.Pass, c.Messages)
	out.URL = domainURL(x.domain.Name) + "?" + x.filter.query("domain", "", "receiver", receiver)
	if receiver == "other" {
		out.URL = domainURL(x.domain.Name) + "?" + x.filter.query("domain", "") + "#receivers"
	}
	out.Class = map[string]string{"": "", "iffy": "b ", "bad": "c "}[rateClass(c.Pass, c.Messages)]
	switch share := c.Messages * 100 / max(x.total.Messages, 1); {
	case share >= 60:
		out.Class += "s12"
	case share >= 40:
		out.Class += "s10"
	case share >= 25:
		out.Class += "s8"
	case share >= 10:
		out.Class += "s6"
	default:
		out.Class += "s4"
	}
	return out
}

// dnsValues are what the last check of the records found, for programs: empty before the first.
func (d Domain) dnsValues() []Cell {
	out := make([]Cell, 3)
	if p := d.Published; p != nil && !p.Gone {
		out[0].Value = p.Step.String()
	} else if p != nil {
		out[0].Value = "no record"
	}
	if d.DNS != nil {
		out[1].Value, out[2].Value = int64(d.DNS.Faults), int64(d.DNS.Warnings)
	}
	return out
}

// matrixTable is the overview as CSV and JSON: every domain, not only those of the page.
func matrixTable(all []scored, receivers []string) Table {
	t := Table{Name: "domains"}
	for _, key := range []string{"health", "domain", "policy", "messages", "pass", "dkim", "spf",
		"delivered", "held", "refused", "why", "dns_policy", "dns_faults", "dns_warnings"} {
		t.Columns = append(t.Columns, Column{Key: key})
	}
	for i := range receivers {
		t.Columns = append(t.Columns, Column{Key: "receiver_" + advice.Count(int64(i+1))},
			Column{Key: "receiver_" + advice.Count(int64(i+1)) + "_pass_percent"})
	}
	for _, s := range all {
		c := s.x.total
		row := []Cell{{Value: healthWords[s.h.level].word}, {Value: s.x.domain.Name},
			{Value: s.x.domain.Policy.Step.String()},
			{Value: c.Messages},
			{Value: c.Pass},
			{Value: c.DKIM},
			{Value: c.SPF},
			{Value: c.Delivered},
			{Value: c.Held},
			{Value: c.Refused}, {Value: s.h.short}}
		row = append(row, s.x.domain.dnsValues()...)
		sums := map[string]Counts{}
		for _, r := range s.x.receiver {
			sums[r.Receiver] = r.Counts
		}
		for _, r := range receivers {
			row = append(row, Cell{Value: r},
				Cell{Value: advice.Rate(sums[r].Pass, sums[r].Messages)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
