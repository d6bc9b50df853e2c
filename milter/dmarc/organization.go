package dmarc

import (
	"context"

	"golang.org/x/net/publicsuffix"

	"mailseal/milter/domain"
)

// organization is what is known of a name's organizational domain. Where a step of the walk failed,
// the names above it are open, and the organizational domain is one of three, by what the failed
// step holds.
type organization struct {
	// the step and all above have no record: the highest name with one, else the start
	none   domain.Name
	suffix domain.Name // the step is a public suffix (psd=y): the name one label below
	// the step or a name above it is the organizational domain; stands for all of those
	above  domain.Name
	failed string // the DNS name that did not answer; "" when all did
	err    error  // why

	// the step is a public suffix of the ICANN part of the list: no organization's own name
	neverAbove bool
	nowhere    bool // the failed step is the start: nothing is known
}

// known is the organizational domain where no step failed.
func (o organization) known() domain.Name { return o.none }

// organization returns what is known of a name's organizational domain. The Public Suffix List
// knows it without a query.
func (f *finder) organization(ctx context.Context, d domain.Name) organization {
	if f.PublicSuffixList {
		return knownOrganization(suffixPlusOne(d))
	}
	w, err := f.walk(ctx, d)
	if err == nil {
		return knownOrganization(w.OrganizationalDomain)
	}
	return w.open(err)
}

func knownOrganization(d domain.Name) organization {
	return organization{none: d, suffix: d, above: d}
}

// open lists the organizational domains that a walk whose last step failed may have (RFC 9989
// section 4.10.2).
func (w Walk) open(err error) organization {
	failed := w.Steps[len(w.Steps)-1].Domain
	o := organization{
		none:       w.highest(),
		suffix:     w.Start.Last(failed.Labels() + 1),
		above:      failed,
		failed:     "_dmarc." + failed.String(),
		err:        err,
		neverAbove: isPublicSuffix(failed),
		nowhere:    failed == w.Start,
	}
	return o
}

// highest returns the name with the fewest labels that has a record, else the start.
func (w Walk) highest() domain.Name {
	out := w.Start
	for _, s := range w.Steps {
		if s.Record != nil {
			out = s.Domain
		}
	}
	return out
}

// compare reports whether two names have the same organizational domain, and whether that is
// knownOrganization. Where both walks failed at the same step, the rest of them is the same.
func (o organization) compare(p organization) (isSame, isCertain bool) {
	if o.nowhere || p.nowhere || o.failed != p.failed {
		return false, false
	}
	isSame = o.none == p.none
	if isSame != (o.suffix == p.suffix) {
		return false, false
	}
	isNeverAbove := o.neverAbove || p.neverAbove
	return isSame, isNeverAbove || isSame == (o.above == p.above)
}

// isPublicSuffix reports whether a name is one below which organizations register theirs, by the
// part of the list that registries keep: names of hosting companies, which are organizations
// themselves, do not count.
func isPublicSuffix(d domain.Name) bool {
	suffix, isICANN := publicsuffix.PublicSuffix(d.String())
	return suffix == d.String() && (isICANN || d.Labels() == 1)
}
