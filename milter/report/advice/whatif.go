package advice

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Row is a group of messages with the same identifiers and results, as reports hold them.
type Row struct {
	Source   string
	Class    Class
	Address  netip.Addr
	From     string // From domain
	Envelope string // MAIL FROM domain
	SPF      string // "pass", …
	DKIM     []Signature
	Missing  bool // the From domain does not exist
	Messages int64

	// What the receiver found and did.
	Pass     bool
	Refused  bool
	Held     bool
	PassedOn bool // forwarded or by a list, says the receiver
}

// Signature is a DKIM result.
type Signature struct{ Domain, Selector, Result string }

// Change is a record that differs from the published one. Zero values leave what is published.
type Change struct {
	P, SP, NP  string // "none", "quarantine", "reject"
	ADKIM      string // "r", "s"
	ASPF       string
	NoSPF      bool           // as if there were no SPF record
	Without    string         // an SPF term that is removed …
	WithoutNet []netip.Prefix // … and the addresses that it alone matches
}

// IsZero reports whether the change changes nothing.
func (c Change) IsZero() bool {
	return c.P+c.SP+c.NP+c.ADKIM+c.ASPF+c.Without == "" && !c.NoSPF
}

// Line is a line of the comparison: messages today, then, and because of which sources they differ.
type Line struct {
	Code    string
	Text    string
	Today   int64
	Then    int64
	Because []Share
}

// Share is a source's part of a difference.
type Share struct {
	Source   string
	Messages int64
}

// WhatIf judges the rows again under change. Receivers do not always do as they are asked: "then"
// is what the record would ask for.
func WhatIf(domain string, p Policy, rows []Row, change Change) []Line {
	policy := effective(p, change)
	verb := map[string]string{"reject": "would be refused", "quarantine": "would be held"}[policy.p]
	if verb == "" {
		verb = "would fail, and be delivered"
	}
	lines := []Line{
		{Code: "pass", Text: "pass"},
		{Code: "own", Text: "yours, " + verb},
		{Code: "forwarded", Text: "forwarded, " + verb},
		{Code: "other", Text: "unknown or spoof, " + verb},
	}
	shares := make([]map[string]int64, len(lines))
	for i := range shares {
		shares[i] = map[string]int64{}
	}
	for i := range rows {
		r := &rows[i]
		then := pass(domain, policy, change, r)
		count(lines, shares, r, then, policy.of(domain, r))
	}
	for i := range lines {
		lines[i].Because = ranked(shares[i])
	}
	return lines
}

func count(lines []Line, shares []map[string]int64, r *Row, then bool, asked string) {
	if r.Pass {
		lines[0].Today += r.Messages
	}
	if then {
		lines[0].Then += r.Messages
	}
	if r.Pass != then {
		shares[0][r.Source] += r.Messages
	}
	line := 3
	switch {
	case r.Class == Forwarding || r.PassedOn:
		line = 2
	case r.Class.IsOwn():
		line = 1
	}
	was := !r.Pass && applied(asked, r)
	will := !then
	if asked == "none" {
		was = !r.Pass && !r.Held && !r.Refused
	}
	if was {
		lines[line].Today += r.Messages
	}
	if will {
		lines[line].Then += r.Messages
	}
	if was != will {
		shares[line][r.Source] += r.Messages
	}
}

// applied reports whether the receiver did to r what asked would ask for.
func applied(asked string, r *Row) bool {
	if asked == "reject" {
		return r.Refused
	}
	return r.Held
}

func ranked(m map[string]int64) []Share {
	var out []Share
	for s, n := range m {
		out = append(out, Share{s, n})
	}
	slices.SortFunc(out, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Source, b.Source))
	})
	return out
}

type effect struct{ p, sp, np, adkim, aspf string }

func effective(p Policy, c Change) effect {
	base, testing := p.Step.policy()
	if testing { // receivers are asked for the rung below
		base = map[string]string{"reject": "quarantine", "quarantine": "none"}[base]
	}
	e := effect{p: cmp.Or(c.P, base), adkim: cmp.Or(c.ADKIM, p.ADKIM, "r"),
		aspf: cmp.Or(c.ASPF, p.ASPF, "r")}
	e.sp = cmp.Or(c.SP, p.SP, e.p)
	e.np = cmp.Or(c.NP, p.NP, e.sp)
	return e
}

// of returns the policy that holds for the From domain of r.
func (e effect) of(domain string, r *Row) string {
	switch {
	case r.From == domain || r.From == "":
		return e.p
	case r.Missing:
		return e.np
	}
	return e.sp
}

// pass judges r again.
func pass(domain string, e effect, c Change, r *Row) bool {
	from := cmp.Or(r.From, domain)
	for _, s := range r.DKIM {
		if s.Result == "pass" && aligned(from, s.Domain, domain, e.adkim) {
			return true
		}
	}
	if c.NoSPF || r.SPF != "pass" || !aligned(from, r.Envelope, domain, e.aspf) {
		return false
	}
	// The record of the domain itself is asked for envelopes of that very domain alone.
	return !strings.EqualFold(strings.TrimSuffix(r.Envelope, "."), domain) ||
		!slices.ContainsFunc(c.WithoutNet,
			func(n netip.Prefix) bool { return n.Contains(r.Address) })
}

// aligned reports whether an identifier aligns with the From domain, whose organizational domain is
// domain.
func aligned(from, identifier, domain, mode string) bool {
	identifier = strings.TrimSuffix(strings.ToLower(identifier), ".")
	if identifier == from {
		return true
	}
	return mode != "s" && (identifier == domain || strings.HasSuffix(identifier, "."+domain))
}
