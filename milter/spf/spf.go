// Package spf asks a domain whether a client may send mail in its name (RFC 7208).
//
// Nothing is logged and nothing is decided: a Result says what was found, and Tree how.
package spf

import (
	"context"
	"net/netip"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// Value is a result of RFC 7208 section 2.6.
type Value string

// The results. Neutral is treated exactly as None (section 8.2); nobody is refused because of Softfail alone (section
// 8.5).
const (
	None      Value = "none"      // there is no record, or no domain name to ask about
	Neutral   Value = "neutral"   // the domain does not want to say
	Pass      Value = "pass"      // the client may use the name
	Fail      Value = "fail"      // it may not
	Softfail  Value = "softfail"  // it probably may not
	Temperror Value = "temperror" // the DNS did not tell; it may later
	Permerror Value = "permerror" // the domain's records cannot be understood
)

// Scope is which of the client's two names is checked. Its text is the property of Authentication-Results and the
// identity of Received-SPF.
type Scope string

// The two scopes (RFC 7208 sections 2.3 and 2.4).
const (
	MailFrom Scope = "mailfrom"
	Helo     Scope = "helo"
)

// Identity is what a check is about. All of it comes from a stranger.
type Identity struct {
	IP       netip.Addr // the client; an IPv4 address mapped into IPv6 is the IPv4 address
	Helo     string     // the last HELO or EHLO, as said
	MailFrom string     // the path without angle brackets; "" is the null sender, which is checked as postmaster@Helo
	Scope    Scope      // "" is MailFrom
}

// Checker checks identities. Only the Resolver is needed; the zero value of all else is a default. Safe for concurrent
// use when the Resolver is.
type Checker struct {
	Resolver dns.Resolver
	Receiver string           // this host's name, for macros in explanations; "" is "unknown"
	MaxVoids int              // look-ups without an answer before permerror; 0 is 2, as RFC 7208 section 4.6.4 recommends
	Now      func() time.Time // nil is time.Now; for macros in explanations
}

// Result is what a check found.
type Result struct {
	Value       Value       `json:"result"`
	Scope       Scope       `json:"scope"`                 // which name was checked
	Domain      domain.Name `json:"domain,omitempty"`      // the domain that was asked; "" when it is none
	Sender      string      `json:"sender,omitempty"`      // the identity as an address: "postmaster@" and the name for HELO and the null sender
	Mechanism   string      `json:"mechanism,omitempty"`   // the term that matched, as the record has it; "" when none did
	Explanation string      `json:"explanation,omitempty"` // the domain's own words for a fail: printable ASCII, at most 400 octets, a stranger's
	Reason      string      `json:"reason"`                // one clause for people
	Lookups     int         `json:"lookups"`               // terms that ask the DNS, of 10 allowed
	Voids       int         `json:"voids"`                 // of them, those that had no answer, of 2 allowed
	Queries     int         `json:"queries"`               // questions asked in all
	Local       bool        `json:"local,omitempty"`       // a record looked at the local part or the whole sender: only then does a pass say anything about it
	Tree        *Record     `json:"tree,omitempty"`        // the whole evaluation; nil when there was no domain to ask

	identity Identity
}

// Record is the evaluation of one domain's record, and of those that it leads to.
type Record struct {
	Domain  string `json:"domain"`
	Text    string `json:"record,omitempty"` // the record, cut after 1000 octets
	Value   Value  `json:"result"`
	Reason  string `json:"reason,omitempty"`  // why, when no term says it
	Steps   []Step `json:"steps,omitempty"`   // the terms that were evaluated, in order
	Omitted int    `json:"omitted,omitempty"` // terms evaluated and left out, since there are too many
}

// Step is the evaluation of one term.
type Step struct {
	Term    string  `json:"term"`              // as the record has it
	Target  string  `json:"target,omitempty"`  // the name that was asked for, macros expanded
	Outcome string  `json:"outcome"`           // "match", "no match", "temperror" or "permerror"; of redirect= the result
	Detail  string  `json:"detail,omitempty"`  // what the DNS said
	Lookups int     `json:"lookups,omitempty"` // terms that ask the DNS so far, this one included
	Voids   int     `json:"voids,omitempty"`   // those without an answer so far
	Nested  *Record `json:"nested,omitempty"`  // of include and redirect=
}

// Check evaluates the records of the identity's domain. It never fails: what goes wrong is a Value. The time it may
// take is ctx's; RFC 7208 section 4.6.4 asks for at least 20 seconds. Questions to the DNS: one for the record, at most
// 11 for each of 10 terms, 1 for an explanation and 11 for the client's name.
func (c *Checker) Check(ctx context.Context, id Identity) Result {
	return Result{Value: Temperror, Scope: id.Scope, Reason: "not yet", identity: id}
}

// Field returns the name and the value of a Received-SPF field (RFC 7208 section 9.1) by the host called receiver. The
// value begins with a space and is folded with CRLF.
func (r Result) Field(receiver string) (name, value string) { return "Received-SPF", "" }

// Property returns what Authentication-Results may say about the identity (RFC 8601 section 2.7.2): "helo" or
// "mailfrom", and the domain; with the local part only when a record looked at it.
func (r Result) Property() (name, value string) { return "", "" }
