package tables

import (
	"net/netip"
	"strings"
)

// pattern is a set of senders as Mailseal's rules can name it.
type pattern struct {
	local  string // lower case; each "*" is any text, none too
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

// isGlob reports whether there is a "*" among the letters of the user.
func (p pattern) isGlob() bool { return p.local != "*" && strings.Contains(p.local, "*") }

// rank orders patterns as OpenDKIM looks them up in every table but a refile: the address, its
// domain, then up through the parents, at each first for the user, then for all; the user anywhere;
// all users. A pattern within another always has a lower one, and no sender is in two patterns of
// one rank, as long as no user is a glob.
func (p pattern) rank() int {
	const labels = 128 // more than a name can have
	rank := 0
	switch {
	case p.domain == "":
		rank = 3 * (labels + 1)
	case p.below:
		rank = 3 * (labels - strings.Count(p.domain, "."))
	}
	switch {
	case p.local == "*":
		rank += 2
	case p.isGlob():
		rank++
	}
	return rank
}

// holdsText reports whether a glob matches all that another one does. A "*" of the other is a
// letter that only a "*" of the first can stand for.
func holdsText(glob, other string) bool {
	head, rest, star := strings.Cut(glob, "*")
	if !star {
		return other == head
	}
	other, ok := strings.CutPrefix(other, head)
	for ok {
		var piece string
		if piece, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(other, piece)
		}
		_, other, ok = strings.Cut(other, piece)
	}
	return false
}

// within reports whether a name is equal to top or below it.
func within(name, top string) bool {
	return name == top || strings.HasSuffix(name, "."+top)
}

// places returns, without users, what holds the domain of p, itself first.
func (p pattern) places() []pattern {
	var out []pattern
	if p.domain != "" {
		out = append(out, pattern{domain: p.domain, below: p.below})
		for up := parent(p.domain); up != ""; up = parent(up) {
			out = append(out, pattern{domain: up, below: true})
		}
	}
	return append(out, pattern{})
}

// rowSet finds the rows whose patterns hold another one.
type rowSet struct {
	by    map[pattern][]row
	globs map[pattern][]string // a place → the globs of users there
}

func newRowSet() *rowSet { return &rowSet{map[pattern][]row{}, map[pattern][]string{}} }

func (s *rowSet) add(r row) {
	if at := (pattern{domain: r.domain, below: r.below}); r.isGlob() && len(s.by[r.pattern]) == 0 {
		s.globs[at] = append(s.globs[at], r.local)
	}
	s.by[r.pattern] = append(s.by[r.pattern], r)
}

// holding returns the rows that hold all of p.
func (s *rowSet) holding(p pattern) []row {
	var out []row
	for _, at := range p.places() {
		if p.local != "*" && !p.isGlob() {
			out = append(out, s.by[pattern{p.local, at.domain, at.below}]...)
		}
		for _, user := range s.globs[at] {
			if holdsText(user, p.local) {
				out = append(out, s.by[pattern{user, at.domain, at.below}]...)
			}
		}
		out = append(out, s.by[pattern{"*", at.domain, at.below}]...)
	}
	return out
}

func parent(name string) string {
	_, up, _ := strings.Cut(name, ".")
	return up
}

// fileKey reads a key of a table that is not a refile. It is not ok when no lookup is ever made for
// it.
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
	return p, IsDomain(name) && isUser(p.local)
}

// globKey reads a pattern of a refile that has no special sign but "*". Narrowed says that it
// matched more than the patterns do; none at all and narrowed, that there are no such patterns;
// none, that it never matched.
func globKey(glob string) (ps []pattern, narrowed bool) {
	for strings.Contains(glob, "**") {
		glob = strings.ReplaceAll(glob, "**", "*")
	}
	user, name, at := strings.Cut(glob, "@")
	switch stars := strings.Count(glob, "*"); {
	case !at && stars == 0:
		return nil, false
	case !at && stars > 1, strings.Contains(name, "@"):
		return nil, true
	case !at: // the only "*" stands for the "@" too
		user, name, _ = strings.Cut(glob, "*")
		user, name = user+"*", "*"+name
	}
	if user == "" || name == "" {
		return nil, false
	}
	if !isUser(user) {
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
	case dot && !star || !IsDomain(rest):
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
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == 0xfffd
	})
}

// IsDomain reports whether a lower-case name is one that a message can come from.
func IsDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	last := ""
	for l := range strings.SplitSeq(s, ".") {
		last = l
		if l == "" || len(l) > 63 || strings.Trim(l, "-") != l ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(last, "0123456789") != ""
}
