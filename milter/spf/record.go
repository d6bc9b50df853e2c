package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// version begins every record, in any case (RFC 7208 sections 4.5 and 12).
const version = "v=spf1"

// isRecord reports whether a TXT record is one of SPF: its version is ended by a space or by the
// record's end.
func isRecord(text string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// kind is what a term is.
type kind uint8

const (
	kindAll kind = iota
	kindInclude
	kindA
	kindMX
	kindPTR
	kindIP4
	kindIP6
	kindExists
	kindRedirect
	kindExp
	kindOther // a modifier that we do not know
)

// asks reports whether a term is one of those that ask the DNS, of which there may be ten (section
// 4.6.4).
func (k kind) asks() bool {
	switch k {
	case kindInclude, kindA, kindMX, kindPTR, kindExists, kindRedirect:
		return true
	}
	return false
}

func (k kind) isModifier() bool { return k >= kindRedirect }

// term is a directive or a modifier.
type term struct {
	text  string
	kind  kind
	value Value  // what a match means
	spec  string // the domain-spec; "" means the current domain
	net   netip.Prefix
	bits4 int // of an IPv4 address, those that are compared
	bits6 int // of an IPv6 address
}

// policy is what must be known of a record before its first term is evaluated. The terms themselves
// are read again then: a record of 64 KiB may have 16,000, and keeping them would cost more than
// reading them twice.
type policy struct {
	terms    string // what follows the version
	redirect term
	exp      term
}

// parseRecord reads a whole record, so that a mistake anywhere is found before anything is
// evaluated (section 4.6).
func parseRecord(text string) (policy, error) {
	p := policy{terms: text[len(version):]}
	if c, found := octetOutside(text); found {
		return p, fmt.Errorf("octet 0x%02x is not allowed in a record", c)
	}
	for word := range strings.SplitSeq(p.terms, " ") {
		if word == "" {
			continue
		}
		t, err := parseTerm(word)
		if err != nil {
			return p, fmt.Errorf("%.60q: %w", word, err)
		}
		switch {
		case t.kind == kindRedirect && p.redirect.text != "", t.kind == kindExp && p.exp.text != "":
			return p, fmt.Errorf("%.60q: there is one already", word)
		case t.kind == kindRedirect:
			p.redirect = t
		case t.kind == kindExp:
			p.exp = t
		}
	}
	return p, nil
}

// octetOutside returns the first octet that no record may have.
func octetOutside(text string) (octet byte, found bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return c, true
		}
	}
	return 0, false
}

func parseTerm(word string) (term, error) {
	if i := strings.IndexAny(word, "=:/"); i >= 0 && word[i] == '=' {
		return parseModifier(word, word[:i], word[i+1:])
	}
	t := term{text: word, value: Pass, bits4: 32, bits6: 128}
	switch word[0] {
	case '-':
		t.value = Fail
	case '~':
		t.value = Softfail
	case '?':
		t.value = Neutral
	case '+':
	default:
		return parseMechanism(t, word)
	}
	return parseMechanism(t, word[1:])
}

func parseModifier(word, name, value string) (term, error) {
	t := term{text: word, spec: value}
	switch {
	case strings.EqualFold(name, "redirect"):
		t.kind = kindRedirect
		return t, checkDomainSpec(value)
	case strings.EqualFold(name, "exp"):
		t.kind = kindExp
		return t, checkDomainSpec(value)
	case !isModifierName(name):
		return t, errors.New("not the name of a modifier")
	}
	t.kind = kindOther
	_, err := checkMacros(value, explainLetters)
	return t, err
}

func isModifierName(s string) bool {
	if s == "" || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("-_.", s[i]) < 0 {
			return false
		}
	}
	return true
}

// mechanism is a mechanism, and what may follow its name.
type mechanism struct {
	name    string
	kind    kind
	needs   bool // ":" and something
	lengths bool // CIDR lengths may follow
}

// mechanisms are all of them.
var mechanisms = []mechanism{
	{"all", kindAll, false, false},
	{"include", kindInclude, true, false},
	{"a", kindA, false, true},
	{"mx", kindMX, false, true},
	{"ptr", kindPTR, false, false},
	{"ip4", kindIP4, true, false},
	{"ip6", kindIP6, true, false},
	{"exists", kindExists, true, false},
}

func parseMechanism(t term, s string) (term, error) {
	name, rest := s, ""
	if i := strings.IndexAny(s, ":/"); i >= 0 {
		name, rest = s[:i], s[i:]
	}
	for _, m := range mechanisms {
		if !strings.EqualFold(name, m.name) {
			continue
		}
		t.kind = m.kind
		var err error
		if m.lengths {
			if rest, err = t.cutLengths(rest); err != nil {
				return t, err
			}
		}
		return t, t.setArgument(rest, m.needs)
	}
	return t, errors.New("no such mechanism")
}

// setArgument takes what follows the mechanism's name and is before its CIDR lengths: nothing,
// or a colon and a domain-spec or network.
func (t *term) setArgument(s string, needed bool) error {
	switch {
	case s == "" && needed:
		return errors.New("an argument is missing")
	case s == "":
		return nil
	case s[0] != ':' || t.kind == kindAll:
		return errors.New("this cannot follow the mechanism")
	case t.kind == kindIP4 || t.kind == kindIP6:
		return t.setNetwork(s[1:])
	}
	t.spec = s[1:]
	return checkDomainSpec(t.spec)
}

func (t *term) setNetwork(s string) error {
	text, length, ok := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4() != (t.kind == kindIP4) {
		return errors.New("not an address")
	}
	bits := addr.BitLen()
	if ok {
		if bits, ok = parseLength(length, bits); !ok {
			return errors.New("not a CIDR length")
		}
	}
	t.net = netip.PrefixFrom(addr, bits)
	return nil
}

// cutLengths takes a dual-cidr-length off the end of s. A slash and digits at the end are never
// part of a domain-spec, while other slashes may be.
func (t *term) cutLengths(s string) (string, error) {
	ok4, ok6 := true, true
	if i := strings.LastIndex(s, "//"); i >= 0 && isDigits(s[i+2:]) {
		t.bits6, ok6 = parseLength(s[i+2:], 128)
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 && isDigits(s[i+1:]) {
		t.bits4, ok4 = parseLength(s[i+1:], 32)
		s = s[:i]
	}
	if !ok4 || !ok6 {
		return "", errors.New("not a CIDR length")
	}
	return s, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseLength reads a CIDR length without leading zeros.
func parseLength(s string, most int) (int, bool) {
	if !isDigits(s) || len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= most
}
