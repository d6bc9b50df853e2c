package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// parsePattern checks an address pattern and returns its normal form, which is all that a Config
// holds:
//
//	user@example.com   that address
//	*@example.com      any user of the domain; also written example.com, @example.com
//	*@*.example.com    any user of any domain below it, at any depth; also written .example.com, *@.example.com
//	user@*.example.com that user of any domain below it; also written user@.example.com
//	user@*             that user of any domain
//	*                  every address; also written *@*
//	info*@example.com  users whose names begin so; each * in the user is any text, none too
//
// Domains come out in lower case, users as they are.
func parsePattern(s string) (string, error) {
	user, domain, ok := cutLast(s, '@')
	if !ok {
		user, domain = "*", s
	}
	if strings.Trim(user, "*") == "" {
		user = "*"
	}
	switch {
	case strings.ContainsAny(user, " \t\r\n"):
		return "", fmt.Errorf("%q: the user has a blank in it", s)
	case domain == "*" && user == "*":
		return "*", nil
	case domain == "*":
		return user + "@*", nil
	}
	tree, below := strings.CutPrefix(strings.TrimPrefix(domain, "*"), ".")
	if !below && strings.HasPrefix(domain, "*") {
		return "", fmt.Errorf("%q: * must be a whole label; write *.example.com or example.com", s)
	}
	name, err := parseDomain(tree)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is not an address pattern such as user@example.com, "+
			"*@example.com, *@*.example.com, user@* or *", s)
	case below:
		return user + "@*." + name, nil
	}
	return user + "@" + name, nil
}

func cutLast(s string, c byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, c)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// parseDomain checks a domain name, with labels of any script, and returns it in lower case without
// a final dot.
func parseDomain(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > 253 {
		return "", fmt.Errorf("%q is not a domain name", s)
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", fmt.Errorf("%q is an address, not a domain name", s)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, notInLabel) {
			return "", fmt.Errorf("%q is not a domain name", s)
		}
	}
	return name, nil
}

// notInLabel keeps out what domain names never hold; whether an international label is a good one
// is found out by those who look it up.
func notInLabel(r rune) bool {
	if r >= 0x80 {
		return r == '\uFFFD'
	}
	return !isBareByte(byte(r))
}
