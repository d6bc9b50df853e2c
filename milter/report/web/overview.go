package web

import (
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
	Folded  template.HTML // the parked domains that have no row
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
	domains, err := s.domains(ctx, v)
	if err != nil {
		return nil, err
	}
	p.Shown, p.Groups = s.selections(v, domains)
	if len(all) == 0 && v.q.Get("group") != "" {
		p.Title, p.Heading = "No domain",
			say("No domain that you may see is in this selection: %s.",
				v.chosen())
	}
	if p.Matrix, err = s.newMatrix(ctx, b, v); err != nil {
		return nil, err
	}
	p.Foot = s.foot(ctx, v, all)
	return p, nil
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
			Value: number(total.Messages, v.filter.messages("show", v.q.Get("show"), "group", v.q.Get("group"))).HTML},
		{Label: "Pass DMARC", Value: plain(percent(pass, rated)), Class: rateClass(pass, rated)},
		{Label: "Failed", Value: plain(advice.Count(total.Fail())),
			Note: say("%s of these held or refused", total.Held+total.Refused)},
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
