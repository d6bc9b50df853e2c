package web

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/report/advice"
)

// domains returns the domains that the visitor may see.
func (s *Server) domains(ctx context.Context, v visit) ([]Domain, error) {
	all, err := s.listed(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(d Domain) bool { return !v.may(d.Name) }), nil
}

func (s *Server) domain(ctx context.Context, v visit, name string) (Domain, error) {
	all, err := s.domains(ctx, v)
	if err != nil {
		return Domain{}, err
	}
	for _, d := range all {
		if d.Name == strings.ToLower(name) {
			return d, nil
		}
	}
	return Domain{}, ErrNotFound
}

func names(domains []Domain) []string {
	out := []string{}
	for _, d := range domains {
		out = append(out, d.Name)
	}
	return out
}

// selection is the filter of a list, from the query. A source is resolved to its addresses.
func (s *Server) selection(ctx context.Context, v visit) (Filter, error) {
	f := v.filter
	q := v.q
	f.HeaderOf, f.Result, f.DKIM, f.SPF = q.Get("header_from"), q.Get("result"), q.Get("dkim"),
		q.Get("spf")
	f.Signer, f.Selector, f.Envelope = q.Get("signer"), q.Get("selector"), q.Get("envelope")
	f.Reason = q.Get("reason")
	f.NoSelector = q.Get("noselector") == "1"
	domains, err := s.domains(ctx, v)
	if err != nil {
		return f, err
	}
	f.Domains = []string{}
	for _, d := range domains {
		if wanted := q.Get("domain"); wanted == "" && s.shows(v, d) || wanted == d.Name {
			f.Domains = append(f.Domains, d.Name)
		}
	}
	if a := q.Get("address"); a != "" {
		return f, f.address(a)
	}
	if src := q.Get("source"); src != "" && len(f.Domains) == 1 {
		return f, s.sourceFilter(ctx, v, domains, &f, src)
	}
	return f, nil
}

// search leads to a domain, an address or a report.
func (s *Server) search(ctx context.Context, v visit, q string) (*page, error) {
	domains, err := s.domains(ctx, v)
	if err != nil {
		return nil, err
	}
	t := &Table{Name: "found", Fit: true, Caption: "Results of the search.",
		Empty:   "Nothing was found. Search for a domain, an address, or the number of a report.",
		Columns: []Column{{Key: "what", Title: "What"}, {Key: "where", Title: "Where"}}}
	add := func(what, text, at string) {
		t.Rows = append(t.Rows, []Cell{words(what).head(), {Value: at, HTML: link(at, name(text))}})
	}
	for _, d := range domains {
		if strings.Contains(d.Name, q) && len(t.Rows) < rowsOfPage {
			add("domain", d.Name, domainURL(d.Name))
		}
	}
	f := v.filter
	if f.address(q) == nil {
		add("messages of the address", q, v.filter.messages("address", q))
		add("what it sent as each domain", q, "/s/"+url.PathEscape(q)+"?"+v.filter.query())
	}
	if id, err := strconv.ParseInt(q, 10, 64); err == nil {
		if r, _, err := s.read.Report(ctx, id); err == nil && v.may(r.Domain) {
			add("report", r.Receiver+", "+r.Domain, "/r/"+itoa(id))
		}
	}
	return &page{Current: "/", Title: "Search",
		Heading:  say("%s for %s.", plain(advice.Plural(int64(len(t.Rows)), "result", "results")), q),
		Crumbs:   []crumb{{"Domains", "/"}, {"Search", ""}},
		Sections: []section{{ID: "found", Title: "Found", Table: t}}}, nil
}

func sortedSums(sums []Sum) []Sum {
	slices.SortFunc(sums, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain))
	})
	return sums
}
