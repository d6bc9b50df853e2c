package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrField says that some octets are not one header field. ParseField wraps it with the reason.
var ErrField = errors.New("message: not a header field")

// Field is one header field as it arrived: its raw octets without the final CRLF, every line end a CRLF. Fields share
// memory with whatever made them; nobody may change the octets.
type Field struct {
	raw   []byte
	name  int32 // octets of the name, without white space before the colon
	colon int32 // where the colon stands in raw
}

// NewField returns the field called name with a value as a milter hands it over: all that follows the colon, the
// leading space too, lines parted by LF or CRLF. Neither is checked: the MTA has done that, or is about to.
func NewField(name string, value []byte) Field {
	raw := make([]byte, 0, len(name)+1+len(value)+bytes.Count(value, []byte{'\n'}))
	return newField(raw, name, value)
}

// newField builds the field in the spare room of dst.
func newField[T string | []byte](dst []byte, name string, value T) Field {
	name = name[:min(len(name), math.MaxInt32)]
	dst = append(append(dst, name...), ':')
	dst = appendLines(dst, value)
	return Field{raw: dst, name: int32(len(strings.TrimRight(name, wsp))), colon: int32(len(name))}
}

// appendLines appends s with every line end as CRLF.
func appendLines[T string | []byte](dst []byte, s T) []byte {
	start := 0
	for i := range len(s) {
		if s[i] != '\n' || i > 0 && s[i-1] == '\r' {
			continue
		}
		dst = append(append(dst, s[start:i]...), '\r')
		start = i
	}
	return append(dst, s[start:]...)
}

// ParseField reads one field from its octets, with or without its final line end. The error wraps ErrField: there is
// no name, or a line that does not begin with white space would be the next field.
func ParseField(raw []byte) (Field, error) {
	raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	name := nameLen(raw)
	if name < 0 || len(raw) > math.MaxInt32 {
		return Field{}, fmt.Errorf("%w: no name before a colon", ErrField)
	}
	for rest := raw; ; {
		_, next, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		if len(next) == 0 || !isWSP(next[0]) {
			return Field{}, fmt.Errorf("%w: a line of it does not begin with white space", ErrField)
		}
		rest = next
	}
	colon := bytes.IndexByte(raw, ':')
	lines := appendLines(make([]byte, 0, len(raw)+bytes.Count(raw, []byte{'\n'})), raw)
	return Field{raw: lines, name: int32(name), colon: int32(colon)}, nil
}

// nameLen returns the length of the field name at the start of line, or -1 when there is none: printable ASCII but the
// colon (RFC 5322 section 2.2), then perhaps white space (obs-optional), then a colon.
func nameLen(line []byte) int {
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	rest := bytes.TrimLeft(line[n:], wsp)
	if n == 0 || len(rest) == 0 || rest[0] != ':' {
		return -1
	}
	return n
}

// Name returns the field's name as written, without white space before the colon.
func (f Field) Name() string { return string(f.raw[:f.name]) }

// Is tells whether the field is called name, in any case.
func (f Field) Is(name string) bool {
	return len(name) == int(f.name) && strings.EqualFold(string(f.raw[:f.name]), name)
}

// Value returns everything after the colon, with the CRLF of each fold.
func (f Field) Value() []byte {
	if len(f.raw) == 0 {
		return nil
	}
	return f.raw[f.colon+1:]
}

// Raw returns the whole field without its final CRLF.
func (f Field) Raw() []byte { return f.raw }

// wsp is white space inside a line, and all that DKIM takes for it (RFC 6376 section 2.8).
const wsp = " \t"

func isWSP(c byte) bool { return c == ' ' || c == '\t' }
