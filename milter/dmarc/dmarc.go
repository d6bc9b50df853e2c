// Package dmarc finds the policy of a message's author domain and weighs what SPF and DKIM authenticated against it
// (RFC 9989).
package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// Value is a result of RFC 9989 section 9.1.
type Value string

// The results.
const (
	NotApplied Value = "none"      // no policy record speaks for the author domain
	Pass       Value = "pass"      // an authenticated identifier is aligned with the author domain
	Fail       Value = "fail"      // none is
	Temperror  Value = "temperror" // the DNS did not tell what the verdict depends on; no policy may be applied
	Permerror  Value = "permerror" // there is not exactly one author domain, or its record cannot be used
)

// Method is what authenticated an identifier.
type Method string

// The methods that RFC 9989 builds on (section 4.4).
const (
	SPF  Method = "spf"
	DKIM Method = "dkim"
)

// Identifier is a domain that another method authenticated, or would have if the DNS had answered: the d= of a signature
// that verified, the domain of MAIL FROM that passed SPF (with a null sender that of HELO; never HELO otherwise).
// Results other than pass and temperror make no Identifier.
type Identifier struct {
	Method    Method
	Domain    domain.Name
	Selector  string // DKIM's s=, to tell signatures apart; not used for the verdict
	Temporary bool   // the method's result is temperror
}

// Alignment is an identifier and what became of it.
type Alignment struct {
	Identifier
	Aligned              bool
	Err                  error       // the DNS failed before it was known whether it is aligned
	OrganizationalDomain domain.Name // "" when it was not needed
	Why                  string      // one clause for people
}

// Result is what Check found. For a Value of none and permerror, Record may be nil.
type Result struct {
	Value        Value
	Reason       string      // one clause for people
	Author       domain.Name // whom all this is about; "" when there is not exactly one
	PolicyDomain domain.Name // where Record was found; "" when nowhere
	Record       *Record

	Tag         string // the tag that Requested comes from: "p", "sp", "np"; "rua" when p=none is assumed because of it
	Requested   Policy // what the owner publishes for the author domain; "" when no policy applies
	Disposition Policy // what the owner wants for this message: none unless it fails; one level down with t=y

	// OrganizationalDomain is the author domain's; "" when the verdict did not need it.
	OrganizationalDomain domain.Name
	Alignments           []Alignment // in the order of the identifiers given
	Walks                []Walk      // the author's first
	Queries              int         // DNS questions asked
}

// Testing tells whether t=y softened what the owner wants for this message: reports then give the reason
// policy_test_mode (RFC 9990).
func (r Result) Testing() bool { return r.Value == Fail && r.Disposition != r.Requested }

// Checker holds what Check needs. Only Resolver must be set.
type Checker struct {
	Resolver dns.Resolver

	// PublicSuffixList takes organizational domains from the Public Suffix List compiled in, as receivers of RFC 7489
	// do, and knows no psd. Everything else stays as RFC 9989 has it.
	PublicSuffixList bool

	// BrokenIsNone gives none instead of permerror when a record's policies cannot be used and it has no rua; RFC 9989
	// section 4.10.1 only says that DMARC is not applied.
	BrokenIsNone bool

	// EachAuthor checks every author domain of a message that has several, at most MaxAuthors of them, and gives the
	// result of the strictest that fails (RFC 9989 section 11.5). Such a message never passes.
	EachAuthor bool

	// Thorough walks from the author domain even when the verdict does not need it, for a Result to show.
	Thorough bool
}

const (
	// MaxAuthors is how many author domains EachAuthor goes into.
	MaxAuthors = 5
	// MaxWalks is how many identifiers below the author's organizational domain are walked from. Legitimate mail has
	// one or two; a message full of signatures for invented subdomains would cost up to 8 queries each.
	MaxWalks = 16
)

// Check decides about a message with the author domains given, which are those of all addresses in its From fields, and
// the identifiers that SPF and DKIM found. One domain named several times is one domain (RFC 9989 section 5.3.1); none,
// or several, is a permerror. Each author costs at most 8 queries, one more if np differs from sp, and each identifier
// that might be aligned at most 8.
func (c *Checker) Check(ctx context.Context, authors []domain.Name, ids []Identifier) Result {
	authors = slices.Compact(slices.Sorted(slices.Values(authors)))
	switch {
	case len(authors) == 0:
		return Result{Value: Permerror, Reason: "the message has no author domain"}
	case len(authors) == 1:
		return c.finder().check(ctx, authors[0], ids)
	case c.EachAuthor:
		return c.each(ctx, authors, ids)
	}
	return Result{Value: Permerror, Reason: several(authors)}
}

func several(authors []domain.Name) string {
	shown := authors[:min(len(authors), 3)]
	return fmt.Sprintf("the message has %d author domains: %s", len(authors), strings.TrimRight(fmt.Sprintln(shown), "\n"))
}

// each checks all authors and returns the failure with the strictest policy; without one, a temperror; without that, a
// permerror, since to pass takes exactly one author.
func (c *Checker) each(ctx context.Context, authors []domain.Name, ids []Identifier) Result {
	f := c.finder()
	worst := Result{Value: Permerror, Reason: several(authors) + ", and none of them fails"}
	if len(authors) > MaxAuthors {
		worst.Reason = fmt.Sprintf("%s; only %d were checked, and none of them fails", several(authors), MaxAuthors)
	}
	for _, author := range authors[:min(len(authors), MaxAuthors)] {
		r := f.check(ctx, author, ids)
		switch {
		case r.Value == Fail && (worst.Value != Fail || r.Disposition.stricter(worst.Disposition)):
			worst = r
		case r.Value == Temperror && worst.Value == Permerror:
			worst = r
		}
	}
	worst.Walks, worst.Queries = f.walks, f.queries
	return worst
}

// check decides for one author domain.
func (f *finder) check(ctx context.Context, author domain.Name, ids []Identifier) Result {
	r := Result{Author: author, Disposition: None}
	f.discover(ctx, &r)
	if r.Value == "" {
		r.Alignments = f.align(ctx, &r, ids)
		f.conclude(ctx, &r)
	}
	r.Walks, r.Queries = f.walks, f.queries
	return r
}

// discover finds the policy record (RFC 9989 section 4.10.1). It sets a Value when there is nothing to weigh.
func (f *finder) discover(ctx context.Context, r *Result) {
	own := f.at(ctx, r.Author)
	found := &own
	if own.Record == nil || f.Thorough {
		w, err := f.walk(ctx, r.Author)
		if err != nil && own.Record == nil {
			r.Value, r.Reason = Temperror, err.Error()
			return
		}
		r.OrganizationalDomain = w.OrganizationalDomain
		found = w.policy()
	}
	if found == nil {
		r.Value, r.Reason = NotApplied, "no policy record for "+r.Author.String()
		return
	}
	r.Record, r.PolicyDomain = found.Record, found.Domain
	if r.Record.Broken != "" && len(r.Record.Aggregate) == 0 {
		r.Value = Permerror
		if f.BrokenIsNone {
			r.Value = NotApplied
		}
		r.Reason = fmt.Sprintf("the record of %s cannot be used: %s, and it has no rua", r.PolicyDomain, r.Record.Broken)
	}
}

// conclude turns the alignments into a verdict (RFC 9989 sections 5.3.5 and 5.3.6). An aligned pass in hand is a pass,
// whatever else could not be found out; without one, an identifier that may have been aligned leaves the verdict open.
func (f *finder) conclude(ctx context.Context, r *Result) {
	f.request(ctx, r)
	open := (*Alignment)(nil)
	for i := range r.Alignments {
		a := &r.Alignments[i]
		if a.Aligned && !a.Temporary {
			r.Value, r.Reason = Pass, fmt.Sprintf("%s: %s", a.Method, a.Why)
			return
		}
		if open == nil && (a.Aligned || a.Err != nil) {
			open = a
		}
	}
	if open != nil {
		r.Value, r.Reason = Temperror, fmt.Sprintf("%s %s: %s", open.Method, open.Domain, open.Why)
		return
	}
	r.Value, r.Reason = Fail, "no authenticated identifier is aligned with "+r.Author.String()
	if len(r.Alignments) == 0 {
		r.Reason = "there is no authenticated identifier"
	}
	r.Disposition = r.Requested
	if r.Record.Testing {
		r.Disposition = r.Requested.milder()
	}
}

// request says which policy the record has for the author domain: p for the name it stands at, below it sp, or np when
// the author domain does not exist (RFC 9989 section 4.10.1).
func (f *finder) request(ctx context.Context, r *Result) {
	rec := r.Record
	switch {
	case rec.Broken != "":
		r.Tag, r.Requested = "rua", None
		return
	case r.PolicyDomain == r.Author:
		r.Tag, r.Requested = "p", rec.Policy
		return
	}
	r.Tag, r.Requested = "p", rec.Policy
	if rec.Subdomain != "" {
		r.Tag, r.Requested = "sp", rec.Subdomain
	}
	if rec.NonExistent != "" && rec.NonExistent != r.Requested && !f.exists(ctx, r.Author) {
		r.Tag, r.Requested = "np", rec.NonExistent
	}
}

// exists asks for the name itself; the answer for its _dmarc says nothing about it. A failure counts as existence: np is
// never chosen on a guess. So does an alias that leads nowhere, since NXDOMAIN is then about the target (RFC 8020
// section 2).
func (f *finder) exists(ctx context.Context, d domain.Name) bool {
	f.queries++
	a, err := f.Resolver.Lookup(ctx, d.String(), dns.TXT)
	return err != nil || a.Status != dns.NXDomain || len(a.Aliases) > 0
}
