package message

import (
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// phrase is a row of words and dots (RFC 5322 section 3.2.5): a display name or a local part. Only what follows tells
// which.
type phrase struct {
	text   []byte // without quotes; one space for white space and comments between words
	dotted bool   // words parted by single dots and nothing else
	word   bool   // the last of them was a word, not a dot
}

// isLocal tells whether w can be a local part; known says whether all of the field is UTF-8.
func (w phrase) isLocal(known bool) bool {
	return w.dotted && w.word && (known || utf8.Valid(w.text))
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
		w.dotted = w.dotted && !gap && isWord != w.word
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

// display returns w as a display name, its encoded words decoded (RFC 2047), without control characters.
func (w phrase) display() string {
	s := string(w.text)
	if strings.Contains(s, "=?") {
		s = decodeWords(s)
	}
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(s, "\uFFFD")))
}

// decodeWords decodes each encoded word by itself: mime's DecodeHeader is quadratic on rows of broken ones.
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
