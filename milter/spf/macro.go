package spf

import (
	"errors"
	"fmt"
	"strings"
)

// maxMacros bounds the macros of one domain-spec: a name has at most 127 labels, so no record needs
// more, while a record of 64 KiB has room for 16,000.
const maxMacros = 128

// The letters that a macro may have: in a term, and in the text of an explanation (RFC 7208 section
// 7.2).
const (
	termLetters    = "slodiphv"
	explainLetters = termLetters + "crt"
)

// macro is one macro-expand (RFC 7208 section 7.1).
type macro struct {
	letter     byte   // lower case; for %%, %_ and %- that octet
	escape     bool   // an upper-case letter: the value is URL-escaped
	keep       int    // how many right-hand parts are kept; 0 is all
	reverse    bool   // the parts are reversed
	delimiters string // what divides the parts; "" is "."
}

// readMacro reads the macro at the beginning of s, a percent sign, and returns its length.
func readMacro(s, letters string) (macro, int, error) {
	if len(s) > 1 && strings.IndexByte("%_-", s[1]) >= 0 {
		return macro{letter: s[1]}, 2, nil
	}
	end := strings.IndexByte(s, '}')
	if len(s) < 4 || s[1] != '{' || end < 3 {
		return macro{}, 0, errors.New("a % that begins no macro")
	}
	m := macro{letter: s[2] | 0x20, escape: s[2] < 'a'}
	if strings.IndexByte(letters, m.letter) < 0 || s[2] != m.letter && s[2] != m.letter-0x20 {
		return macro{}, 0, fmt.Errorf("no macro %.20q here", s[:end+1])
	}
	rest := s[3:end]
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	for _, c := range rest[:digits] {
		m.keep = min(m.keep*10+int(c-'0'), 1000)
	}
	if digits > 0 && m.keep == 0 {
		return macro{}, 0, fmt.Errorf("macro %.20q keeps no part", s[:end+1])
	}
	rest = rest[digits:]
	if rest != "" && rest[0]|0x20 == 'r' {
		m.reverse, rest = true, rest[1:]
	}
	if strings.Trim(rest, ".-+,/_=") != "" {
		return macro{}, 0, fmt.Errorf("macro %.20q cannot be read", s[:end+1])
	}
	m.delimiters = rest
	return m, end + 1, nil
}

// checkMacros reads a macro-string, whose octets are known to be printable, and returns where its
// last macro ends: 0 when it has none.
func checkMacros(s, letters string) (end int, err error) {
	for i, n := 0, 0; ; n++ {
		next := strings.IndexByte(s[i:], '%')
		if next < 0 {
			return end, nil
		}
		i += next
		_, size, err := readMacro(s[i:], letters)
		if err != nil {
			return 0, err
		}
		if n == maxMacros {
			return 0, fmt.Errorf("over %d macros", maxMacros)
		}
		i += size
		end = i
	}
}

// checkDomainSpec tells what is wrong with a domain-spec: it ends in a macro, or in a dot and a
// label that can be that of a top-level domain, and perhaps one more dot.
func checkDomainSpec(s string) error {
	end, err := checkMacros(s, termLetters)
	if err != nil {
		return err
	}
	if s == "" {
		return errors.New("the name is missing")
	}
	if end == len(s) {
		return nil
	}
	literal := strings.TrimSuffix(s[end:], ".")
	dot := strings.LastIndexByte(literal, '.')
	if dot < 0 {
		return fmt.Errorf("%.50q has one label only", s)
	}
	if !isTopLabel(literal[dot+1:]) {
		return fmt.Errorf("%.50q does not end like a domain name", s)
	}
	return nil
}

// isTopLabel allows letters, digits and inner hyphens, but not digits alone.
func isTopLabel(s string) bool {
	other := false
	for i := range len(s) {
		c := s[i] | 0x20
		switch {
		case s[i] >= '0' && s[i] <= '9':
		case c >= 'a' && c <= 'z', s[i] == '-' && i > 0 && i < len(s)-1:
			other = true
		default:
			return false
		}
	}
	return other
}

// expand appends the macro-string s, known to be sound, with its macros replaced. It stops when dst
// has limit octets or more.
func (e *evaluation) expand(dst []byte, s, domain string, limit int) []byte {
	for s != "" && len(dst) < limit {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		m, n, err := readMacro(s[i:], explainLetters)
		if err != nil {
			return dst
		}
		dst = e.replace(dst, m, domain)
		s = s[i+n:]
	}
	return dst
}

// replace appends the expansion of one macro.
func (e *evaluation) replace(dst []byte, m macro, domain string) []byte {
	switch m.letter {
	case '%':
		return append(dst, '%')
	case '_':
		return append(dst, ' ')
	case '-':
		return append(dst, "%20"...)
	}
	value := e.value(m.letter, domain)
	if m.keep == 0 && !m.reverse && m.delimiters == "" {
		return appendPart(dst, value, m.escape)
	}
	parts := e.split(value, m)
	for i, p := range parts {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendPart(dst, p, m.escape)
	}
	return dst
}

// split divides a value into its parts, reversed and cut as m asks, in room that the next call uses
// again. Nothing is special about delimiters at an end or side by side: there are empty parts
// between them (section 7.3).
func (e *evaluation) split(value string, m macro) []string {
	delimiters := m.delimiters
	if delimiters == "" {
		delimiters = "."
	}
	parts := e.parts[:0]
	for {
		i := strings.IndexAny(value, delimiters)
		if i < 0 {
			break
		}
		parts, value = append(parts, value[:i]), value[i+1:]
	}
	parts = append(parts, value)
	e.parts = parts
	if m.reverse {
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
	}
	if m.keep > 0 && m.keep < len(parts) {
		parts = parts[len(parts)-m.keep:]
	}
	return parts
}

// appendPart appends s, URL-escaped if asked: what is not unreserved in RFC 3986 as %XX.
func appendPart(dst []byte, s string, escape bool) []byte {
	if !escape {
		return append(dst, s...)
	}
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
