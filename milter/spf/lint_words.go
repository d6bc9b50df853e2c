package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/lint"
)

// explainTerm describes the mistake in a term, and the probable intention.
func explainTerm(word string, err error) string {
	bare := strings.TrimLeft(word, "+-~?")
	name := bare
	if i := strings.IndexAny(bare, ":=/"); i >= 0 {
		name = bare[:i]
	}
	rest := bare[len(name):]
	isKnown := isMechanism(name)
	clause := fmt.Sprintf("%.60q: %s", word, errText(err))
	switch {
	case rest == ":" && isKnown:
		return clause + "; write the value directly after the colon, without a space, or remove " +
			"the term"
	case strings.HasPrefix(strings.ToLower(bare), "ipv4:"),
		strings.HasPrefix(strings.ToLower(bare), "ip:"):
		return clause + "; probably ip4: was intended"
	case strings.HasPrefix(strings.ToLower(bare), "ipv6:"):
		return clause + "; probably ip6: was intended"
	case strings.EqualFold(name, "ip4") && strings.Count(rest, ":") > 2:
		return clause + "; it is an IPv6 address, which must follow ip6:"
	case strings.EqualFold(name, "redirect"), strings.EqualFold(name, "exp"):
		return clause + fmt.Sprintf("; = must follow %s", name)
	case strings.HasSuffix(word, ",") || strings.Contains(word, ";"):
		return clause + "; only spaces may separate terms"
	}
	if _, ok := parseAddress(bare); ok {
		return clause + "; an address needs ip4: or ip6: before it"
	}
	return clause + suggestion(name, rest)
}

// suggestion guesses what a term that cannot be read should have been.
func suggestion(name, rest string) string {
	if term, all, ok := splitAll(name + rest); ok {
		return fmt.Sprintf("; is the space between %s and %s missing?", term, all)
	}
	_, isAddress := parseAddress(strings.TrimLeft(rest, ":="))
	switch near := nearestTerm(name); {
	case isAddress && isMechanism(name):
		return "; an address must follow ip4: or ip6:"
	case strings.EqualFold(name, "ip4") && strings.ContainsAny(rest, "-*"):
		return "; a network is written with the length of its prefix, such as ip4:192.0.2.0/24"
	case isMechanism(name) && withoutPort(strings.TrimPrefix(rest, ":")) != strings.TrimPrefix(rest,
		":"):
		return "; a host has no port in SPF: remove it"
	case isMechanism(name) && strings.ContainsAny(rest, "+-~?"):
		return "; is the space before the next term missing?"
	case name == "" && rest == "":
		return "; there must be no space after the sign"
	case near != "":
		return fmt.Sprintf("; probably %s was intended", near)
	}
	return ""
}

// nearestTerm is the mechanism or modifier that a misspelled word was meant to be, "" for others
// and for words without a slip.
func nearestTerm(name string) string {
	if isMechanism(name) {
		return ""
	}
	return lint.Nearest(name, "include", "redirect", "exists", "all", "ip4", "ip6", "ptr", "exp")
}

// isMechanism reports whether a word is the name of a mechanism, or what people write for one.
func isMechanism(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(mechanisms, func(m mechanism) bool { return m.name == name }) ||
		slices.Contains([]string{"ip", "ipv4", "ipv6"}, name)
}

func parseAddress(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

func errText(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
