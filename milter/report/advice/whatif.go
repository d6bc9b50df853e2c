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
	AlignedDKIM bool
	AlignedSPF  bool
	Refused     bool
	Held        bool
	PassedOn    bool // forwarded or by a list, says the receiver
}

// Pass reports whether the messages passed DMARC.
func (r *Row) Pass() bool { return r.AlignedDKIM || r.AlignedSPF }

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
	Harm    bool // it is mail of one's own that does not arrive
	Today   int64
	Then    int64
	Because []Share
}

// Share is a source's part of a difference.
type Share struct {
	Source   string
	Messages int64
}

// The lines of the comparison: what passes, and what happens to the rest, by whose mail it is. Each
// message is in one line today, and in one then.
var (
	owners = []struct{ code, text string }{{"own", "yours"}, {"forwarded", "forwarded"},
		{"other", "unknown or spoof"}}
	effects = []struct{ code, text, policy string }{
		{"refused", "would be refused", "reject"},
		{"held", "would be held", "quarantine"},
		{"delivered", "would fail, and be delivered", "none"}}
)

// WhatIf evaluates the rows again under change: "then" is the policy that the record would
// request, though receivers do not always apply it; "today" is what they did. It omits
// lines without messages, except for the first.
//
// Receivers' results are kept wherever the change does not affect them: receivers know
// which public suffix the organizational domain ends in, and which signatures they left out
// of the report.
func WhatIf(domain string, p Policy, rows []Row, change Change) []Line {
	policy := effective(p, change)
	lines := []Line{{Code: "pass", Text: "pass"}}
	for _, w := range owners {
		for _, e := range effects {
			lines = append(lines, Line{Code: w.code + "-" + e.code, Text: w.text + ", " + e.text,
				Harm: w.code == "own" && e.code != "delivered"})
		}
	}
	shares := make([]map[string]int64, len(lines))
	for i := range shares {
		shares[i] = map[string]int64{}
	}
	for i := range rows {
		r := &rows[i]
		today := lineOf(r, r.Pass(), r.applied())
		then := lineOf(r, pass(domain, change, r), policy.of(domain, r))
		lines[today].Today += r.Messages
		lines[then].Then += r.Messages
		if today != then {
			shares[today][r.Source] += r.Messages
			shares[then][r.Source] += r.Messages
		}
	}
	out := lines[:0]
	for i := range lines {
		if i == 0 || lines[i].Today+lines[i].Then > 0 {
			lines[i].Because = ranked(shares[i])
			out = append(out, lines[i])
		}
	}
	return out
}

// lineOf returns the line that messages are in which pass, or to which a policy is applied.
func lineOf(r *Row, passes bool, policy string) int {
	if passes {
		return 0
	}
	w := 2
	switch {
	case r.Class == Forwarding || r.PassedOn:
		w = 1
	case r.Class.IsOwn():
		w = 0
	}
	for i, e := range effects {
		if e.policy == policy {
			return 1 + w*len(effects) + i
		}
	}
	return (w + 1) * len(effects)
}

// applied returns the policy that the receiver applied.
func (r *Row) applied() string {
	switch {
	case r.Refused:
		return "reject"
	case r.Held:
		return "quarantine"
	}
	return "none"
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

type effect struct{ p, sp, np string }

// effective returns the policy that receivers are asked for. With t=y that is one step down (RFC
// 9989 section 4.7), for subdomains, too; another p is compared with its full effect.
func effective(p Policy, c Change) effect {
	base, testing := p.Step.policy()
	testing = testing && c.P == ""
	e := effect{p: cmp.Or(c.P, lowered(base, testing))}
	e.sp = cmp.Or(c.SP, lowered(p.SP, testing), e.p)
	e.np = cmp.Or(c.NP, lowered(p.NP, testing), e.sp)
	return e
}

// lowered returns what a policy asks for.
func lowered(policy string, testing bool) string {
	switch {
	case !testing:
		return policy
	case policy == "reject":
		return "quarantine"
	case policy == "quarantine":
		return "none"
	}
	return policy
}

// of returns the policy that holds for the From domain of r.
func (e effect) of(domain string, r *Row) string {
	switch {
	case r.From == "" || sameName(r.From, domain):
		return e.p
	case r.Missing:
		return e.np
	}
	return e.sp
}

// pass judges r again.
func pass(domain string, c Change, r *Row) bool {
	from := cmp.Or(r.From, domain)
	return dkimPasses(from, c, r) || spfPasses(from, domain, c, r)
}

// dkimPasses judges the signatures again. Of a pass whose signature the report does not have
// nothing else is known.
func dkimPasses(from string, c Change, r *Row) bool {
	if !r.AlignedDKIM || c.ADKIM != "s" {
		return r.AlignedDKIM
	}
	named := false
	for _, s := range r.DKIM {
		if s.Result != "pass" {
			continue
		}
		if named = true; sameName(s.Domain, from) {
			return true
		}
	}
	return !named
}

func spfPasses(from, domain string, c Change, r *Row) bool {
	switch {
	case c.NoSPF || !r.AlignedSPF:
		return false
	case c.ASPF == "s" && r.Envelope != "" && !sameName(r.Envelope, from):
		return false
	}
	// The record of the domain itself is asked for envelopes of that very domain alone.
	return !sameName(r.Envelope, domain) || !slices.ContainsFunc(c.WithoutNet,
		func(n netip.Prefix) bool { return n.Contains(r.Address.Unmap()) })
}

// sameName reports whether two names of domains are equal.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
