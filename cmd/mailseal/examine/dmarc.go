package examine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/milter/action"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// DMARC is a question for the policy of a domain.
type DMARC struct {
	Resolver dns.Resolver
	SPF      []string // domains of MAIL FROM that passed SPF
	DKIM     []string // d= of signatures that passed
	JSON     bool
	Config   *config.Config // find organizational domains as it says; nil: as RFC 9989 does
}

// Find looks up the policy of a domain, evaluates the domains that passed, and prints how
// the result was determined. The answer is good if a policy applies and, with domains to
// evaluate, DMARC passes.
func (q DMARC) Find(ctx context.Context, name string, out io.Writer) error {
	author, err := domain.ParseNamed(name)
	if err != nil {
		return answer.NewUsage(err)
	}
	ids, err := q.identifiers()
	if err != nil {
		return answer.NewUsage(err)
	}
	checker := &dmarc.Checker{Resolver: q.Resolver}
	if q.Config != nil {
		checker.PublicSuffixList = q.Config.Verify.OrganizationalDomain == action.PublicSuffixList
	}
	r := checker.Discover(ctx, []dmarc.Author{{Domain: author}}).Weigh(ctx, ids)
	if q.JSON {
		err = json.NewEncoder(out).Encode(dmarcResultJSON(r))
	} else {
		_, err = io.WriteString(out, dmarcText(author, r, len(ids) > 0))
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	return dmarcAnswer(r, len(ids) > 0)
}

func (q DMARC) identifiers() ([]dmarc.Identifier, error) {
	var out []dmarc.Identifier
	for _, list := range []struct {
		method dmarc.Method
		names  []string
	}{{dmarc.SPF, q.SPF}, {dmarc.DKIM, q.DKIM}} {
		for _, name := range list.names {
			d, err := domain.ParseNamed(name)
			if err != nil {
				return nil, err
			}
			out = append(out, dmarc.Identifier{Method: list.method, Domain: d})
		}
	}
	return out, nil
}

func dmarcAnswer(r dmarc.Result, weighed bool) error {
	switch {
	case r.Value == dmarc.Temperror:
		return answer.NewUnknown(nil)
	case r.Record != nil && r.Record.Broken != "":
		return answer.NewBad(nil)
	case r.Value == dmarc.Pass, r.Value == dmarc.Fail && !weighed:
		return nil
	}
	return answer.NewBad(nil)
}

// dmarcText explains a result: what was found where, what follows from it, and what was weighed.
func dmarcText(author domain.Name, r dmarc.Result, weighed bool) string {
	var b strings.Builder
	for _, w := range r.Walks {
		fmt.Fprintf(&b, "Tree walk from %s:\n", w.Start)
		for _, s := range w.Steps {
			fmt.Fprintf(&b, "  _dmarc.%-30s %s\n", s.Domain, s.Finding)
		}
		if w.OrganizationalDomain != "" {
			fmt.Fprintf(&b, "  organizational domain: %s\n", w.OrganizationalDomain)
		}
	}
	if r.Record != nil {
		fmt.Fprintf(&b, "Policy record, at _dmarc.%s:\n  %s\n", r.PolicyDomain, r.Record.Text)
		for _, list := range []struct {
			what string
			uris []string
		}{{"aggregate reports go to", r.Record.Aggregate},
			{"failure reports go to", r.Record.Failure}} {
			if len(list.uris) > 0 {
				fmt.Fprintf(&b, "  %s: %s\n", list.what, strings.Join(list.uris, ", "))
			}
		}
		for _, note := range r.Record.Notes {
			fmt.Fprintf(&b, "  note: %s\n", note)
		}
		if r.Record.Broken != "" {
			fmt.Fprintf(&b, "The record is not valid (%s): receivers apply no policy to mail from "+
				"%s.\n", r.Record.Broken, author)
		} else {
			fmt.Fprintf(&b, "For mail from %s that fails, its owner asks for: %s (%s=)\n", author,
				r.Requested, r.Tag)
		}
		if r.Record.Testing {
			fmt.Fprintf(&b, "The policy is in test mode (t=y): receivers apply one level less.\n")
		}
	}
	for _, a := range r.Alignments {
		fmt.Fprintf(&b, "%-4s %s: %s (%s)\n", a.Method, a.Domain,
			either(a.Aligned, "aligned", "not aligned"), a.Why)
	}
	if weighed || r.Record == nil {
		fmt.Fprintf(&b, "Result: %s (%s)\n", r.Value, r.Reason)
	}
	fmt.Fprintf(&b, "DNS queries: %d\n", r.Queries)
	return b.String()
}
