package authres

import "strings"

// reader walks over a value once. White space, folds and comments may be between any two words.
type reader struct {
	s       string
	pos     int
	comment string // the first comment since it was last emptied
	broken  bool   // a comment or a quoted-string did not end
}

func (r *reader) peek() byte {
	if r.pos < len(r.s) {
		return r.s[r.pos]
	}
	return 0
}

func (r *reader) take(c byte) bool {
	if r.pos < len(r.s) && r.s[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// more skips the semicolon before a result; without an authserv-id the first result has
// none.
func (r *reader) more() bool {
	r.take(';')
	return r.pos < len(r.s)
}

// atEnd reports whether a result ends here.
func (r *reader) atEnd() bool { return r.pos >= len(r.s) || r.s[r.pos] == ';' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// space passes over white space and comments.
func (r *reader) space() {
	for r.pos < len(r.s) {
		switch c := r.s[r.pos]; {
		case isSpace(c):
			r.pos++
		case c == '(':
			r.skipComment()
		default:
			return
		}
	}
}

// skipComment passes over a comment and those inside it (RFC 5322 section 3.2.2).
func (r *reader) skipComment() {
	start, depth := r.pos+1, 0
	for ; r.pos < len(r.s); r.pos++ {
		switch r.s[r.pos] {
		case '\\':
			r.pos++
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			if r.comment == "" {
				r.comment = strings.Join(strings.Fields(r.s[start:r.pos]), " ")
			}
			r.pos++
			return
		}
	}
	r.pos, r.broken = len(r.s), true
}

// quotedString reads a quoted-string without its quotes. A fold inside counts as a space.
func (r *reader) quotedString() string {
	var b strings.Builder
	for r.pos++; r.pos < len(r.s); r.pos++ {
		c := r.s[r.pos]
		switch {
		case c == '"':
			r.pos++
			return b.String()
		case c == '\\' && r.pos+1 < len(r.s):
			r.pos++
			b.WriteByte(r.s[r.pos])
		case c == '\r' || c == '\n':
			b.WriteByte(' ')
			r.pos += len(r.s[r.pos:]) - len(strings.TrimLeft(r.s[r.pos:], " \t\r\n")) - 1
		default:
			b.WriteByte(c)
		}
	}
	r.pos, r.broken = len(r.s), true
	return b.String()
}

// until reads up to one of the octets in stop.
func (r *reader) until(stop string) string {
	n := strings.IndexAny(r.s[r.pos:], stop)
	if n < 0 {
		n = len(r.s) - r.pos
	}
	r.pos += n
	return r.s[r.pos-n : r.pos]
}

// keyword reads letters, digits, hyphens and underscores, as lower case, or "" if there are
// none.
func (r *reader) keyword() string {
	start := r.pos
	for r.pos < len(r.s) && (isAlnum(rune(r.s[r.pos])) || r.s[r.pos] == '-' || r.s[r.pos] == '_') {
		r.pos++
	}
	return strings.ToLower(r.s[start:r.pos])
}

// pvalue reads a value: a quoted-string; an address, whose quotes are kept; or anything up to white
// space, a comment, a quote or a semicolon: base64 is seldom quoted by those who write it.
func (r *reader) pvalue() string {
	const stop = "\"(); \t\r\n"
	if r.peek() != '"' {
		return r.until(stop)
	}
	start := r.pos
	text := r.quotedString()
	if r.peek() != '@' {
		return text
	}
	r.until(stop)
	return r.s[start:r.pos]
}

// skipRest passes over what is left of a result, up to the semicolon that ends it.
func (r *reader) skipRest() {
	for !r.atEnd() {
		switch r.s[r.pos] {
		case '(':
			r.skipComment()
		case '"':
			r.skipQuotes()
		default:
			r.pos++
		}
	}
}

func (r *reader) skipQuotes() {
	for r.pos++; r.pos < len(r.s); r.pos++ {
		switch r.s[r.pos] {
		case '\\':
			r.pos++
		case '"':
			r.pos++
			return
		}
	}
	r.pos, r.broken = len(r.s), true
}
