// Package lint defines the form in which the packages of records report mistakes in a published
// record: which mistake, and where in the text. The caller adds the effect on mail, and what to
// publish instead.
package lint

import (
	"strings"
	"unicode/utf8"
)

// Flaw is one thing in a record that is wrong, or worth knowing.
type Flaw struct {
	Code       string // stable; begins with the record's name, such as "spf-plus-all"
	Text       string // a clause for the record's owner
	Start, End int    // bytes of the record that it is about; both 0 for all of it
}

// List collects flaws. The zero List is empty.
type List []Flaw

// maxFlaws bounds what is said about one record: a record of 64 KB could hold 30,000 mistakes.
const maxFlaws = 40

// Add appends a flaw about text[start:end].
func (l *List) Add(code, text string, start, end int) {
	if len(*l) < maxFlaws {
		*l = append(*l, Flaw{code, text, start, end})
	}
}

// signs are characters that come with a paste from a web page, a zone file or a word processor, and
// what they are.
var signs = []struct{ text, is string }{
	{"\u00a0", "a non-breaking space"},
	{"\u200b", "a zero-width space"},
	{"\u200c", "a zero-width space"},
	{"\u200d", "a zero-width space"},
	{"\ufeff", "a byte order mark"},
	{"\u201c", "a typographic quote"},
	{"\u201d", "a typographic quote"},
	{"\u2018", "a typographic quote"},
	{"\u2019", "a typographic quote"},
	{"\u2013", "a dash instead of a hyphen"},
	{"\u2014", "a dash instead of a hyphen"},
	{"\"", "a quotation mark (of a zone file)"},
	{"\\", "a backslash (of a zone file)"},
}

// Pasted finds the first character in a record that no record may have, says what it is, and where.
// It returns an empty clause when there is none.
func Pasted(text string) (clause string, start, end int) {
	for i := 0; i < len(text); {
		clause, size := oddAt(text, i)
		if clause != "" {
			return clause, i, i + size
		}
		i += size
	}
	return "", 0, 0
}

// oddAt says what is wrong with the character at a place of a text, "" for nothing, and returns its
// size in bytes.
func oddAt(text string, at int) (clause string, size int) {
	for _, s := range signs {
		if strings.HasPrefix(text[at:], s.text) {
			return "the value contains " + s.is, len(s.text)
		}
	}
	r, size := utf8.DecodeRuneInString(text[at:])
	switch {
	case r == utf8.RuneError && size <= 1:
		return "the value contains a byte that is not text", 1
	case isForeign(r):
		return "the value contains a letter that is not ASCII: write domains as A-labels " +
			"(xn--...)", size
	case r > '~':
		return "the value contains a character that is not ASCII", size
	case r < ' ' && r != '\t' && r != '\r' && r != '\n':
		return "the value contains a control character", 1
	}
	return "", size
}

// Clean returns a record as its owner will have meant it: without the characters that Pasted finds,
// spaces in place of those that are no plain ones, domains in A-labels. Letters that are not ASCII
// are lost elsewhere, which Loses tells.
func Clean(text string) string {
	text = hostsInASCII(text)
	text = strings.NewReplacer("\u00a0", " ", "\u2013", "-", "\u2014", "-", `\;`, ";").Replace(text)
	var b strings.Builder
	for i := 0; i < len(text); {
		clause, size := oddAt(text, i)
		if clause == "" {
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return strings.TrimSpace(b.String())
}

// Lower returns a text with its ASCII letters in lower case. Unlike strings.ToLower it keeps every
// byte in its place.
func Lower(text string) string {
	out := []byte(text)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// Short returns a text cut to 60 bytes, for a clause that quotes it.
func Short(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}
