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
	FlawVoids6      = "spf-too-many-voids-ipv6"
	FlawMXMany      = "spf-mx-too-many"
	FlawLoop        = "spf-loop"
	FlawIncludeNone = "spf-include-without-record"
	FlawIncludeGone = "spf-include-gone"
	FlawIncludeBad  = "spf-include-broken"
	FlawIncludeAll  = "spf-include-plus-all"
	FlawEmpty       = "spf-term-gives-nothing"
	FlawTwiceBehind = "spf-include-reached-twice"
	FlawExists      = "spf-exists-for-all"
	FlawMany        = "spf-many-addresses"
	FlawUnanswered  = "spf-no-answer"
)

// manyAddresses is how many IPv4 addresses are worth a word: a network of 16 bits.
const manyAddresses = 1 << 16

// Survey shows what a domain's SPF record allows: the tree of terms with the DNS data of
// each, and the lookups that it costs. A term whose name depends on the client is counted
// but not followed.
type Survey struct {
	Root *Node `json:"tree"`
	// terms that ask the DNS, of 10 allowed, as an address that no term matches would cost
	Lookups int `json:"lookups"`
	// those without an answer to a client by IPv4, of 2 allowed
	Voids     int      `json:"void_lookups"`
	Voids6    int      `json:"void_lookups6"` // to a client by IPv6
	Addresses *big.Int `json:"addresses"`     // IPv4 addresses allowed, each once
	Networks6 int      `json:"networks6"`     // IPv6 networks allowed
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

	several  int   // SPF records at the name, if there is more than one: none of them holds
	missing  bool  // the name does not exist
	other    Value // of an address that no network matches
	everyone bool  // every address passes
}

// Leaf is one term in a survey.
type Leaf struct {
	Term     string         `json:"term"`
	Kind     string         `json:"kind"`
	Value    Value          `json:"result"`             // for an address that matches
	Target   string         `json:"target,omitempty"`   // the name asked for
	Networks []netip.Prefix `json:"networks,omitempty"` // that it allows
	Nested   *Node          `json:"nested,omitempty"`   // of include and redirect=
	Note     string         `json:"note,omitempty"`     // why nothing is known behind it

	all bool // it matches every address
}

// surveyBound is how many terms that ask the DNS are followed: enough to say by how many a record
// is over.
const surveyBound = 40

// surveyor walks a tree of records.
type surveyor struct {
	resolver dns.Resolver
	out      *Survey
	root     string   // whose mail it is
	path     []string // of includes, from the root
	reached  map[string]int
	asked    int
	named    bool // the names of the client have been asked for
	void     voids
	voids    []string // the terms whose lookups gave nothing
	isWide   bool     // some network alone is a mistake
}

// voids are the families of clients to which the lookups of the term in progress gave nothing.
type voids struct{ is4, is6 bool }

// Explore surveys the record of a domain. What goes wrong is in the flaws.
func Explore(ctx context.Context, r dns.Resolver, name domain.Name) Survey {
	out := Survey{}
	s := &surveyor{resolver: r, out: &out, root: name.String(), reached: map[string]int{}}
	out.Root = s.record(ctx, name.String(), "")
	out.Addresses, out.Networks6 = out.Root.allowed()
	out.Lookups = s.asked
	s.limits(name.String())
	if n := out.Addresses.Int64(); n > manyAddresses && !out.Root.everyone && !s.isWide {
		s.flaw(FlawMany, name.String(), "", fmt.Sprintf("allows %d IPv4 addresses", n))
	}
	return out
}

// limits compares what was counted with the limits of RFC 7208 section 4.6.4.
func (s *surveyor) limits(name string) {
	switch {
	case s.asked > maxLookups:
		s.flaw(FlawTooMany, name, "", fmt.Sprintf(
			"the record needs %d DNS lookups, and 10 are allowed: receivers treat it as "+
				"broken", s.asked))
	case s.asked >= maxLookups-1:
		s.flaw(FlawNear, name, "", fmt.Sprintf("the record needs %d of the 10 DNS lookups that "+
			"are allowed", s.asked))
	}
	switch v4, v6 := s.out.Voids, s.out.Voids6; {
	case v4 > defaultVoids:
		s.flaw(FlawVoids, name, "", fmt.Sprintf(
			"%d of its lookups find nothing (%s), and 2 are allowed: receivers treat the record as "+
				"broken; remove terms whose names have no addresses", v4,
			listed(s.voids)))
	// else the lookup that failed may be one void too many for all
	case v6 > defaultVoids && !s.failed():
		s.flaw(FlawVoids6, name, "", fmt.Sprintf("%d of its terms have no IPv6 address, and 2 "+
			"are allowed: "+
			"for mail over IPv6, receivers treat the record as broken", v6))
	}
}

// listedTerms is how many terms a text names.
const listedTerms = 5

// listed names terms, the first of many.
func listed(terms []string) string {
	if len(terms) > listedTerms {
		return fmt.Sprintf("%s and %d more", strings.Join(terms[:listedTerms], ", "),
			len(terms)-listedTerms)
	}
	return strings.Join(terms, ", ")
}

func (s *surveyor) failed() bool {
	return slices.ContainsFunc(s.out.Flaws, func(f Found) bool { return f.Code == FlawUnanswered })
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
func (s *surveyor) lookup(ctx context.Context, name string, t dns.Type, of,
	term string) (dns.Answer, bool) {
	a, err := s.resolver.Lookup(ctx, name, t)
	if err != nil {
		s.out.Flaws = append(s.out.Flaws,
			Found{FlawUnanswered, fmt.Sprintf("%s %s: %v", t, name, err), of, term, err})
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
	n.missing = a.Status == dns.NXDomain
	switch {
	case len(texts) > 1:
		n.several = len(texts)
		code := FlawSeveral
		if term != "" {
			code = FlawIncludeBad
		}
		s.flaw(code, name, term,
			fmt.Sprintf("there are %d SPF records at %s; if there are several, receivers use "+
				"none of them", len(texts), name))
		return n
	case len(texts) == 0 && term == "":
		return n
	case len(texts) == 0 && a.Status == dns.NXDomain:
		s.flaw(
			FlawIncludeGone,
			above,
			term,
			goneText(name),
		)
		return n
	case len(texts) == 0:
		s.flaw(FlawIncludeNone, above, term, fmt.Sprintf("%s has no SPF record, which breaks "+
			"this one", name))
		return n
	}
	n.Text = texts[0]
	p, err := parseRecord(n.Text)
	if err != nil {
		n.Broken = err.Error()
		if term != "" {
			s.flaw(FlawIncludeBad, above, term, fmt.Sprintf("the record of %s is broken: "+
				"%v", name, err))
		}
		return n
	}
	s.path = append(s.path, name)
	s.terms(ctx, n, p)
	s.path = s.path[:len(s.path)-1]
	return n
}

// terms surveys the terms of a record up to the one that matches every address that comes to it.
func (s *surveyor) terms(ctx context.Context, n *Node, p policy) {
	n.other = Neutral
	// of an address that no network matches; of all addresses so far
	isDecided, isPass := false, true
	decide := func(v Value) {
		if !isDecided {
			n.other, isDecided = v, true
		}
	}
	for word := range strings.FieldsSeq(p.terms) {
		t, err := parseTerm(word)
		if err != nil || t.kind.isModifier() {
			continue
		}
		leaf := Leaf{Term: word, Kind: kindNames[t.kind], Value: t.value}
		s.leaf(ctx, n.Domain, t, &leaf)
		n.Terms = append(n.Terms, leaf)
		isPass = isPass && t.value == Pass
		if leaf.all || leaf.Nested != nil && leaf.Nested.other == Pass {
			decide(t.value)
		}
		if leaf.all {
			n.everyone = isPass
			return
		}
	}
	if p.redirect.text != "" {
		leaf := Leaf{Term: p.redirect.text, Kind: kindNames[kindRedirect]}
		s.leaf(ctx, n.Domain, p.redirect, &leaf)
		n.Terms = append(n.Terms, leaf)
		if leaf.Nested != nil {
			decide(leaf.Nested.other)
			n.everyone = isPass && leaf.Nested.everyone
		}
	}
}
