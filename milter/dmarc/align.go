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
			a.Why = fmt.Sprintf("%s is not %s, and the record asks for strict alignment", id.Domain,
				r.Author)
		default:
			f.relaxed(ctx, r, &a, &budget)
		}
		if !a.Aligned && !strict && a.Err == nil && !f.PublicSuffixList &&
			suffixPlusOne(a.Domain) == suffixPlusOne(r.Author) {
			a.Before = true
			a.Why += "; it would have aligned under RFC 7489, by the public suffix list"
		}
		if a.Temporary && a.Aligned {
			a.Why += ", but its check failed temporarily"
		}
		out = append(out, a)
	}
	return out
}

// relaxed compares organizational domains, each walked from its own name (RFC 9989 section 4.10.2).
// An identifier outside the author's organizational domain cannot have the same one: it costs
// nothing.
func (f *finder) relaxed(ctx context.Context, r *Result, a *Alignment, budget *int) {
	if a.Domain == "" || a.Domain.Last(1) != r.Author.Last(1) {
		a.Why = fmt.Sprintf("%s has nothing in common with %s", a.Domain, r.Author)
		return
	}
	author := f.organization(ctx, r.Author)
	if author.err == nil {
		r.OrganizationalDomain = author.known()
		if !a.Domain.Within(r.OrganizationalDomain) {
			a.Why = fmt.Sprintf("%s is not within %s, the organizational domain of %s", a.Domain,
				r.OrganizationalDomain, r.Author)
			return
		}
	}
	if author.err != nil && !author.nowhere &&
		a.Domain.Last(author.suffix.Labels()) != author.suffix {
		f.apart(r, a, author)
		return
	}
	if _, isWalked := f.walked[a.Domain]; !isWalked {
		if *budget == 0 {
			a.Why = fmt.Sprintf("more than %d identifiers might be aligned with %s", MaxWalks,
				r.Author)
			return
		}
		*budget--
	}
	a.compare(r, author, f.organization(ctx, a.Domain))
}

// apart weighs an identifier that has no more in common with the author than the step that failed:
// no walk from there could tell more.
func (f *finder) apart(r *Result, a *Alignment, author organization) {
	if !author.neverAbove {
		a.undecided(r.Author, author)
		return
	}
	a.Why = fmt.Sprintf("%s has nothing in common with %s but a public suffix", a.Domain, r.Author)
}

// compare weighs the organizational domains of author and identifier. Where a step of their walks
// failed, it is weighed under every answer that the step may have had, and only what all of them
// agree on counts.
func (a *Alignment) compare(r *Result, author, id organization) {
	if author.err == nil && id.err == nil {
		a.OrganizationalDomain = id.known()
	}
	isAligned, isDecided := author.compare(id)
	switch {
	case !isDecided && author.err != nil:
		a.undecided(r.Author, author)
	case !isDecided:
		a.undecided(a.Domain, id)
	case author.err != nil || id.err != nil:
		a.Aligned = isAligned
		a.Why = fmt.Sprintf("%s %s aligned with %s, whatever the records of %s are, which did not answer",
			a.Domain, isOrNot(isAligned), r.Author, firstNonEmpty(author.failed, id.failed))
	case isAligned:
		a.Aligned = true
		a.Why = fmt.Sprintf("%s and %s have the organizational domain %s", a.Domain, r.Author,
			r.OrganizationalDomain)
	default:
		a.Why = fmt.Sprintf("the organizational domain of %s is %s, that of %s is %s",
			a.Domain, a.OrganizationalDomain, r.Author, r.OrganizationalDomain)
	}
}

func isOrNot(b bool) string {
	if b {
		return "is"
	}
	return "is not"
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (a *Alignment) undecided(d domain.Name, o organization) {
	a.Err, a.unanswered = o.err, o.failed
	a.Why = fmt.Sprintf("the organizational domain of %s is not known: %v", d, o.err)
}
