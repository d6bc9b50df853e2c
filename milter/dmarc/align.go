package dmarc

import (
	"context"
	"fmt"

	"mailseal/milter/domain"
)

// align weighs each identifier against the author domain (RFC 9989 section 4.4).
func (f *finder) align(ctx context.Context, r *Result, ids []Identifier) []Alignment {
	out := make([]Alignment, 0, len(ids))
	budget := MaxWalks
	for _, id := range ids {
		a := Alignment{Identifier: id}
		strict := r.Record.StrictSPF
		if id.Method == DKIM {
			strict = r.Record.StrictDKIM
		}
		switch {
		case id.Domain == r.Author:
			a.Aligned = true
			a.Why = fmt.Sprintf("%s is the author domain", id.Domain)
		case strict:
			a.Why = fmt.Sprintf("%s is not %s, and the record asks for strict alignment", id.Domain, r.Author)
		default:
			f.relaxed(ctx, r, &a, &budget)
		}
		if a.Temporary && a.Aligned {
			a.Why += ", but its check met a temporary error"
		}
		out = append(out, a)
	}
	return out
}

// relaxed compares organizational domains, each walked from its own name (RFC 9989 section 4.10.2). An identifier
// outside the author's organizational domain cannot have the same one: it costs nothing.
func (f *finder) relaxed(ctx context.Context, r *Result, a *Alignment, budget *int) {
	if a.Domain == "" || a.Domain.Last(1) != r.Author.Last(1) {
		a.Why = fmt.Sprintf("%s has nothing in common with %s", a.Domain, r.Author)
		return
	}
	author, err := f.organization(ctx, r.Author)
	if err != nil {
		a.undecided(r.Author, err)
		return
	}
	r.OrganizationalDomain = author
	if !a.Domain.Within(author) {
		a.Why = fmt.Sprintf("%s is not within %s, the organizational domain of %s", a.Domain, author, r.Author)
		return
	}
	if _, known := f.walked[a.Domain]; !known {
		if *budget == 0 {
			a.Why = fmt.Sprintf("more than %d identifiers within %s", MaxWalks, author)
			return
		}
		*budget--
	}
	if a.OrganizationalDomain, err = f.organization(ctx, a.Domain); err != nil {
		a.undecided(a.Domain, err)
		return
	}
	a.compare(r)
}

// organization returns a name's organizational domain. The Public Suffix List knows it without a query.
func (f *finder) organization(ctx context.Context, d domain.Name) (domain.Name, error) {
	if f.PublicSuffixList {
		return suffixPlusOne(d), nil
	}
	w, err := f.walk(ctx, d)
	return w.OrganizationalDomain, err
}

func (a *Alignment) undecided(d domain.Name, err error) {
	a.Err = err
	a.Why = fmt.Sprintf("the organizational domain of %s is not known: %v", d, err)
}

func (a *Alignment) compare(r *Result) {
	a.Aligned = a.OrganizationalDomain == r.OrganizationalDomain
	if a.Aligned {
		a.Why = fmt.Sprintf("%s and %s have the organizational domain %s", a.Domain, r.Author, r.OrganizationalDomain)
		return
	}
	a.Why = fmt.Sprintf("the organizational domain of %s is %s, that of %s is %s", a.Domain, a.OrganizationalDomain, r.Author, r.OrganizationalDomain)
}
