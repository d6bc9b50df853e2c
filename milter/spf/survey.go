package spf

import (
	"context"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// The codes of a Survey.
const (
	FlawNone        = "spf-none"
	FlawSeveral     = "spf-several"
	FlawTooMany     = "spf-too-many-lookups"
	FlawNear        = "spf-lookups-near-limit"
	FlawVoids       = "spf-too-many-voids"
	FlawMXMany      = "spf-mx-too-many"
	FlawLoop        = "spf-loop"
	FlawIncludeNone = "spf-include-without-record"
	FlawIncludeGone = "spf-include-gone"
	FlawIncludeBad  = "spf-include-broken"
	FlawIncludeAll  = "spf-include-plus-all"
	FlawEmpty       = "spf-term-gives-nothing"
	FlawTwiceBehind = "spf-include-reached-twice"
	FlawUnanswered  = "spf-no-answer"
)

// Survey is what a domain's SPF record allows: the tree with what the DNS says of
// every term, and what it costs. A term whose name depends on the client is counted and not
// followed.
type Survey struct {
	Root *Node `json:"tree"`
	// terms that ask the DNS, of 10 allowed, as an address that no term matches would cost
	Lookups   int      `json:"lookups"`
	Voids     int      `json:"void_lookups"` // those without an answer, of 2 allowed
	Addresses *big.Int `json:"addresses"`    // IPv4 addresses allowed, each once
	Networks6 int      `json:"networks6"`    // IPv6 networks allowed
	Flaws     []Found  `json:"findings"`
}

// Found is a flaw of a survey and where it is.
type Found struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Domain string `json:"domain"`         // whose record
	Term   string `json:"term,omitempty"` // "" for the whole record
	Reason error  `json:"-"`              // of FlawUnanswered
}

// Node is one domain's record in a survey.
type Node struct {
	Domain string `json:"domain"`
	Text   string `json:"record,omitempty"`
	Broken string `json:"broken,omitempty"` // why the record cannot be used
	Terms  []Leaf `json:"terms,omitempty"`

	// Unanswered is true where the lookup of the record failed.
	Unanswered bool `json:"unanswered,omitempty"`
}

// Leaf is one term in a survey.
type Leaf struct {
	Term     string         `json:"term"`
	Kind     string         `json:"kind"`
	Value    Value          `json:"result"`             // for an address that matches
	Target   string         `json:"target,omitempty"`   // the name asked for
	Networks []netip.Prefix `json:"networks,omitempty"` // that it stands for
	Nested   *Node          `json:"nested,omitempty"`   // of include and redirect=
	Note     string         `json:"note,omitempty"`     // why nothing is known behind it
}

// surveyBound is how many terms that ask the DNS are followed: enough to say by how many a record
// is over.
const surveyBound = 40

// surveyor walks a tree of records.
type surveyor struct {
	resolver dns.Resolver
	out      *Survey
	path     []string // of includes, from the root
	reached  map[string]int
	asked    int
	nets     []netip.Prefix
}

// Explore surveys the record of a domain. What goes wrong is in the flaws.
func Explore(ctx context.Context, r dns.Resolver, name domain.Name) Survey {
	out := Survey{Addresses: new(big.Int)}
	s := &surveyor{resolver: r, out: &out, reached: map[string]int{}}
	out.Root = s.record(ctx, name.String(), "")
	s.sum()
	out.Lookups = s.asked
	switch {
	case s.asked > maxLookups:
		s.flaw(
			FlawTooMany,
			name.String(),
			"",
			fmt.Sprintf("takes %d terms that ask the DNS, and 10 are allowed: receivers take the record for broken",
				s.asked),
		)
	case s.asked >= maxLookups-1:
		s.flaw(FlawNear, name.String(), "", fmt.Sprintf("takes %d of the 10 terms that may ask the DNS", s.asked))
	}
	if out.Voids > 2 {
		s.flaw(
			FlawVoids,
			name.String(),
			"",
			fmt.Sprintf("%d of its lookups have no answer, and 2 are allowed: receivers take the record for broken",
				out.Voids),
		)
	}
	return out
}

func (s *surveyor) flaw(code, name, term, text string) {
	for _, f := range s.out.Flaws {
		if f.Code == code && f.Domain == name && f.Term == term {
			return
		}
	}
	s.out.Flaws = append(s.out.Flaws, Found{Code: code, Text: text, Domain: name, Term: term})
}

// lookup asks, and remembers what was not answered. ok is false then.
func (s *surveyor) lookup(ctx context.Context, name string, t dns.Type, of, term string) (dns.Answer, bool) {
	a, err := s.resolver.Lookup(ctx, name, t)
	if err != nil {
		s.out.Flaws = append(s.out.Flaws, Found{FlawUnanswered, fmt.Sprintf("%s %s: %v", t, name, err), of, term, err})
		return a, false
	}
	return a, true
}

// record surveys the record at a name. Term is the include or redirect= that led there, "" for the
// root.
func (s *surveyor) record(ctx context.Context, name, term string) *Node {
	n := &Node{Domain: name}
	above := name
	if len(s.path) > 0 {
		above = s.path[len(s.path)-1]
	}
	a, ok := s.lookup(ctx, name, dns.TXT, above, term)
	if !ok {
		n.Unanswered = true
		return n
	}
	var texts []string
	for _, t := range a.Texts {
		if isRecord(t) {
			texts = append(texts, t)
		}
	}
	switch {
	case len(texts) > 1:
		code := FlawSeveral
		if term != "" {
			code = FlawIncludeBad
		}
		s.flaw(code, name, term,
			fmt.Sprintf("there are %d SPF records at %s, and receivers use none of several", len(texts), name))
		return n
	case len(texts) == 0 && term == "":
		return n
	case len(texts) == 0 && a.Status == dns.NXDomain:
		s.out.Voids++
		s.flaw(
			FlawIncludeGone,
			above,
			term,
			goneText(name),
		)
		return n
	case len(texts) == 0:
		s.flaw(FlawIncludeNone, above, term, fmt.Sprintf("%s has no SPF record, which makes this one broken", name))
		return n
	}
	n.Text = texts[0]
	p, err := parseRecord(n.Text)
	if err != nil {
		n.Broken = err.Error()
		if term != "" {
			s.flaw(FlawIncludeBad, above, term, fmt.Sprintf("the record of %s is broken: %v", name, err))
		}
		return n
	}
	s.path = append(s.path, name)
	s.terms(ctx, n, p)
	s.path = s.path[:len(s.path)-1]
	return n
}

func (s *surveyor) terms(ctx context.Context, n *Node, p policy) {
	hasAll := false
	for word := range strings.FieldsSeq(p.terms) {
		t, err := parseTerm(word)
		if err != nil || t.kind.isModifier() {
			continue
		}
		leaf := Leaf{Term: word, Kind: kindNames[t.kind], Value: t.value}
		s.leaf(ctx, n.Domain, t, &leaf)
		n.Terms = append(n.Terms, leaf)
		if t.kind == kindAll {
			hasAll = true
			break
		}
	}
	if p.redirect.text != "" && !hasAll {
		leaf := Leaf{Term: p.redirect.text, Kind: kindNames[kindRedirect]}
		s.leaf(ctx, n.Domain, p.redirect, &leaf)
		n.Terms = append(n.Terms, leaf)
	}
}

var kindNames = map[kind]string{
	kindAll: "all", kindInclude: "include", kindA: "a", kindMX: "mx", kindPTR: "ptr", kindIP4: "ip4", kindIP6: "ip6",
	kindExists: "exists", kindRedirect: "redirect",
}

// leaf asks what one term of a domain's record stands for.
func (s *surveyor) leaf(ctx context.Context, of string, t term, leaf *Leaf) {
	if t.kind.asks() {
		if s.asked++; s.asked > surveyBound {
			leaf.Note = "not followed: far over the limit"
			return
		}
	}
	target := strings.ToLower(strings.TrimSuffix(t.spec, "."))
	if target == "" {
		target = of
	}
	leaf.Target = target
	if strings.Contains(t.spec, "%") {
		leaf.Note = "depends on the client"
		return
	}
	switch t.kind {
	case kindIP4, kindIP6:
		leaf.Target, leaf.Networks = "", []netip.Prefix{t.net.Masked()}
		s.allow(t, leaf.Networks)
	case kindAll:
		leaf.Target = ""
		if len(s.path) > 1 && t.value == Pass {
			s.flaw(FlawIncludeAll, of, t.text,
				"the record of "+of+" lets everybody send, and so does yours, which leads to it")
		}
	case kindA:
		leaf.Networks = s.addresses(ctx, target, t, of)
		s.gives(leaf, of, t)
	case kindMX:
		s.exchanges(ctx, target, t, of, leaf)
	case kindExists:
		if a, ok := s.lookup(ctx, target, dns.A, of, t.text); ok && len(a.Addrs) == 0 {
			s.out.Voids++
		}
	case kindInclude, kindRedirect:
		s.follow(ctx, target, t, of, leaf)
	}
}

func (s *surveyor) follow(ctx context.Context, target string, t term, of string, leaf *Leaf) {
	if slices.Contains(s.path, target) {
		s.flaw(FlawLoop, of, t.text, fmt.Sprintf("%s leads back to %s, which makes the record broken", t.text, target))
		leaf.Note = "leads back"
		return
	}
	if s.reached[target]++; s.reached[target] == 2 {
		s.flaw(FlawTwiceBehind, of, t.text, fmt.Sprintf("%s is reached twice, and its lookups count twice", target))
	}
	leaf.Nested = s.record(ctx, target, t.text)
}

// addresses are the networks that an a or mx term makes of a host.
func (s *surveyor) addresses(ctx context.Context, host string, t term, of string) []netip.Prefix {
	var out []netip.Prefix
	for _, family := range []dns.Type{dns.A, dns.AAAA} {
		a, ok := s.lookup(ctx, host, family, of, t.text)
		if !ok {
			return out
		}
		for _, addr := range a.Addrs {
			bits := t.bits4
			if addr.Is6() {
				bits = t.bits6
			}
			out = append(out, netip.PrefixFrom(addr, bits).Masked())
		}
	}
	s.allow(t, out)
	return out
}

func (s *surveyor) exchanges(ctx context.Context, name string, t term, of string, leaf *Leaf) {
	a, ok := s.lookup(ctx, name, dns.MX, of, t.text)
	if !ok {
		return
	}
	if len(a.Exchanges) > maxLookups {
		s.flaw(FlawMXMany, of, t.text,
			fmt.Sprintf("%s has %d MX hosts, and receivers ask for 10: the record is broken", name, len(a.Exchanges)))
		return
	}
	for _, x := range a.Exchanges {
		if x.Host != "" {
			leaf.Networks = append(leaf.Networks, s.addresses(ctx, x.Host, t, of)...)
		}
	}
	s.gives(leaf, of, t)
}

// gives finds terms that stand for no address.
func (s *surveyor) gives(leaf *Leaf, of string, t term) {
	for _, f := range s.out.Flaws {
		if f.Code == FlawUnanswered && f.Term == t.text {
			return
		}
	}
	if len(leaf.Networks) == 0 {
		s.out.Voids++
		s.flaw(FlawEmpty, of, t.text, fmt.Sprintf("%s stands for no address: %s has none", t.text, leaf.Target))
	}
}

func (s *surveyor) allow(t term, nets []netip.Prefix) {
	if t.value == Pass {
		s.nets = append(s.nets, nets...)
	}
}

// sum counts the addresses that are allowed, each once.
func (s *surveyor) sum() {
	slices.SortFunc(s.nets, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var kept []netip.Prefix
	for _, n := range s.nets {
		if slices.ContainsFunc(kept, func(k netip.Prefix) bool { return k.Overlaps(n) }) {
			continue
		}
		kept = append(kept, n)
		if n.Addr().Is6() {
			s.out.Networks6++
			continue
		}
		s.out.Addresses.Add(s.out.Addresses, new(big.Int).Lsh(big.NewInt(1), uint(32-n.Bits())))
	}
}

// goneText says what is wrong with a name that does not exist, and with one that could not.
func goneText(name string) string {
	if strings.ContainsAny(name, ":/@") {
		return name + " is not a domain name: write the name alone, without https:, slashes and @"
	}
	return name + " does not exist: the record is broken, and a stranger who registers the name can send as you"
}
