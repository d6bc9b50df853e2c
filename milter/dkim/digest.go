package dkim

import (
	"bytes"
	"crypto/sha256"

	"mailseal/milter/message"
)

// Index finds the fields of a header by their names from the bottom up, in time linear in the names asked for.
type Index struct {
	header message.Header
	groups map[string]int // a name in lower case → its place in last
	last   []int          // the undermost field of each name
	above  []int          // for each field the next one above of the same name, or -1
}

// NewIndex reads the names of h.
func NewIndex(h message.Header) *Index {
	x := &Index{header: h, above: make([]int, len(h))}
	names := lowerNames(h)
	x.groups = make(map[string]int, min(len(h), 64))
	for i, f := range h {
		name := names[:len(nameOf(f))]
		names = names[len(name):]
		g, known := x.groups[name]
		if !known {
			g = len(x.last)
			x.groups[name] = g
			x.last = append(x.last, -1)
		}
		x.above[i] = x.last[g]
		x.last[g] = i
	}
	return x
}

// lowerNames returns the names of h in lower case in one string, without anything between.
func lowerNames(h message.Header) string {
	size := 0
	for _, f := range h {
		size += len(nameOf(f))
	}
	all := make([]byte, 0, size)
	for _, f := range h {
		all = appendLower(all, nameOf(f))
	}
	return string(all)
}

// nameOf is Field.Name as a part of the field, not a copy.
func nameOf(f message.Field) []byte {
	if len(f.Raw()) == 0 {
		return nil
	}
	return bytes.TrimRight(f.Raw()[:len(f.Raw())-len(f.Value())-1], " \t")
}

// Pick returns the fields that an h= of names covers in its order: of a name that stands there several times the
// undermost field first, and nothing where there is none left (RFC 6376 section 5.4.2). The field at own is the
// signature itself and never covered; own is -1 for a signature that is not in the header yet.
func (x *Index) Pick(names []string, own int) []message.Field {
	next := append([]int(nil), x.last...)
	picked := make([]message.Field, 0, min(len(names), len(x.header)))
	for _, name := range names {
		g, known := x.group(name)
		if known && next[g] == own && own >= 0 {
			next[g] = x.above[own]
		}
		if known && next[g] >= 0 {
			picked = append(picked, x.header[next[g]])
			next[g] = x.above[next[g]]
		}
	}
	return picked
}

// group returns the place of a name in last.
func (x *Index) group(name string) (int, bool) {
	var key [64]byte
	g, known := x.groups[string(appendLower(key[:0], name))]
	return g, known
}

// appendLower folds ASCII only: a name with a Kelvin sign is not the one with a k.
func appendLower[T string | []byte](dst []byte, name T) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// HeaderHash returns the SHA-256 that a signature stands for: fields in their order, then the signature's own field as
// Signature.Unsigned has it, without its final CRLF, all in their canonical form (RFC 6376 section 3.7).
func HeaderHash(c message.Canonicalization, fields []message.Field, unsigned message.Field) [sha256.Size]byte {
	h := sha256.New()
	line := make([]byte, 0, 1024)
	for _, f := range fields {
		line = c.AppendField(line[:0], f)
		h.Write(line)
	}
	line = c.AppendField(line[:0], unsigned)
	h.Write(bytes.TrimSuffix(line, []byte("\r\n")))
	return [sha256.Size]byte(h.Sum(line[:0]))
}

// Count returns how many fields are called name.
func (x *Index) Count(name string) int {
	g, known := x.group(name)
	if !known {
		return 0
	}
	n := 0
	for i := x.last[g]; i >= 0; i = x.above[i] {
		n++
	}
	return n
}
