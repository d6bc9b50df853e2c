package message

import "bytes"

// maxRefold is the largest field that Refold takes, in bytes: Sendmail refuses a milter's longer
// packet.
const maxRefold = 65000

// LongestLine returns the length of the field's longest line in bytes, without its line end.
func (f Field) LongestLine() int {
	longest := 0
	for line := range bytes.SplitSeq(f.raw, []byte(crlf)) {
		longest = max(longest, len(line))
	}
	return longest
}

// Refold returns the field with its lines longer than limit bytes folded at white space that is
// there already, which changes nothing for a reader, nor for a signature with relaxed header
// canonicalization (RFC 6376 section 3.4.2). It reports whether that is possible. It is not where a
// word alone is longer than a line, nor where the field has bytes that no milter can hand back to
// its MTA: a NUL, a bare CR, or more than 65,000 of them.
func (f Field) Refold(limit int) (Field, bool) {
	if len(f.raw) > maxRefold || !isTransparent(f.raw) {
		return Field{}, false
	}
	out := make([]byte, 0, len(f.raw)+len(f.raw)/limit*8+len(crlf))
	for i, line := range bytes.Split(f.raw, []byte(crlf)) {
		if i > 0 {
			out = append(out, crlf...)
		}
		var ok bool
		if out, ok = appendFolded(out, line, limit); !ok {
			return Field{}, false
		}
	}
	return Field{raw: out, name: f.name, colon: f.colon}, true
}

// isTransparent reports whether the MTA accepts raw from a milter unchanged.
func isTransparent(raw []byte) bool {
	for i, c := range raw {
		isBareCR := c == '\r' && (i+1 == len(raw) || raw[i+1] != '\n')
		if c == 0 || isBareCR || isLoneLF(raw, i) {
			return false
		}
	}
	return true
}

// appendFolded appends a line in pieces of at most limit bytes. Each piece but the first begins
// with white space, and each has something else in it: a line of white space alone would end the
// header for some readers.
func appendFolded(dst, line []byte, limit int) ([]byte, bool) {
	for len(line) > limit {
		at := foldAt(line, limit)
		if at == 0 {
			return nil, false
		}
		dst = append(append(dst, line[:at]...), crlf...)
		line = line[at:]
	}
	return append(dst, line...), true
}

// foldAt returns the last position within limit bytes before which a line can be folded, or
// 0. Of several blanks it is the first, so that the line does not end in white space,
// unless the others would make the next word too long.
func foldAt(line []byte, limit int) int {
	word := bytes.IndexFunc(line, func(r rune) bool { return r != ' ' && r != '\t' })
	text := len(bytes.TrimRight(line, " \t"))
	for at := min(limit, text-1); at > word; at-- {
		if !isWSP(line[at]) {
			continue
		}
		first := at
		for first > word && isWSP(line[first-1]) {
			first--
		}
		if end := wordEnd(line, at); end-first <= limit {
			return first
		}
		return at
	}
	return 0
}

// wordEnd returns where the word behind the white space at i ends.
func wordEnd(line []byte, i int) int {
	for i < len(line) && isWSP(line[i]) {
		i++
	}
	for i < len(line) && !isWSP(line[i]) {
		i++
	}
	return i
}
