package message

import (
	"io"
	"mime"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// phrase is a row of words and dots (RFC 5322 section 3.2.5): a display name or a local part. Only
// what follows tells which.
type phrase struct {
	text   []byte // without quotes; one space for white space and comments between words
	dotted bool   // words parted by single dots and nothing else
	word   bool   // the last of them was a word, not a dot
	fault  int    // where dotted became false
}

// isLocal reports whether w can be a local part; known reports whether all of the field is UTF-8.
func (w phrase) isLocal(known bool) bool {
	return w.dotted && w.word && (known || utf8.Valid(w.text))
}

// faultAt returns the offset of what keeps w from being a local part, which is at in case of its
// end.
func (w phrase) faultAt(at int) int {
	if w.dotted {
		return at
	}
	return w.fault
}

// phrase reads words and dots, and the white space and comments among them.
func (p *fromParser) phrase() (phrase, error) {
	w := phrase{dotted: true}
	for gap := false; p.at < len(p.s); {
		c := p.s[p.at]
		isWord := c == '"' || isAtext(c)
		if !isWord && c != '.' {
			break
		}
		if gap {
			w.text = append(w.text, ' ')
		}
		if w.dotted && (gap || isWord == w.word) {
			w.dotted, w.fault = false, p.at
		}
		w.word = isWord
		var err error
		if w.text, err = p.word(w.text); err != nil {
			return phrase{}, err
		}
		end := p.at
		if err := p.cfws(); err != nil {
			return phrase{}, err
		}
		gap = p.at > end
	}
	return w, nil
}

// word reads an atom, a quoted-string or a dot, and appends what it means to text.
func (p *fromParser) word(text []byte) ([]byte, error) {
	switch {
	case p.take('"'):
		return p.quoted(text)
	case p.take('.'):
		return append(text, '.'), nil
	}
	start := p.at
	for p.at < len(p.s) && isAtext(p.s[p.at]) {
		p.at++
	}
	return append(text, p.s[start:p.at]...), nil
}

// quoted reads the rest of a quoted-string and appends what it means to text.
func (p *fromParser) quoted(text []byte) ([]byte, error) {
	for p.at < len(p.s) {
		if p.take('"') {
			return text, nil
		}
		c, err := p.char()
		if err != nil {
			return nil, err
		}
		text = append(text, c...)
	}
	return nil, p.fail("a quote is not closed")
}

// display returns w as a display name, its encoded words decoded (RFC 2047), without control
// characters.
func (w phrase) display() string {
	s := string(w.text)
	if strings.Contains(s, "=?") {
		s = decodeWords(s)
	}
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(s, "\uFFFD")))
}

// decodeWords decodes each encoded word by itself: mime's DecodeHeader is quadratic on rows of
// broken ones.
func decodeWords(s string) string {
	var b strings.Builder
	wasEncoded := false
	for i, word := range strings.Split(s, " ") {
		decoded, err := new(mime.WordDecoder).Decode(word)
		isEncoded := err == nil
		if i > 0 && !(wasEncoded && isEncoded) {
			b.WriteByte(' ')
		}
		if wasEncoded = isEncoded; isEncoded {
			word = decoded
		}
		b.WriteString(word)
	}
	return b.String()
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// encodedWord finds encoded words wherever they are, also where RFC 2047 section 5 forbids them.
var encodedWord = regexp.MustCompile(`=\?[^?\s]+\?[bBqQ]\?[^?]*\?=`)

// decodeAll returns s with all encoded words decoded, as by a reader that decodes before it looks
// for addresses. Bytes of an unknown charset stay as they are.
func decodeAll(s string) string {
	found := encodedWord.FindAllStringIndex(s, -1)
	if found == nil {
		return s
	}
	decoder := mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader,
		error) {
		return r, nil
	}}
	var b strings.Builder
	end := 0
	for _, at := range found {
		between := s[end:at[0]]
		if end == 0 || strings.TrimSpace(between) != "" {
			b.WriteString(between)
		}
		text, err := decoder.Decode(s[at[0]:at[1]])
		if err != nil {
			text = s[at[0]:at[1]]
		}
		b.WriteString(text)
		end = at[1]
	}
	return b.String() + s[end:]
}
