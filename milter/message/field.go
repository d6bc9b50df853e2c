package message

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// ErrField means that some octets are not exactly one header field. ParseField wraps it
// with the reason.
var ErrField = errors.New("not a header field")

// Field is one header field as it arrived: its raw octets without the final CRLF, every line end a
// CRLF. Fields share memory with their source; the bytes must not be changed.
type Field struct {
	raw   []byte
	name  int // octets of the name, without white space before the colon
	colon int // where the colon is in raw
}

// NewField returns the field called name with a value as a milter passes it: everything after the
// colon, including the leading space, with lines separated by LF or CRLF. It checks neither: the
// MTA does.
func NewField(name string, value []byte) Field {
	room := make([]byte, 0, fieldLen(name, value))
	return newField(room, name, value)
}

// octets is what a milter and a file hand values over as.
type octets interface{ string | []byte }

// newField builds the field in the room behind dst.
func newField[N, V octets](dst []byte, name N, value V) Field {
	trimmed := len(name)
	for trimmed > 0 && isWSP(name[trimmed-1]) {
		trimmed--
	}
	raw := append(append(dst, name...), ':')
	return Field{raw: appendLines(raw, value), name: trimmed, colon: len(name)}
}

// fieldLen returns how many octets newField needs.
func fieldLen[N, V octets](name N, value V) int {
	return len(name) + 1 + linesLen(value)
}

// linesLen returns how many octets appendLines appends.
func linesLen[T octets](s T) int {
	n := len(s)
	for i := range len(s) {
		if isLoneLF(s, i) {
			n++
		}
	}
	return n
}

// appendLines appends s with every line end as CRLF.
func appendLines[T octets](dst []byte, s T) []byte {
	start := 0
	for i := range len(s) {
		if isLoneLF(s, i) {
			dst = append(append(dst, s[start:i]...), '\r')
			start = i
		}
	}
	return append(dst, s[start:]...)
}

func isLoneLF[T octets](s T, i int) bool { return s[i] == '\n' && (i == 0 || s[i-1] != '\r') }

// ParseField reads one field from its octets, with or without its final line end, lines parted by
// LF or CRLF. It copies them. The error wraps ErrField: there is not a name, or a line that does
// not begin with white space and so would be the next field.
func ParseField(raw []byte) (Field, error) {
	raw = trimLineEnd(raw)
	name, colon, _ := scanName(raw)
	if name == 0 {
		return Field{}, fmt.Errorf("%w: no name and colon at its start", ErrField)
	}
	if !isFolded(raw) {
		return Field{}, fmt.Errorf("%w: a line of it does not begin with white space", ErrField)
	}
	return Field{raw: appendLines(make([]byte, 0, linesLen(raw)), raw), name: name, colon: colon},
		nil
}

// trimLineEnd returns p without the line end at its end, if there is one.
func trimLineEnd(p []byte) []byte {
	if p, ok := bytes.CutSuffix(p, []byte(crlf)); ok {
		return p
	}
	return bytes.TrimSuffix(p, []byte("\n"))
}

// isFolded reports whether white space follows each line end of p.
func isFolded(p []byte) bool {
	for {
		lf := bytes.IndexByte(p, '\n')
		if lf < 0 {
			return true
		}
		if p = p[lf+1:]; len(p) == 0 || !isWSP(p[0]) {
			return false
		}
	}
}

// scanName reads the field name at the start of p: printable ASCII except the colon (RFC
// 5322 section 2.2), optional white space (section 4.5.3), and a colon. Name is 0 if there
// is no field name; more means that p is too short to decide.
func scanName(p []byte) (name, colon int, more bool) {
	n := 0
	for n < len(p) && ' ' < p[n] && p[n] < 0x7f && p[n] != ':' {
		n++
	}
	colon = n
	for n > 0 && colon < len(p) && isWSP(p[colon]) {
		colon++
	}
	switch {
	case colon == len(p):
		return 0, 0, true
	case n == 0 || p[colon] != ':':
		return 0, 0, false
	}
	return n, colon, false
}

// Name returns the field's name as written, without white space before the colon.
func (f Field) Name() string { return string(f.raw[:f.name]) }

// NameOctets is Name without a copy: a part of Raw.
func (f Field) NameOctets() []byte { return f.raw[:f.name] }

// Is reports whether the field is called name, in any case of ASCII.
func (f Field) Is(name string) bool {
	if len(name) != f.name {
		return false
	}
	for i := range len(name) {
		if lower(name[i]) != lower(f.raw[i]) {
			return false
		}
	}
	return true
}

// lower returns c in lower case if it is an ASCII letter.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// Value returns everything after the colon, with the CRLF of each fold.
func (f Field) Value() []byte {
	if len(f.raw) == 0 {
		return nil
	}
	return f.raw[f.colon+1:]
}

// Without returns the field without octets start to end of its Value.
func (f Field) Without(start, end int) Field {
	value := f.colon + 1
	return Field{raw: slices.Concat(f.raw[:value+start], f.raw[value+end:]), name: f.name,
		colon: f.colon}
}

// Raw returns the whole field without its final CRLF.
func (f Field) Raw() []byte { return f.raw }

// String returns Raw as text.
func (f Field) String() string { return string(f.raw) }

// isWSP reports whether c is white space inside a line: all that DKIM takes for it (RFC 6376
// section 2.8).
func isWSP(c byte) bool { return c == ' ' || c == '\t' }
