package message

import (
	"bytes"
	"iter"
)

// Hidden is a field inside another one, behind a bare CR. Readers that treat a bare CR as a
// line end, as Python's email package does, see it as a separate field.
type Hidden struct {
	In    int // index of the field that holds it
	Field Field
}

// Hidden returns the fields of a name that are inside other fields, from the top. MTAs pass
// bare CRs on; no mail reader writes them.
func (h Header) Hidden(name string) iter.Seq[Hidden] {
	return func(yield func(Hidden) bool) {
		for i, f := range h {
			for field := range f.hidden(name) {
				if !yield(Hidden{i, field}) {
					return
				}
			}
		}
	}
}

// hidden returns the fields of a name that stand inside of f.
func (f Field) hidden(name string) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for at, rest := bareCR(f.Value()), f.Value(); at >= 0; at = bareCR(rest) {
			rest = rest[at+1:]
			if len(rest) < len(name) || lower(rest[0]) != lower(name[0]) {
				continue
			}
			line := rest
			if end := bareCR(rest); end >= 0 {
				line = rest[:end]
			}
			field, err := ParseField(line)
			if err == nil && field.Is(name) && !yield(field) {
				return
			}
		}
	}
}

// bareCR returns the offset of the first CR that no LF follows, -1 without one.
func bareCR(p []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(p[from:], '\r')
		if at < 0 {
			return -1
		}
		at += from
		if at+1 == len(p) || p[at+1] != '\n' {
			return at
		}
		from = at + 2
	}
}
