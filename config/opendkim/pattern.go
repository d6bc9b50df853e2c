package opendkim

import (
	"net/netip"
	"strings"
)

// pattern is a set of senders as Mailseal's rules can name it.
type pattern struct {
	local  string // lower case, or "*"
	domain string // "" for every domain
	below  bool   // the domains below it, at any depth, not itself
}

// String is the pattern in the form that config.Rule holds.
func (p pattern) String() string {
	switch {
	case p.domain == "" && p.local == "*":
		return "*"
	case p.domain == "":
		return p.local + "@*"
	case p.below:
		return p.local + "@*." + p.domain
	}
	return p.local + "@" + p.domain
}

// rank orders patterns as OpenDKIM looks them up in every table but a refile: the address, its domain, then up through
// the parents, at each first for the user, then for all; the user anywhere; everybody. No sender is in two patterns of
// one rank, and a pattern within another always has a lower one.
func (p pattern) rank() int {
	const labels = 128 // more than a name can have
	rank := 0
	switch {
	case p.domain == "":
		rank = 2 * (labels + 1)
	case p.below:
		rank = 2 * (labels - strings.Count(p.domain, "."))
	}
	if p.local == "*" {
		rank++
	}
	return rank
}

// holds tells whether every sender of q is one of p.
func (p pattern) holds(q pattern) bool {
	return (p.local == "*" || p.local == q.local) && p.domainHolds(q)
}

func (p pattern) domainHolds(q pattern) bool {
	switch {
	case p.domain == "":
		return true
	case !p.below:
		return q == pattern{q.local, p.domain, false}
	}
	return within(q.domain, p.domain) && (q.below || q.domain != p.domain)
}

// within tells whether a name is equal to top or below it.
func within(name, top string) bool {
	return name == top || strings.HasSuffix(name, "."+top)
}

// wider returns the patterns that hold p, itself among them, without regard to whether a table has them.
func (p pattern) wider() []pattern {
	domains := []pattern{}
	if p.domain != "" {
		domains = append(domains, pattern{domain: p.domain, below: p.below})
		for up := parent(p.domain); up != ""; up = parent(up) {
			domains = append(domains, pattern{domain: up, below: true})
		}
	}
	domains = append(domains, pattern{})
	var out []pattern
	for _, d := range domains {
		if p.local != "*" {
			out = append(out, pattern{p.local, d.domain, d.below})
		}
		out = append(out, pattern{"*", d.domain, d.below})
	}
	return out
}

func parent(name string) string {
	_, up, _ := strings.Cut(name, ".")
	return up
}

// fileKey reads a key of a table that is not a refile. It is not ok when no look-up is ever made for it.
func fileKey(key string) (pattern, bool) {
	key = strings.ToLower(key)
	p := pattern{local: "*"}
	name := key
	if at := strings.LastIndexByte(key, '@'); at >= 0 {
		p.local, name = key[:at], key[at+1:]
		if p.local == "" || strings.Contains(p.local, "*") {
			return p, false
		}
	}
	if name == "*" {
		return p, isUser(p.local)
	}
	name, p.below = strings.CutPrefix(name, ".")
	p.domain = name
	return p, isDomain(name) && isUser(p.local)
}

// globKey reads a pattern of a refile that has no special sign but "*". Narrowed says that it matched more than the
// patterns do; none at all and narrowed, that there are no such patterns; none, that it never matched.
func globKey(glob string) (ps []pattern, narrowed bool) {
	for strings.Contains(glob, "**") {
		glob = strings.ReplaceAll(glob, "**", "*")
	}
	user, name := "*", glob
	switch strings.Count(glob, "@") {
	case 0:
		if !strings.Contains(glob, "*") {
			return nil, false
		}
		if !strings.HasPrefix(glob, "*") {
			return nil, true
		}
	case 1:
		user, name, _ = strings.Cut(glob, "@")
	default:
		return nil, true
	}
	if user == "" || name == "" {
		return nil, false
	}
	if user != "*" && strings.Contains(user, "*") || !isUser(user) {
		return nil, true
	}
	return globDomain(user, name)
}

func globDomain(user, name string) (ps []pattern, narrowed bool) {
	rest, star := strings.CutPrefix(name, "*")
	rest, dot := strings.CutPrefix(rest, ".")
	switch {
	case star && !dot && rest == "":
		return []pattern{{local: user}}, false
	case strings.Contains(rest, "*"):
		return nil, true
	case dot && !star || !isDomain(rest):
		return nil, false
	case star && dot:
		return []pattern{{user, rest, true}}, false
	case star:
		return []pattern{{user, rest, false}, {user, rest, true}}, true
	}
	return []pattern{{user, rest, false}}, false
}

// isUser leaves out what an address pattern cannot hold.
func isUser(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd })
}

// isDomain tells whether a lower-case name is one that a message can come from.
func isDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	last := ""
	for l := range strings.SplitSeq(s, ".") {
		last = l
		if l == "" || len(l) > 63 || strings.Trim(l, "-") != l || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(last, "0123456789") != ""
}
