package tables

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// maxExpansion bounds how many patterns one regular expression may stand for.
const maxExpansion = 1000

// Where a pattern begins and ends, among its letters.
const (
	begin = "\x01"
	end   = "\x02"
)

// hasRegex reports whether a pattern of a refile holds signs that are live in its regular
// expression, though OpenDKIM's manual knows none but "*".
func hasRegex(s string) bool { return strings.ContainsAny(s, `?()[]{}|^$\`) }

// Expression is the regular expression that OpenDKIM makes of a pattern of a refile.
func Expression(s string) string {
	return "^" + strings.NewReplacer("*", ".*", ".", `\.`, "+", `\+`).Replace(s) + "$"
}

// Globs returns patterns, in lower case and with "*" as their only wildcard, that together
// match the same text as a pattern of a refile. Ok is false if there is no such set, or if
// it is too large. The error reports an expression that does not compile.
func Globs(s string) (out []string, ok bool, err error) {
	if !hasRegex(s) {
		return []string{strings.ToLower(s)}, true, nil
	}
	re, err := syntax.Parse(Expression(s), syntax.FoldCase|syntax.OneLine)
	if err != nil {
		return nil, false, fmt.Errorf("%q is not a regular expression: %w", s, err)
	}
	found, ok := expand(re)
	for _, f := range found {
		if rest, has := strings.CutPrefix(f, begin); has {
			f = rest
		} else {
			f = "*" + f
		}
		if rest, has := strings.CutSuffix(f, end); has {
			f = rest
		} else {
			f += "*"
		}
		if strings.Contains(f, begin) || strings.Contains(f, end) {
			continue // an end in the middle: nothing matches
		}
		out = append(out, f)
	}
	return out, ok, nil
}

// expand writes out all that an expression matches, as long as only "anything" repeats without
// bound.
func expand(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}, true
	case syntax.OpCharClass:
		return expandClass(re.Rune)
	case syntax.OpBeginText, syntax.OpBeginLine:
		return []string{begin}, true
	case syntax.OpEndText, syntax.OpEndLine:
		return []string{end}, true
	case syntax.OpCapture:
		return expand(re.Sub[0])
	case syntax.OpStar:
		any := re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
		return []string{"*"}, any
	case syntax.OpQuest:
		out, ok := expand(re.Sub[0])
		return append([]string{""}, out...), ok
	case syntax.OpRepeat:
		return expandRepeat(re)
	case syntax.OpConcat:
		out := []string{""}
		for _, sub := range re.Sub {
			more, ok := expand(sub)
			if out, ok = cross(out, more, ok); !ok {
				return nil, false
			}
		}
		return out, true
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			more, ok := expand(sub)
			if out = append(out, more...); !ok || len(out) > maxExpansion {
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

func expandClass(ranges []rune) ([]string, bool) {
	var out []string
	seen := map[string]bool{}
	for i := 0; i+1 < len(ranges); i += 2 {
		// K and s have further forms outside ASCII
		for r := ranges[i]; r <= ranges[i+1] && r < 0x80; r++ {
			s := strings.ToLower(string(r))
			if r <= ' ' || r == '*' || seen[s] {
				continue
			}
			seen[s] = true
			out = append(out, s)
		}
		if ranges[i+1] > 0x2fff { // all but some
			return nil, false
		}
	}
	return out, true
}

func expandRepeat(re *syntax.Regexp) ([]string, bool) {
	one, ok := expand(re.Sub[0])
	if !ok || re.Max < 0 || re.Max > 64 {
		return nil, false
	}
	var out []string
	now := []string{""}
	for n := 0; n <= re.Max; n++ {
		if n >= re.Min {
			out = append(out, now...)
		}
		if now, ok = cross(now, one, true); !ok || len(out) > maxExpansion {
			return nil, false
		}
	}
	return out, true
}

func cross(a, b []string, ok bool) ([]string, bool) {
	if !ok || len(a)*len(b) > maxExpansion {
		return nil, false
	}
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out, true
}
