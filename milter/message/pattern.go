package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// ErrPattern means that a text is not an address pattern.
var ErrPattern = errors.New("not an address pattern")

// Pattern is a set of addresses, as tables of them are written: one address, all users of a domain,
// all users below one, one user anywhere, users whose names begin, end or go on alike.
type Pattern struct {
	local  string      // lower case; each "*" is any text
	domain domain.Name // "" for every domain
	below  bool        // the names below domain, at any depth, not domain itself
}

// ParsePattern reads user@domain, *@domain or domain, *@*.domain, *.domain or .domain, user@*,
// user@*.domain and *. In the user each "*" is any text, none too: info*@domain, *-bounces@domain.
// Domains may be in A- or U-labels. The error wraps ErrPattern.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{local: "*"}
	name := strings.TrimSpace(s)
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		p.local, name = oneStar(strings.ToLower(name[:at])), name[at+1:]
	}
	if p.local == "" {
		return Pattern{}, fmt.Errorf("%w: %q (write user@domain, *@domain or *@*.domain)",
			ErrPattern, s)
	}
	if name == "*" {
		return p, nil
	}
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "*"), "."); ok {
		p.below, name = true, rest
	}
	d, err := domain.Parse(name)
	if err != nil {
		return Pattern{}, fmt.Errorf("%w: %q (%w)", ErrPattern, s, err)
	}
	p.domain = d
	return p, nil
}

// oneStar writes "**" as "*", which is the same.
func oneStar(s string) string {
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	return s
}

// String returns the pattern in its one normal form: LOCAL@DOMAIN with "*" for any local part and
// any domain, and "*.DOMAIN" for the names below it.
func (p Pattern) String() string {
	switch {
	case p.domain == "":
		return p.local + "@*"
	case p.below:
		return p.local + "@*." + string(p.domain)
	}
	return p.local + "@" + string(p.domain)
}

// Match reports whether the address is in the set. Local parts are compared without regard to case.
func (p Pattern) Match(a Address) bool {
	switch {
	case !p.matchLocal(strings.ToLower(a.Local)):
		return false
	case p.domain == "":
		return true
	case p.below:
		return a.Domain != p.domain && a.Domain.Within(p.domain)
	}
	return a.Domain == p.domain
}

// Local returns the part before the "@", in lower case, with "*" for any text.
func (p Pattern) Local() string { return p.local }

// Place returns the part behind the "@" as String writes it: "example.com", "*.example.com" or "*".
func (p Pattern) Place() string { return p.String()[len(p.local)+1:] }

// matchLocal compares a local part in lower case. Every piece between two "*" is taken where it
// comes first, which leaves the most for those behind it: the time is linear in the local part for
// each piece.
func (p Pattern) matchLocal(local string) bool {
	head, rest, glob := strings.Cut(p.local, "*")
	if !glob {
		return local == head
	}
	local, ok := strings.CutPrefix(local, head)
	for ok {
		var piece string
		if piece, rest, glob = strings.Cut(rest, "*"); !glob {
			return strings.HasSuffix(local, piece)
		}
		_, local, ok = strings.Cut(local, piece)
	}
	return false
}

// Patterns is the union of sets of addresses.
type Patterns []Pattern

// ParsePatterns reads a list of patterns.
func ParsePatterns(texts []string) (Patterns, error) {
	var out Patterns
	for _, s := range texts {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Match reports whether the address is in one of the sets.
func (ps Patterns) Match(a Address) bool {
	return slices.ContainsFunc(ps, func(p Pattern) bool { return p.Match(a) })
}

// MatchDomain reports whether the sets hold all users of a domain.
func (ps Patterns) MatchDomain(d domain.Name) bool {
	return d != "" && slices.ContainsFunc(ps, func(p Pattern) bool {
		return p.local == "*" && p.Match(Address{Domain: d})
	})
}

// MatchPath is Match for an envelope path (see ParsePath); the null sender is in no set.
func (ps Patterns) MatchPath(path string) bool {
	if len(ps) == 0 || path == "" {
		return false
	}
	a, err := ParsePath(path)
	return err == nil && ps.Match(a)
}
