// Package spf checks whether a domain allows a client to send mail in its name (RFC 7208).
//
// It logs nothing and decides nothing: a Result has the result, and Tree shows how it was found.
package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// Value is a result of RFC 7208 section 2.6.
type Value string

// The results. Neutral is treated exactly as None (section 8.2); no mail is refused because of
// Softfail alone (section 8.5).
const (
	None      Value = "none"      // there is no record, or no domain name to look up
	Neutral   Value = "neutral"   // the domain does not want to say
	Pass      Value = "pass"      // the client may use the name
	Fail      Value = "fail"      // it may not
	Softfail  Value = "softfail"  // it probably may not
	Temperror Value = "temperror" // the DNS did not tell; it may later
	Permerror Value = "permerror" // the domain's records cannot be understood
)

// Scope is which of the client's two names is checked. Its text is the property of
// Authentication-Results and the identity of Received-SPF.
type Scope string

// The two scopes (RFC 7208 sections 2.3 and 2.4).
const (
	MailFrom Scope = "mailfrom"
	Helo     Scope = "helo"
)

// Identity is the input of a check. All of it is chosen by the sender.
type Identity struct {
	IP   netip.Addr // the client; an IPv4 address mapped into IPv6 is the IPv4 address
	Helo string     // the last HELO or EHLO, as sent
	// the path without angle brackets; "" is the null sender, which is checked as postmaster@Helo
	MailFrom string
	Scope    Scope // "" is MailFrom
}

// Checker checks identities. Only the Resolver is needed; the zero value of all else is a default.
// Safe for concurrent use when the Resolver is.
type Checker struct {
	Resolver dns.Resolver
	Receiver string // this host's name, for macros in explanations; "" is "unknown"
	// lookups without an answer before permerror; 0 is 2, as RFC 7208 section 4.6.4 recommends
	MaxVoids int
	Now      func() time.Time // nil is time.Now; for macros in explanations
}

// Result is the result of a check.
type Result struct {
	Value Value `json:"result"`
	Scope Scope `json:"scope"` // which name was checked
	// the domain that was checked, or "" if it is invalid
	Domain domain.Name `json:"domain,omitempty"`
	// the identity as an address: "postmaster@" and the name for HELO and the null sender
	Sender string `json:"sender,omitempty"`
	// the term that matched, as the record has it; "" when none did
	Mechanism string `json:"mechanism,omitempty"`
	// the domain's own words for a fail: printable ASCII, at most 400 octets, a stranger's
	Explanation string `json:"explanation,omitempty"`
	Reason      string `json:"reason"`  // one clause for people
	Lookups     int    `json:"lookups"` // terms that ask the DNS, of 10 allowed
	// of them, those that had no answer, of 2 allowed
	Voids   int `json:"void_lookups"`
	Queries int `json:"queries"` // questions asked in all
	// a record looked at the local part or the whole sender: only then does a pass say anything
	// about it
	Local bool `json:"local,omitempty"`
	// of a temperror: the DNS name whose lookup failed
	Unanswered string `json:"unanswered,omitempty"`
	// the whole evaluation; nil if there was no domain to check
	Tree *Record `json:"tree,omitempty"`

	identity Identity
}

// Check evaluates the records of the identity's domain. It never fails: what goes wrong is a Value.
// The time it may take is ctx's; RFC 7208 section 4.6.4 asks for at least 20 seconds. Questions to
// the DNS: one for the record, at most 11 for each of 10 terms, 1 for an explanation and 11 for the
// client's name.
func (c *Checker) Check(ctx context.Context, id Identity) Result {
	if id.Scope != Helo {
		id.Scope = MailFrom
	}
	id.IP = id.IP.Unmap().WithZone("")
	local, host := sender(id)
	r := Result{Scope: id.Scope, Sender: local + "@" + host, identity: id}
	name := id.Domain()
	if name == "" || !id.IP.IsValid() {
		r.Value, r.Reason = None, whyNone(id, host)
		return r
	}
	r.Domain, r.Sender = name, local+"@"+name.String()
	e := c.newEvaluation(ctx, id, local, name)
	o := e.evaluate(name.String())
	r.Value, r.Mechanism, r.Tree = o.value, o.mechanism, o.tree
	r.Reason, r.Local = e.reason(o), e.usedLocal
	if o.value == Temperror {
		r.Unanswered = e.unanswered
	}
	if o.value == Fail && o.exp != "" {
		r.Explanation = e.explain(o.exp, o.domain)
	}
	r.Lookups, r.Voids, r.Queries = e.lookups, e.voids, e.queries
	return r
}

// Domain is whom Check asks about the identity; "" when it names no domain of several labels.
func (id Identity) Domain() domain.Name {
	_, host := sender(id)
	name, err := domain.Parse(host)
	if err != nil || name.Labels() < 2 {
		return ""
	}
	return name
}

// OfHelo turns the result for a MAIL FROM into what a check of HELO would have found, without
// asking again: they are the same when both name one domain and no record looked at the local part.
// ok is false when they may differ.
func (r Result) OfHelo() (helo Result, ok bool) {
	id := r.identity
	id.Scope = Helo
	if r.Domain == "" || id.Domain() != r.Domain || r.Local && id.MailFrom != "" {
		return Result{}, false
	}
	helo = r
	helo.Scope, helo.identity, helo.Sender = Helo, id, "postmaster@"+r.Domain.String()
	return helo, true
}

// maxLocal bounds the local part that macros see. RFC 5321 allows 64 octets. A longer one is cut
// and not refused: a sender that could get "none" by a long local part would get past any "-all".
const maxLocal = 256

// sender returns the two parts of the identity. The domain begins behind the last @,
// whatever quotes there are, since a domain contains neither. Libraries that use the first
// @ can be made by "a@b"@example.com to look up b"@example.com, and miss the "-all" there.
// The local part keeps its quotes, as the client sent it.
func sender(id Identity) (local, host string) {
	if id.Scope == Helo || id.MailFrom == "" {
		return "postmaster", id.Helo
	}
	at := strings.LastIndexByte(id.MailFrom, '@')
	local, host = id.MailFrom[:max(at, 0)], id.MailFrom[at+1:]
	if local == "" {
		local = "postmaster"
	}
	return local[:min(len(local), maxLocal)], host
}

func whyNone(id Identity, host string) string {
	switch {
	case !id.IP.IsValid():
		return "the client has no IP address"
	case host == "":
		return "there is not a domain to ask"
	}
	return fmt.Sprintf("%.80q is not a domain name with a dot", host)
}

// newEvaluation fills in the defaults. Names become A-labels here, once: everything below is ASCII
// but the local part.
func (c *Checker) newEvaluation(ctx context.Context, id Identity, local string,
	host domain.Name) *evaluation {
	e := &evaluation{ctx: ctx, resolver: c.Resolver, ip: id.IP, local: local, host: host.String(),
		helo: cut(id.Helo, 255), receiver: c.Receiver, now: c.Now, maxVoids: c.MaxVoids}
	if name, err := domain.Parse(id.Helo); err == nil && !isASCII(id.Helo) {
		e.helo = name.String()
	}
	if e.receiver == "" {
		e.receiver = "unknown"
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.maxVoids == 0 {
		e.maxVoids = defaultVoids
	}
	return e
}

// reason returns the reason for the outcome, as a clause.
func (e *evaluation) reason(o outcome) string {
	if o.mechanism == "" {
		return o.reason
	}
	return fmt.Sprintf("%s matches %.80q of %s", e.ip, o.mechanism, o.domain)
}
