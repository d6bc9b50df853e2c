// Package taglist reads "tag=value; tag=value" lists as DKIM, ARC and DMARC write them (RFC 6376 section 3.2).
package taglist

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrSyntax says that a text is no tag list. Parse wraps it with the place and the reason.
var ErrSyntax = errors.New("taglist: not a tag list")

// ErrDuplicate says that a tag stands twice in a list, which makes all of it invalid (RFC 6376 section 3.2).
var ErrDuplicate = errors.New("taglist: a tag stands twice")

// Tag is one "name=value". Input[Start:End] is all that stands between "=" and the ";" or the end of the list, white
// space too: what a DKIM verifier leaves out of its own signature's b= (RFC 6376 section 3.7).
type Tag struct {
	Name       string // as written; names are case-sensitive
	Value      string // without the white space around it; folds inside are kept
	Start, End int    // octets of the input
}

// List is the tags of a list in their order.
type List []Tag

// Value returns the value of the tag called name, and whether there is one.
func (l List) Value(name string) (string, bool) {
	for _, t := range l {
		if t.Name == name {
			return t.Value, true
		}
	}
	return "", false
}

// Parse reads a list as RFC 6376 section 3.2 defines it, with erratum 5070: folding white space (CRLF only before a
// space or tab) around names and values, a ";" after the last tag or not, no empty tag between. Values may hold UTF-8
// (RFC 8616). The error wraps ErrSyntax or ErrDuplicate. Its cost is linear in len(s).
func Parse(s string) (List, error) {
	list := make(List, 0, strings.Count(s, ";")+1)
	for at := 0; ; {
		end := at + specLen(s[at:])
		t, err := parseTag(s, at, end)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		if at = end + 1; at >= len(s) || isFWS(s[at:]) {
			break
		}
	}
	if name, ok := duplicate(list); ok {
		return nil, fmt.Errorf("%w: %s=", ErrDuplicate, name)
	}
	return list, nil
}

// specLen returns the length of the tag-spec at the start of s.
func specLen(s string) int {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		return i
	}
	return len(s)
}

// parseTag reads the tag-spec s[at:end].
func parseTag(s string, at, end int) (Tag, error) {
	name, _, ok := strings.Cut(s[at:end], "=")
	if !ok {
		return Tag{}, fmt.Errorf("%w: no \"=\" in %q", ErrSyntax, clip(s[at:end]))
	}
	t := Tag{Name: trim(name), Start: at + len(name) + 1, End: end}
	t.Value = trim(s[t.Start:t.End])
	if !isName(t.Name) {
		return Tag{}, fmt.Errorf("%w: %q is no name of a tag", ErrSyntax, clip(t.Name))
	}
	if !isText(name) || !isText(s[t.Start:t.End]) {
		return Tag{}, fmt.Errorf("%w: the value of %s= holds what no value may", ErrSyntax, t.Name)
	}
	return t, nil
}

// duplicate returns a name that stands twice.
func duplicate(l List) (string, bool) {
	seen := make(map[string]bool, len(l))
	for _, t := range l {
		if seen[t.Name] {
			return t.Name, true
		}
		seen[t.Name] = true
	}
	return "", false
}

// isName tells whether s is a tag-name: a letter, then letters, digits and underscores.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != ""
}

// isText tells whether s is printable ASCII, UTF-8 and folding white space.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || '!' <= c && c <= '~' || c >= utf8.RuneSelf:
		case c == '\r' && i+2 < len(s) && s[i+1] == '\n' && isWSP(s[i+2]):
			i++
		default:
			return false
		}
	}
	return utf8.ValidString(s)
}

// isFWS tells whether s is nothing but folding white space.
func isFWS(s string) bool { return trim(s) == "" && isText(s) }

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// clip shortens a stranger's text for an error.
func clip(s string) string { return s[:min(len(s), 40)] }

// Compact returns s without any white space and folds, as base64 values and lists of names are read.
func Compact(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
}
