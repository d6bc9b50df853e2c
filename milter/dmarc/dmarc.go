// Package dmarc finds the policy of a message's author domain and evaluates the results of SPF and
// DKIM against it (RFC 9989).
package dmarc

import (
	"cmp"
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
	NotApplied Value = "none" // no policy record speaks for the author domain
	Pass       Value = "pass" // an authenticated identifier is aligned with the author domain
	Fail       Value = "fail" // none is
	// the DNS did not tell what the verdict depends on; no policy may be applied
	Temperror Value = "temperror"
	// there is not exactly one author domain, or its record cannot be used
	Permerror Value = "permerror"
)

// Method is the method that authenticated an identifier.
type Method string

// The methods that RFC 9989 builds on (section 4.4).
const (
	SPF  Method = "spf"
	DKIM Method = "dkim"
)

// Identifier is a domain that another method authenticated, or would have if the DNS had answered:
// the d= of a signature that verified, the domain of MAIL FROM that passed SPF (with a null sender
// that of HELO; never HELO otherwise). Results other than pass and temperror make no Identifier.
type Identifier struct {
	Method    Method
	Domain    domain.Name
	Selector  string // DKIM's s=, to tell signatures apart; not used for the verdict
	Temporary bool   // the method's result is temperror
}

// Author is a domain that From shows as the author's.
type Author struct {
	Domain domain.Name // "" for an address without one, such as an address literal

	// Aside means that the domain is only in the display name, which few readers take for an
	// address.
	Aside bool
	// Route means that the domain is only in a source route, which few readers show. The
	// message may pass if its owner has no record.
	Route bool
}

// Alignment is an identifier and what became of it.
type Alignment struct {
	Identifier
	Aligned              bool
	Err                  error       // the DNS failed before it was known whether it is aligned
	OrganizationalDomain domain.Name // "" when it was not needed
	Why                  string      // one clause for people
	// not aligned, but would have been under RFC 7489, by the public suffix list
	Before bool

	unanswered string // the DNS name that Err is about
}

// Result is the result of Check. Record may be nil if Value is none or permerror.
type Result struct {
	Value  Value
	Reason string      // one clause for people
	Author domain.Name // whom all this is about; "" when that is not one domain
	// Author is only in the display name or a route: no reason to refuse a message
	Aside        bool
	PolicyDomain domain.Name // where Record was found; "" when nowhere
	Record       *Record

	// the tag that Requested comes from: "p", "sp", "np"; "rua" when p=none is assumed because of
	// it
	Tag       string
	Requested Policy // what the owner publishes for the author domain; "" when no policy applies
	// what the owner wants for this message: none unless it fails; one level down with t=y
	Disposition Policy
	// what the DNS says of the author domain itself; "" when no np made it matter
	Existence string

	// OrganizationalDomain is the author domain's; "" when the verdict did not need it.
	OrganizationalDomain domain.Name
	Alignments           []Alignment // in the order of the identifiers given

	// Unanswered is the DNS name, such as "_dmarc.com", whose lookup failed and made this a
	// temperror; "" when it was that of another method.
	Unanswered string
	// Harmless means that a temperror cannot hide a failure: the result would have been a pass
	// or none, depending on whether there is a policy record.
	Harmless bool

	Walks   []Walk // the author's first
	Queries int    // DNS questions asked
}

// Testing reports whether t=y softened what the owner wants for this message: reports then give the
// reason policy_test_mode (RFC 9990).
func (r Result) Testing() bool { return r.Value == Fail && r.Disposition != r.Requested }

// Checker holds the dependencies of Check. Only Resolver must be set.
type Checker struct {
	Resolver dns.Resolver

	// PublicSuffixList takes organizational domains from the Public Suffix List compiled in, as
	// receivers of RFC 7489 do, and knows no psd. Everything else stays as RFC 9989 has it.
	PublicSuffixList bool

	// BrokenIsNone gives none instead of permerror when a record's policies cannot be used and it
	// has no rua; RFC 9989 section 4.10.1 only says that DMARC is not applied.
	BrokenIsNone bool
}

const (
	// MaxAuthors is how many author domains of a message are judged, each by its own record (RFC
	// 9989 section 11.5). A message with more is not judged.
	MaxAuthors = 4
	// MaxWalks is how many identifiers below the author's organizational domain are walked from.
	// Legitimate mail has one or two; a message full of signatures for invented subdomains would
	// cost up to 8 queries each.
	MaxWalks = 16
)

// Check decides about a message with the author domains given, which are those of all addresses in
// its From fields, and the identifiers that SPF and DKIM found. One domain named several times is
// one domain (RFC 9989 section 5.3.1). An author costs at most 8 queries, and one more if np
// matters; an identifier that might be aligned at most 8, less what is known by then.
func (c *Checker) Check(ctx context.Context, authors []Author, ids []Identifier) Result {
	return c.discover(ctx, authors, false).Weigh(ctx, ids)
}

// Discovery holds the DMARC records of a message's author domains. It serves one message
// and one goroutine.
type Discovery struct {
	f       *finder
	authors []Author
	found   []Result // one for each of authors, none when there are too many
}

// Discover is the part of Check that needs only the From fields, so that it can run in
// parallel with the other methods: a sender that slows down SPF must not use up the time
// for DMARC. Since it is not known yet which records will be needed, Discover always
// completes the tree walk.
func (c *Checker) Discover(ctx context.Context, authors []Author) *Discovery {
	return c.discover(ctx, authors, true)
}

func (c *Checker) discover(ctx context.Context, authors []Author, whole bool) *Discovery {
	d := &Discovery{f: c.finder(), authors: distinct(authors)}
	if len(d.authors) > MaxAuthors {
		return d
	}
	for _, author := range d.authors {
		r := Result{Value: NotApplied, Disposition: None,
			Reason: "an address without a domain name"}
		if author.Domain != "" {
			r = d.f.discover(ctx, author.Domain, whole)
		}
		r.Aside = author.hidden() > 0
		d.found = append(d.found, r)
	}
	return d
}

// distinct returns each domain once, in the order of the names.
func distinct(authors []Author) []Author {
	all := slices.Clone(authors)
	// Of equal domains the one in the plainest place is first, and stays.
	slices.SortFunc(all, func(a, b Author) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), a.hidden()-b.hidden())
	})
	return slices.CompactFunc(all, func(a, b Author) bool { return a.Domain == b.Domain })
}

// hidden returns how far a domain is from what all readers show.
func (a Author) hidden() int {
	switch {
	case a.Route:
		return 2
	case a.Aside:
		return 1
	}
	return 0
}

// Weigh is the rest of Check. With several authors it gives the result of the one that fails with
// the strictest policy. If none fails, it is permerror: such a message never passes (RFC 9989
// section 11.5).
func (d *Discovery) Weigh(ctx context.Context, ids []Identifier) Result {
	r := Result{Value: Permerror, Disposition: None, Reason: "the message has no author domain"}
	if slices.ContainsFunc(d.authors, func(a Author) bool { return a.Domain != "" }) {
		r.Reason = several(d.authors)
	}
	only := d.only()
	for i, author := range d.found {
		weighed := d.f.weigh(ctx, author, ids)
		switch {
		case i == only && !r.isBad():
			r = weighed
		case weighed.isBad() && weighed.worse(r):
			r = weighed
			r.Reason += "; " + several(d.authors)
		}
	}
	r.Walks, r.Queries = d.f.walks, d.f.queries
	return r
}

// only returns the index of the only author, -1 when there are several. Domains of a route without
// a record are not counted.
func (d *Discovery) only() int {
	only := -1
	for i, author := range d.authors {
		if author.Route && i < len(d.found) && d.found[i].Value == NotApplied {
			continue
		}
		if only >= 0 || author.Domain == "" {
			return -1
		}
		only = i
	}
	return only
}

// isBad reports whether r counts for a message with several authors: a domain without a record
// neither fails nor excuses another.
func (r Result) isBad() bool { return r.Value == Fail || r.Value == Temperror }

// worse compares a bad result with another for the same message: what counts is the failure with
// the strictest policy, else a temperror, one that may hide a failure before others.
func (r Result) worse(than Result) bool {
	switch {
	case r.Value != than.Value:
		return r.Value == Fail || !than.isBad()
	case r.Value == Fail:
		return r.weight() > than.weight()
	case r.Value == Temperror && r.Harmless != than.Harmless:
		return than.Harmless
	}
	return than.Aside && !r.Aside
}

// weight orders failures. One in a display name, which never refuses a message, comes before none
// alone.
func (r Result) weight() int {
	switch {
	case r.Disposition == None:
		return 0
	case r.Aside:
		return 1
	case r.Disposition == Quarantine:
		return 2
	}
	return 3
}

// several describes the authors of a message.
func several(authors []Author) string {
	names := make([]string, 0, MaxAuthors+1)
	for _, a := range authors[:min(len(authors), MaxAuthors)] {
		name := fmt.Sprintf("%.80s", a.Domain)
		if name == "" {
			name = "one without a name"
		}
		names = append(names, name)
	}
	if len(authors) > MaxAuthors {
		names = append(names, "…")
	}
	return fmt.Sprintf("From shows %d domains: %s", len(authors), strings.Join(names, ", "))
}

// discover finds the policy record of an author domain (RFC 9989 section 4.10.1) and what it asks
// for. It sets a Value when there will be nothing to weigh.
func (f *finder) discover(ctx context.Context, author domain.Name, whole bool) Result {
	r := Result{Author: author, Disposition: None}
	w := *f.begin(ctx, author)
	err := w.err()
	if whole || w.policy() == nil {
		w, err = f.walk(ctx, author)
		r.OrganizationalDomain = w.OrganizationalDomain
	}
	found := w.policy()
	switch {
	case found == nil && err != nil:
		r.Value, r.Reason = Temperror, err.Error()
		r.Unanswered = "_dmarc." + w.Steps[len(w.Steps)-1].Domain.String()
		return r
	case found == nil:
		r.Value, r.Reason = NotApplied, "there is no policy record for "+author.String()
		return r
	}
	r.Record, r.PolicyDomain = found.Record, found.Domain
	if r.Record.Broken == "" || len(r.Record.Aggregate) > 0 {
		f.request(ctx, &r)
		return r
	}
	r.Value = Permerror
	if f.BrokenIsNone {
		r.Value = NotApplied
	}
	r.Reason = fmt.Sprintf("the record of %s cannot be used (%s), and it has no rua", r.PolicyDomain,
		r.Record.Broken)
	return r
}

// weigh gives the verdict on one author, unless discover did.
func (f *finder) weigh(ctx context.Context, r Result, ids []Identifier) Result {
	if r.Value == "" {
		r.Alignments = f.align(ctx, &r, ids)
		r.conclude()
	}
	// An identifier that is the author domain itself is aligned under every record.
	isAuthor := func(id Identifier) bool { return id.Domain == r.Author && !id.Temporary }
	r.Harmless = r.Value == Temperror && slices.ContainsFunc(ids, isAuthor)
	return r
}

// conclude turns the alignments into a verdict (RFC 9989 sections 5.3.5 and 5.3.6). An aligned pass
// in hand is a pass, whatever else could not be found out; without one, an identifier that may have
// been aligned leaves the verdict open.
func (r *Result) conclude() {
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
		r.Unanswered = open.unanswered
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

// request sets the policy that the record requests for the author domain: p if the record
// is at its name, else sp, or np if the author domain does not exist (RFC 9989 section
// 4.10.1).
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
	if rec.NonExistent != "" && rec.NonExistent != r.Requested && !f.exists(ctx, r) {
		r.Tag, r.Requested = "np", rec.NonExistent
	}
}

// exists asks for the name itself; the answer for its _dmarc says nothing about it. A failure
// counts as existence: np is never chosen on a guess. So does an alias that leads nowhere, since
// NXDOMAIN is then about the target (RFC 8020 section 2).
func (f *finder) exists(ctx context.Context, r *Result) bool {
	f.queries++
	a, err := f.Resolver.Lookup(ctx, r.Author.String(), dns.TXT)
	switch {
	case err != nil:
		r.Existence = "unknown, treated as existing: " + err.Error()
	case a.Status == dns.NXDomain && len(a.Aliases) == 0:
		r.Existence = "does not exist"
		return false
	default:
		r.Existence = "exists"
	}
	return true
}
