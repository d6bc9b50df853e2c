// Package taglist reads "tag=value; tag=value" lists as DKIM, ARC and DMARC write them (RFC 6376
// section 3.2).
package taglist

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrSyntax reports that a text is not a tag list. Parse wraps it with the reason.
var ErrSyntax = errors.New("taglist: not a tag list")

// ErrDuplicate reports that a tag is twice in a list, which makes the whole list invalid (RFC 6376
// section 3.2).
var ErrDuplicate = errors.New("taglist: a tag is there twice")

// MaxTags is the number of tags that a list may have. DKIM defines 14, DMARC fewer; the rest is for
// future tags.
const MaxTags = 100

// Tag is one "name=value". Input[Start:End] is all that is between "=" and the ";" or the end
// of the list, white space too: what a DKIM verifier leaves out of its own signature's b= (RFC 6376
// section 3.7).
type Tag struct {
	Name       string // as written; names are case-sensitive
	Value      string // without the white space around it; folds inside are kept
	Start, End int    // octets of the input
}

// List is the tags of a list in their order.
type List []Tag

// Value returns the value of the tag called name, and whether there is one.
func (l List) Value(name string) (string, bool) {
	if i := l.index(name); i >= 0 {
		return l[i].Value, true
	}
	return "", false
}

func (l List) index(name string) int {
	return slices.IndexFunc(l, func(t Tag) bool { return t.Name == name })
}

// Parse reads a list as RFC 6376 section 3.2 defines it, with erratum 5070: folding white space
// around names and values, a ";" after the last tag or not, no empty tag between, values that may
// be empty. A fold is a CRLF before a space or tab. Values may hold UTF-8 (RFC 8616). The error
// wraps ErrSyntax or ErrDuplicate. Its cost is linear in s.
func Parse(s string) (List, error) {
	list := make(List, 0, min(strings.Count(s, ";")+1, MaxTags))
	for at := 0; at == 0 || at < len(s) && !isFWS(s[at:]); {
		end := specEnd(s, at)
		t, err := parseTag(s, at, end)
		switch {
		case err != nil:
			return nil, err
		case list.index(t.Name) >= 0:
			return nil, fmt.Errorf("%w: %.20s=", ErrDuplicate, t.Name)
		case len(list) == MaxTags:
			return nil, fmt.Errorf("%w: more than %d tags", ErrSyntax, MaxTags)
		}
		list = append(list, t)
		at = end + 1
	}
	return list, nil
}

// specEnd returns the end of the tag-spec that begins at s[at].
func specEnd(s string, at int) int {
	if n := strings.IndexByte(s[at:], ';'); n >= 0 {
		return at + n
	}
	return len(s)
}

// parseTag reads the tag-spec s[at:end].
func parseTag(s string, at, end int) (Tag, error) {
	name, _, ok := strings.Cut(s[at:end], "=")
	t := Tag{Name: strings.Trim(name, fws), Start: at + len(name) + 1, End: end}
	if !ok || !isName(t.Name) || !isText(name) {
		return Tag{}, fmt.Errorf("%w: no name and \"=\" at the start of %.40q", ErrSyntax,
			s[at:end])
	}
	t.Value = strings.Trim(s[t.Start:t.End], fws)
	if !isText(s[t.Start:t.End]) {
		return Tag{}, fmt.Errorf("%w: %.20s= has a value with invalid characters: %.40q", ErrSyntax,
			t.Name,
			t.Value)
	}
	return t, nil
}

// isName reports whether s is a tag-name: a letter, then letters, digits and underscores.
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

// fws is what folding white space is made of.
const fws = " \t\r\n"

// isText reports whether s is only printable ASCII, UTF-8 and folding white space.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isWSP(c) || '!' <= c && c <= '~' || c >= utf8.RuneSelf:
		case c == '\r' && i+2 < len(s) && s[i+1] == '\n' && isWSP(s[i+2]):
			i++
		default:
			return false
		}
	}
	return utf8.ValidString(s)
}

// isFWS reports whether s is only folding white space. It looks no further than the first
// other octet: Parse asks once for each tag.
func isFWS(s string) bool { return strings.TrimLeft(s, fws) == "" && isText(s) }

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

// Compact returns s without any white space and folds, as base64 values and lists of names are
// read.
func Compact(s string) string {
	var b strings.Builder
	start := 0
	for i := range len(s) {
		if c := s[i]; !isWSP(c) && c != '\r' && c != '\n' {
			continue
		}
		if start == 0 {
			b.Grow(len(s))
		}
		b.WriteString(s[start:i])
		start = i + 1
	}
	if start == 0 {
		return s
	}
	b.WriteString(s[start:])
	return b.String()
}
