package spf

import (
	"regexp"
	"slices"
	"strings"
)

// port finds a port behind a domain name.
var port = regexp.MustCompile(`^([A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*):[0-9]+$`)

// rejoin puts words together that a blank has torn apart: a sign and all, a name and its value, a
// network and the length of its prefix. It joins only what is a term together and none apart. A
// sign before another term may be a list's dash: there it would turn away the hosts that the term
// allows.
func rejoin(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		word := words[i]
		if i+1 < len(words) && isTorn(word, words[i+1]) {
			i++
			word += words[i]
		}
		out = append(out, word)
	}
	return out
}

// isTorn reports whether two words are one term.
func isTorn(word, next string) bool {
	isTerm := func(s string) bool {
		t, err := parseTerm(s)
		return err == nil && t.kind != kindOther
	}
	switch {
	case !isTerm(word + next):
		return false
	case len(word) == 1 && strings.Contains("-~?", word):
		return strings.EqualFold(next, "all")
	case strings.HasPrefix(next, "/"), strings.HasPrefix(next, ":"), strings.HasPrefix(next, "="):
		return true
	}
	return strings.HasSuffix(word, ":") && !isTerm(word) && !isTerm(next)
}

// splitAll takes apart a term and the all that follows it without a blank. A name that ends in
// "-all" is taken apart as well: no top-level domain does.
func splitAll(word string) (term, all string, ok bool) {
	const length = len("-all")
	if len(word) <= length {
		return word, "", false
	}
	at := len(word) - length
	term, all = word[:at], word[at:]
	if !isAll(all) || strings.ContainsAny(all[:1], "aA") {
		return word, "", false
	}
	t, err := parseTerm(repairTerm(term))
	if err != nil || t.kind == kindOther || t.kind == kindAll || strings.Contains(t.spec, "%") {
		return word, "", false
	}
	if have, err := parseTerm(word); err == nil && have.kind == kindOther {
		return word, "", false
	}
	return term, all, true
}

// withAll splits an "all" from the end of the last word, if the record has no other "all".
// In the middle, the all would hide every term behind it.
func withAll(words []string) []string {
	end := len(words)
	if i := slices.IndexFunc(words, isOther); i >= 0 {
		end = i
	}
	if end == 0 || slices.ContainsFunc(words[:end], isAll) {
		return words
	}
	term, all, ok := splitAll(words[end-1])
	if !ok {
		return words
	}
	return slices.Concat(words[:end-1], []string{term, all}, words[end:])
}

// withoutPort takes a port from the end of a domain name: SPF knows addresses alone.
func withoutPort(spec string) string {
	if m := port.FindStringSubmatch(spec); m != nil {
		return m[1]
	}
	return spec
}
