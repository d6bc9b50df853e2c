package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/dns"
)

var kindNames = map[kind]string{
	kindAll: "all", kindInclude: "include", kindA: "a", kindMX: "mx", kindPTR: "ptr", kindIP4: "ip4", kindIP6: "ip6",
	kindExists: "exists", kindRedirect: "redirect",
}

// leaf looks up what one term of a domain's record allows.
func (s *surveyor) leaf(ctx context.Context, of string, t term, leaf *Leaf) {
	if t.kind.asks() {
		s.count(t)
		if s.asked > surveyBound {
			leaf.Note = "not followed: far above the limit"
			return
		}
	}
	switch t.kind {
	case kindIP4, kindIP6:
		leaf.Networks = []netip.Prefix{t.net.Masked()}
		s.wide(of, t, leaf.Networks)
		return
	case kindAll:
		leaf.all = true
		if len(s.path) > 1 && t.value == Pass {
			s.flaw(FlawIncludeAll, of, t.text,
				"the record of "+of+" allows every host to send, and yours includes it")
		}
		return
	}
	if leaf.Target = s.target(of, t, leaf); leaf.Note != "" {
		return
	}
	s.void = voids{}
	switch t.kind {
	case kindA:
		leaf.Networks = s.addresses(ctx, leaf.Target, t, of)
		s.gives(leaf, of, t)
	case kindMX:
		s.exchanges(ctx, leaf.Target, t, of, leaf)
	case kindExists:
		a, ok := s.lookup(ctx, leaf.Target, dns.A, of, t.text)
		s.void = voids{ok && a.Status != dns.Found, ok && a.Status != dns.Found}
		if leaf.all = len(a.Addrs) > 0; leaf.all && t.value == Pass {
			s.flaw(FlawExists, of, t.text, fmt.Sprintf(
				"%s allows every host on the Internet to send as this domain, because %s "+
					"exists", t.text, leaf.Target))
		}
	case kindInclude, kindRedirect:
		s.follow(ctx, leaf.Target, t, of, leaf)
		return
	}
	s.wide(of, t, leaf.Networks)
	s.countVoids(t.text)
}

// The widest networks that are not worth a word in the record of a service, which serves many.
const (
	widest4 = 10
	widest6 = 19
)

// wide finds terms that allow more than anyone can answer for. It does not repeat Lint's
// flaws of ip4 and ip6 in the root's own record.
func (s *surveyor) wide(of string, t term, networks []netip.Prefix) {
	isOwn := len(s.path) == 1
	for _, n := range networks {
		isFar := n.Addr().Is4() && n.Bits() < widest4 || n.Addr().Is6() && n.Bits() < widest6
		if t.value != Pass {
			return
		}
		s.isWide = s.isWide || isFar || isOwn && isWide(n)
		switch {
		case isOwn && isWide(n) && t.kind != kindIP4 && t.kind != kindIP6:
			s.flaw(FlawWide, of, t.text, fmt.Sprintf("%s allows %s", t.text, countAddresses(n)))
		case !isOwn && isFar:
			s.flaw(FlawIncludeAll, of, t.text, fmt.Sprintf(
				"the record of %s allows %s with %s, and yours includes it",
				of, countAddresses(n), t.text))
		}
	}
}

// count counts a term that asks the DNS. The first %{p} costs one more.
func (s *surveyor) count(t term) {
	s.asked++
	if !s.named && (t.kind == kindPTR || usesMacro(t.spec, "p")) {
		s.named = true
		if t.kind != kindPTR {
			s.asked++
		}
	}
}

func (s *surveyor) countVoids(text string) {
	if s.void.is4 {
		s.out.Voids++
		s.voids = append(s.voids, text)
	}
	if s.void.is6 {
		s.out.Voids6++
	}
}

// target returns the name that a term of a domain's record looks up. If that depends on the
// client, or is not a valid name, the leaf gets a note.
func (s *surveyor) target(of string, t term, leaf *Leaf) string {
	const ofClient = "slivphcrt" // macros
	name := t.spec
	switch {
	case name == "":
		return of
	case usesMacro(name, ofClient):
		leaf.Note = "depends on the client"
		return strings.ToLower(name)
	case strings.Contains(name, "%"):
		e := evaluation{host: s.root}
		name = cutName(string(e.expand(nil, name, of, maxExpansion)))
	}
	out, ok := dns.Canonical(name)
	if ok && (strings.Contains(out, ".") || !t.leads()) {
		return out
	}
	leaf.Note = "not a domain name"
	code, text := FlawEmpty, fmt.Sprintf("%s matches no address: %q is not a domain name", t.text,
		name)
	if t.leads() {
		code, text = FlawIncludeGone, fmt.Sprintf("%s has no effect: %q is not a domain "+
			"name", t.text, name)
	}
	s.flaw(code, of, t.text, text)
	return name
}

// leads reports whether a term leads to another record.
func (t term) leads() bool { return t.kind == kindInclude || t.kind == kindRedirect }

func (s *surveyor) follow(ctx context.Context, target string, t term, of string, leaf *Leaf) {
	if slices.Contains(s.path, target) {
		s.flaw(FlawLoop, of, t.text, fmt.Sprintf("%s refers back to %s, which makes the record "+
			"invalid: remove it", t.text, target))
		leaf.Note = "refers back"
		return
	}
	if s.reached[target]++; s.reached[target] == 2 {
		s.flaw(FlawTwiceBehind, of, t.text, fmt.Sprintf("%s is included twice, and its lookups "+
			"count twice", target))
	}
	leaf.Nested = s.record(ctx, target, t.text)
	leaf.all = t.kind == kindInclude && leaf.Nested.everyone
}

// addresses are the networks that an a or mx term makes of a host.
func (s *surveyor) addresses(ctx context.Context, host string, t term, of string) []netip.Prefix {
	var out []netip.Prefix
	for _, family := range []dns.Type{dns.A, dns.AAAA} {
		a, ok := s.lookup(ctx, host, family, of, t.text)
		if !ok {
			return out
		}
		if a.Status != dns.Found {
			s.void.is4 = s.void.is4 || family == dns.A
			s.void.is6 = s.void.is6 || family == dns.AAAA
		}
		for _, addr := range a.Addrs {
			bits := t.bits4
			if addr.Is6() {
				bits = t.bits6
			}
			out = append(out, netip.PrefixFrom(addr, bits).Masked())
		}
	}
	return out
}

func (s *surveyor) exchanges(ctx context.Context, name string, t term, of string, leaf *Leaf) {
	a, ok := s.lookup(ctx, name, dns.MX, of, t.text)
	if !ok {
		return
	}
	isVoid := a.Status != dns.Found
	s.void = voids{isVoid, isVoid}
	if len(a.Exchanges) > maxExchanges {
		s.flaw(FlawMXMany, of, t.text,
			fmt.Sprintf("%s has %d MX hosts, and 10 are allowed: receivers treat the record as "+
				"broken", name, len(a.Exchanges)))
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
		s.flaw(FlawEmpty, of, t.text, fmt.Sprintf("%s matches no address: %s has "+
			"none", t.text, leaf.Target))
	}
}

// goneText describes the problem of a name that does not exist, or could not.
func goneText(name string) string {
	if front, isGlued := strings.CutSuffix(name, "-all"); isGlued {
		return fmt.Sprintf("%s does not exist: is the space between %s and -all missing?", name,
			front)
	}
	if strings.ContainsAny(name, ":/@") {
		return name + " is not a domain name: write only the name, without https:, slashes or @"
	}
	return name + " does not exist, which breaks the record; a stranger who registers the name " +
		"can send as you"
}
