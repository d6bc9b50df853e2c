package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/dns"
)

// The limits of RFC 7208 section 4.6.4.
const (
	maxLookups   = 10 // terms that ask the DNS, in all records together
	defaultVoids = 2  // of them, those without an answer
	maxExchanges = 10 // names of one mx
	maxNames     = 10 // names of the client that are looked at
)

// maxOctets is how long all records of an evaluation may be together. RFC 7208 section 3.4 asks for
// 450 octets each; ten includes of 64 KiB would cost as much as seventy ordinary messages.
const maxOctets = 64 << 10

// Limits of what an evaluation keeps to be shown. Terms beyond maxSteps are only counted,
// unless they decide the result: one line is enough for 16,000 terms of a hostile record,
// but the term that matched is always shown.
const (
	maxSteps  = 300
	maxText   = 1000
	maxDetail = 200
)

// evaluation is one check in progress: the arguments of check_host() that do not change and what is
// counted over all records.
type evaluation struct {
	ctx      context.Context
	resolver dns.Resolver
	ip       netip.Addr
	local    string // of the sender, at most maxLocal octets
	host     string // the sender's domain
	helo     string
	receiver string
	now      func() time.Time

	lookups, voids, queries int
	octets                  int    // of the records so far
	unanswered              string // the name whose lookup failed last
	maxVoids                int
	void                    bool // the term in progress has been counted in voids
	usedLocal               bool // a macro asked for the local part
	// the result is found, only its explanation is missing: nothing counts any more
	final bool
	steps int // kept in the tree
	names clientNames
	parts []string // room for split
}

// abort ends the evaluation of a record with its Value. It is an error so that it passes through
// everything that does not know better; include and redirect= do (sections 5.2 and 6.1), and turn
// it into their own.
type abort struct {
	value  Value
	reason string
}

func (a *abort) Error() string { return a.reason }

func permerror(format string, args ...any) error {
	return &abort{Permerror, fmt.Sprintf(format, args...)}
}

// outcome is what check_host() returns for one domain.
type outcome struct {
	value     Value
	reason    string // why, when no mechanism matched
	mechanism string // the term that matched
	exp       string // the domain-spec of the explanation that goes with it
	domain    string // whose record had both
	tree      *Record
}

// evaluate is check_host() of section 4 for domain.
func (e *evaluation) evaluate(domain string) outcome {
	o := outcome{domain: domain, tree: &Record{Domain: domain}}
	text, err := e.fetch(domain)
	if err == nil {
		o.tree.Text = cut(text, maxText)
		err = e.evaluateRecord(&o, text)
	}
	var a *abort
	if errors.As(err, &a) {
		o.value, o.reason, o.mechanism = a.value, a.reason, ""
	}
	o.tree.Value, o.tree.Reason = o.value, cut(o.reason, maxDetail)
	return o
}

// fetch returns the one record of a domain (sections 4.3 to 4.5). A name without a record
// does not count as a void lookup: for the first name the result is none, for others
// permerror, so the check ends in either case.
func (e *evaluation) fetch(domain string) (string, error) {
	name, ok := dns.Canonical(domain)
	if !ok || !strings.Contains(name, ".") {
		return "", &abort{None, fmt.Sprintf("%.80q is not a domain name with a dot", domain)}
	}
	answer, err := e.ask(name, dns.TXT)
	if err != nil {
		return "", &abort{Temperror, err.Error()}
	}
	record, n := "", 0
	for _, text := range answer.Texts {
		if isRecord(text) {
			record, n = text, n+1
		}
	}
	switch {
	case answer.Status == dns.NXDomain:
		return "", &abort{None, name + " does not exist"}
	case n == 0:
		return "", &abort{None, name + " has no SPF record"}
	case n > 1:
		return "", permerror("%s has %d SPF records", name, n)
	}
	return record, nil
}

// evaluateRecord reads the whole record, and only then evaluates the terms from left to
// right (sections 4.6 and 4.7): a mistake behind the matching term is permerror as well. If
// a record has "all", its redirect= is ignored, wherever it is.
func (e *evaluation) evaluateRecord(o *outcome, text string) error {
	if e.octets += len(text); e.octets > maxOctets {
		return permerror("the records have more than %d octets together", maxOctets)
	}
	p, err := parseRecord(text)
	if err != nil {
		return &abort{Permerror, err.Error()}
	}
	for word := range strings.SplitSeq(p.terms, " ") {
		if word == "" {
			continue
		}
		t, err := parseTerm(word)
		if err != nil || t.kind.isModifier() {
			continue
		}
		matched, err := e.directive(o, t)
		if err != nil {
			return err
		}
		if matched {
			o.value, o.mechanism, o.exp = t.value, t.text, p.exp.spec
			return nil
		}
	}
	if p.redirect.text != "" {
		return e.redirect(o, p.redirect)
	}
	o.value, o.reason = Neutral, "nothing in the record matches"
	return nil
}

// directive evaluates one mechanism and puts it down in the tree.
func (e *evaluation) directive(o *outcome, t term) (bool, error) {
	s := Step{Term: cut(t.text, maxText), Outcome: "no match"}
	matched, err := e.match(t, o.domain, &s)
	if matched {
		s.Outcome = "match"
	}
	e.add(o.tree, s, t, err)
	return matched, err
}

// redirect puts another domain's outcome in place of this one, its explanation too (section 6.1 and
// 6.2).
func (e *evaluation) redirect(o *outcome, t term) error {
	s := Step{Term: cut(t.text, maxText)}
	next, err := e.nested(t, o.domain, &s)
	if err == nil && next.value == None {
		err = permerror("redirect: %s", next.reason)
	}
	if err == nil {
		s.Outcome = string(next.value)
		tree := o.tree
		*o = next
		o.tree = tree
	}
	e.add(o.tree, s, t, err)
	return err
}

// nested evaluates the domain that include or redirect= names.
func (e *evaluation) nested(t term, domain string, s *Step) (outcome, error) {
	if err := e.count(); err != nil {
		return outcome{}, err
	}
	target, err := e.target(t.spec, domain, s)
	if err != nil {
		return outcome{}, err
	}
	if target == "" {
		return outcome{}, permerror("%.60q names no domain (%s)", t.text, s.Detail)
	}
	next := e.evaluate(target)
	s.Nested = next.tree
	return next, nil
}

// add puts a step down while there is room.
func (e *evaluation) add(r *Record, s Step, t term, err error) {
	var a *abort
	if errors.As(err, &a) {
		s.Outcome = string(a.value)
		if s.Nested == nil {
			s.Detail = a.reason
		}
	}
	if t.kind.asks() {
		s.Lookups, s.Voids = e.lookups, e.voids
	}
	s.Detail = cut(s.Detail, maxDetail)
	if e.steps++; e.steps > maxSteps && s.Outcome == "no match" {
		r.Omitted++
		return
	}
	r.Steps = append(r.Steps, s)
}

// count counts a term that asks the DNS, before it asks. Terms are counted when they are evaluated,
// not when they are read: a record may have more of them behind the one that matches.
func (e *evaluation) count() error {
	e.void = false
	if e.lookups++; e.lookups > maxLookups {
		return permerror("more than %d DNS lookups are needed", maxLookups)
	}
	return nil
}

// ask asks the DNS without counting voids.
func (e *evaluation) ask(name string, t dns.Type) (dns.Answer, error) {
	e.queries++
	a, err := e.resolver.Lookup(e.ctx, name, t)
	if err != nil {
		e.unanswered = name
	}
	return a, err
}

// lookup asks the DNS for a mechanism, and counts void lookups. Section 4.6.4 counts terms, as we
// do; implementations that count questions answer permerror to every IPv6 client of a domain whose
// mx has three hosts without IPv6. The error is the resolver's, or an abort when there are too
// many.
func (e *evaluation) lookup(name string, t dns.Type) (dns.Answer, error) {
	answer, err := e.ask(name, t)
	if err != nil || answer.Status == dns.Found || e.void || e.final {
		return answer, err
	}
	e.void = true
	if e.voids++; e.voids > e.maxVoids {
		return dns.Answer{}, permerror("over %d terms whose lookups have no answer; %s has none",
			e.maxVoids, name)
	}
	return answer, nil
}

// cut shortens what is kept to be shown.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-len("...")] + "..."
}
