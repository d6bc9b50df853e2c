package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// checkURL is the page that asks the DNS about a domain.
func checkURL(domain string) string { return "/check?" + Filter{Domains: []string{domain}}.query() }

// linkChecks leads from the page of a domain, from its advice, and from problems of its records to
// the check.
func (p *page) linkChecks(domain string) {
	at := checkURL(domain)
	p.Lead = append(p.Lead, say("%s shows every record that receivers use, and has forms for SPF "+
		"and DMARC.",
		link(at, "The DNS check")))
	for i := range p.Sections {
		s := &p.Sections[i]
		if s.ID == "advice" {
			s.Text = append(s.Text, say("%s before and after you publish.",
				link(at, "Check the records")))
		}
		for j := range s.Findings {
			if s.Findings[j].Word == "DNS" && s.Findings[j].URL == "" {
				s.Findings[j].Fix, s.Findings[j].URL = "Check the records", at
			}
		}
	}
}

// mayAsk reports whether the visitor may have the DNS asked about a name: an account that may see
// some domains asks about those and names below them. What it asks is asked from this host.
func (s session) mayAsk(name string) bool {
	return s.all() || slices.ContainsFunc(s.domains, func(d string) bool { return within(name, d) })
}

// checkPage shows the DNS records of a domain, and which records to publish.
func (s *Server) checkPage(ctx context.Context, v visit) (*page, error) {
	if s.checker == nil {
		return nil, ErrNotFound
	}
	form := &checkForm{
		Domain:    strings.ToLower(strings.Trim(v.q.Get("domain"), ". \t")),
		Selectors: v.q.Get("selector"),
	}
	p := &page{Title: "DNS check", Current: "/check", Check: form}
	if form.Domain == "" {
		p.Heading = "Check the DNS records for a domain’s mail."
		p.Sections = []section{s.checkable(ctx, v)}
		return p, nil
	}
	p.Title = "DNS check of " + form.Domain
	if !v.mayAsk(form.Domain) {
		p.Heading = say("%s was not checked.", form.Domain)
		p.Missing = "Your account may check its own domains, and names below them."
		return p, nil
	}
	q, own, err := s.question(ctx, v, form)
	if err != nil {
		return nil, err
	}
	c, err := s.checker.Check(ctx, v.name, q)
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrRefused) {
		p.Heading = say("%s was not checked.", form.Domain)
		p.Missing = visible(err.Error())
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.Heading = say("%s: %s", c.Domain, prose(c.verdict()))
	form.Note = say(
		"checked %s, %s, %s s",
		timeHTML(c.At),
		plain(advice.Plural(int64(c.Queries), "query", "queries")),
		plain(fmt.Sprintf("%.1f", c.Took.Seconds())),
	)
	p.Sections = c.sections(own, q)
	return p, nil
}

// checkable lists the domains that the visitor may see, each with its check.
func (s *Server) checkable(ctx context.Context, v visit) section {
	out := section{ID: "domains", Title: "Domains"}
	list, err := s.read.Domains(ctx)
	if err != nil {
		out.Text = []template.HTML{"The list of domains could not be read."}
		return out
	}
	t := &Table{
		Name:    "checkable",
		Caption: "Domains of this host, and of the reports in its store.",
		Empty:   "No domain is configured, and no report has arrived.",
		Fit:     true,
		Columns: []Column{{Key: "domain", Title: "Domain"}, {Key: "policy", Title: "Policy seen"}},
	}
	for _, d := range list {
		if !v.may(d.Name) || len(t.Rows) == 500 {
			continue
		}
		policy := "not seen"
		if d.Known {
			policy = d.Policy.Step.String()
		}
		t.Rows = append(
			t.Rows,
			[]Cell{{Value: d.Name, HTML: link(checkURL(d.Name), name(d.Name)), Head: true},
				words(policy)},
		)
	}
	out.Table = t
	return out
}

// question makes of a request, and of what the reports know, what the DNS is asked. It also returns
// the own sources of the domain, which the form for SPF offers.
func (s *Server) question(ctx context.Context, v visit, form *checkForm) (Question, []source,
	error) {
	q := Question{Domain: form.Domain, Selectors: listed(form.Selectors)}
	var own []source
	sends := v.q.Get("sends")
	d, err := s.domain(ctx, v, form.Domain)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return q, nil, err
	}
	if err == nil {
		if d.Parked {
			sends = cmp.Or(sends, "no")
		}
		today := advice.DayOf(s.now())
		x, err := s.facts(ctx, d, Filter{From: today - 30, To: today - 1})
		if err != nil {
			return q, nil, err
		}
		own = x.own()
		q.Addresses = leaving(own)
		if len(q.Selectors) == 0 {
			q.Selectors = x.selectors()
		}
	}
	q.SPF = SPFQuestion{Includes: nil, Without: v.q["without"], All: v.q.Get("all")}
	for _, word := range listed(v.q.Get("let")) {
		if isNetwork(word) {
			q.SPF.Networks = append(q.SPF.Networks, word)
			continue
		}
		q.SPF.Includes = append(q.SPF.Includes, strings.TrimPrefix(word, "include:"))
	}
	for _, s := range own {
		if slices.Contains(v.q["source"], s.Name) {
			for _, ip := range s.Addresses {
				q.SPF.Networks = append(q.SPF.Networks, ip.String())
			}
		}
	}
	q.DMARC = DMARCQuestion{Silent: sends == "no", People: v.q.Get("who") != "machines",
		Reports: strings.TrimSpace(
			v.q.Get("reports"),
		), Policy: policyWord(v.q.Get("p")), Testing: v.q.Get("t") == "y"}
	return q, own, nil
}

// listed splits a field of a form.
func listed(text string) []string {
	return strings.FieldsFunc(
		text,
		func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' || r == '\r' },
	)
}

func isNetwork(word string) bool {
	_, err := netip.ParseAddr(word)
	if err != nil {
		_, err = netip.ParsePrefix(word)
	}
	return err == nil
}

// Bounds of what the reports add to a question: own addresses that are asked about, and those of a
// source that the form offers as a whole.
const (
	maxLeaving = 16
	maxOffered = 16
)

// own are the sources of the domain that are its own or a service of it, those with few addresses.
func (x *facts) own() []source {
	var out []source
	for i := range x.sources {
		if s := x.sources[i]; s.Class.IsOwn() && s.Messages >= 20 &&
			len(s.Addresses) <= maxOffered {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b source) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), maxOffered)]
}

// leaving are the addresses that a domain's own mail leaves from, as far as they once passed SPF as
// the domain: those that never did send with an envelope of another domain.
func leaving(own []source) []netip.Addr {
	var out []netip.Addr
	for i := range own {
		if own[i].SPF > 0 {
			out = append(out, own[i].Addresses...)
		}
	}
	return out[:min(len(out), maxLeaving)]
}

// selectors are those of signatures that passed as the domain's, on mail of the last 7 days.
func (x *facts) selectors() []string {
	m := map[[2]string]*tally{}
	for i := range x.ids {
		id := &x.ids[i]
		if s := x.byIP[id.Address]; s == nil || !s.Class.IsOwn() {
			continue
		}
		for _, sig := range id.DKIM {
			if within(sig.Domain, x.domain.Name) && sig.Selector != "" {
				entry(m, [2]string{sig.Selector}).add(id.Messages, sig.Result == "pass", id.Last)
			}
		}
	}
	var out []string
	for _, t := range ranked(m) {
		if t.pass > 0 && t.last >= x.now-7 && len(out) < 10 {
			out = append(out, t.key[0])
		}
	}
	return out
}

// verdict says how many findings there are of each severity, and the first of the worst.
func (c *Checked) verdict() string {
	var parts []string
	for _, s := range severities {
		n := c.count(s.word)
		if n > 0 && (s.word != "note" || len(parts) == 0) {
			parts = append(parts, advice.Plural(n, s.one, s.many))
		}
	}
	if len(parts) == 0 {
		return "no fault was found."
	}
	text := strings.Join(parts, ", ") + ". "
	if c.count("note") == int64(len(c.Findings)) {
		return "no fault, " + strings.Join(parts, ", ") + "."
	}
	return text + "First: " + brief(c.Findings[0].Name+" "+c.Findings[0].Text) + "."
}

// brief shortens a sentence with strangers' names.
func brief(s string) string {
	if runes := []rune(s); len(runes) > 2*textLength {
		return string(runes[:2*textLength]) + "…"
	}
	return s
}

// severities are the words of findings, the worst first.
var severities = []struct{ word, one, many, shown, class string }{
	{"error", "fault", "faults", "Fault", "w-fail"},
	{"unknown", "unanswered query", "unanswered queries", "No answer", "w-warn"},
	{"warning", "warning", "warnings", "Warning", "w-warn"},
	{"note", "note", "notes", "Note", "w-quiet"},
}

func (c *Checked) count(severity string) int64 {
	var n int64
	for _, f := range c.Findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}
