package message

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// place is where in a From field a candidate is.
type place uint8

const (
	inList    place = iota // outside of angle brackets, and not before one
	inBracket              // between angle brackets
	inRoute                // between angle brackets, in a source route
	inName                 // before an angle bracket of the same list element
)

// candidate is an address that a mail reader could show for a From field.
type candidate struct {
	local   string
	apart   bool          // white space is before the @, and none behind it
	domains []domain.Name // as different readers see it; none when it cannot be known
	joined  domain.Name   // with white space and comments around its dots (RFC 5322 section 4.4)
	place   place
	last    bool // of its angle bracket
}

// weakness orders candidates: those with the least of it count, such as "Joe @ Work" in a list only
// where there is nothing else.
func (c candidate) weakness() int {
	switch {
	case c.place != inList || c.local != "" && c.labels() >= 2:
		return 0
	case c.labels() > 0:
		return 1
	}
	return 2
}

// isAddress reports whether c is an address in its place. In a display name, "Joe @ Work" and "Joe
// @joe.doe" are not; in angle brackets the last @ always is, whatever is behind it.
func (c candidate) isAddress() bool {
	switch c.place {
	case inName:
		return c.local != "" && !c.apart && c.labels() >= 2
	case inBracket:
		return c.last || c.labels() >= 2
	case inRoute:
		return c.labels() >= 2
	}
	return true
}

// labels returns the number of labels of the domain with the most.
func (c candidate) labels() int {
	n := c.joined.Labels()
	for _, d := range c.domains {
		n = max(n, d.Labels())
	}
	return n
}

// readings returns the domains of c, "" alone when they cannot be known. White space around a dot
// ends a domain for some readers, but not in a display name, where it ends a sentence.
func (c candidate) readings() []domain.Name {
	all := c.domains
	if c.joined != "" && c.place != inName {
		all = append(all, c.joined)
	}
	if c.labels() >= 2 {
		all = slices.DeleteFunc(all, func(d domain.Name) bool { return d.Labels() < 2 })
	}
	if len(all) == 0 {
		return []domain.Name{""}
	}
	return all
}

// scanner collects the candidates of one field that parseFrom refuses, in one pass. It looks at a
// byte at most twice: on its way, and as part of the domain behind the last @.
type scanner struct {
	s     string
	utf8  bool // s is UTF-8
	plain bool // quotes and comments mean nothing
	at    int

	local   []byte // the word before at
	gap     bool   // white space is between local and at
	bracket bool   // at is between angle brackets
	closed  bool   // which are closed

	element  int // index into found of the first candidate of this list element outside of brackets
	opened   int // index into found of the first candidate in these brackets
	found    []candidate
	brackets int // angle brackets with a candidate in them
	sound    int // those of them that end with an address

	// doubtful means that readers differ on where a quoted-string or comment ends.
	doubtful              bool
	openQuote, openParens bool // one of them is never closed
}

// scan returns what a mail reader could show for value. With plain, quotes and comments are read as
// text. It stops at MaxAuthors candidates and one more.
func scan(value string, plain bool) *scanner {
	s := &scanner{s: value, utf8: utf8.ValidString(value), plain: plain}
	for s.at < len(s.s) && len(s.found) <= MaxAuthors {
		s.step()
	}
	s.closeBracket()
	return s
}

// step takes the next character, quoted-string or comment.
func (s *scanner) step() {
	r, size := utf8.DecodeRuneInString(s.s[s.at:])
	if r == '"' && s.quoted() || r == '(' && s.comment() {
		return
	}
	at := s.at
	s.at += size
	switch {
	case isAt(r):
		s.candidate()
	case r == '<':
		s.openBracket()
	case r == '>':
		s.closeBracket()
		s.endWord()
		s.element = len(s.found)
	case r == ',' || r == ';':
		if !s.bracket || !s.closed {
			s.closeBracket()
			s.element = len(s.found)
		}
		s.endWord()
	case strings.ContainsRune("()[]:", r):
		s.endWord()
	case isGap(r):
		s.gap = true
	case isNothing(r):
		s.doubtful = s.doubtful || r == '\\' || unicode.IsControl(r)
	default:
		s.word(s.s[at:s.at])
	}
}

// word adds to the word before at, or begins another.
func (s *scanner) word(text string) {
	if s.gap && text != "." && !bytes.HasSuffix(s.local, []byte(".")) {
		s.local = s.local[:0]
	}
	s.gap = false
	s.local = append(s.local, text...)
}

func (s *scanner) endWord() {
	s.local, s.gap = s.local[:0], false
}

// openBracket begins an angle bracket. What was found in this list element before it is a name.
func (s *scanner) openBracket() {
	if !s.bracket {
		for i := s.element; i < len(s.found); i++ {
			s.found[i].place = inName
		}
	}
	s.closeBracket()
	s.endWord()
	s.bracket, s.opened = true, len(s.found)
	next := strings.IndexAny(s.s[s.at:], "<>")
	s.closed = next >= 0 && s.s[s.at+next] == '>'
}

// closeBracket ends an angle bracket, if there is one.
func (s *scanner) closeBracket() {
	if s.bracket && s.opened < len(s.found) {
		last := &s.found[len(s.found)-1]
		last.last = true
		s.brackets++
		if last.local != "" && last.labels() >= 2 {
			s.sound++
		}
	}
	s.bracket = false
	s.element = len(s.found)
}

// candidate takes the @ before at.
func (s *scanner) candidate() {
	c := candidate{local: string(s.local)}
	if n := len(s.found); n > 0 && strings.HasSuffix(s.s[:s.at-1], "@") {
		c.local = s.found[n-1].local // "joe@@example.com"
		s.found = s.found[:n-1]
	}
	_, spaced := s.skip(s.at)
	c.apart = s.gap && !spaced
	if s.bracket {
		c.place = inBracket
		// The @ before this one belongs to a route if there is nothing before it.
		if n := len(s.found); n > s.opened && s.found[n-1].local == "" {
			s.found[n-1].place = inRoute
		}
	}
	s.endWord()
	s.domain(&c)
	s.found = append(s.found, c)
}

// quoted takes a quoted-string that is closed, as part of a word.
func (s *scanner) quoted() bool {
	if s.plain || s.openQuote {
		return false
	}
	for i := s.at + 1; i < len(s.s); i++ {
		switch c := s.s[i]; {
		case c == '\\':
			// In Shift JIS, Big5 and GBK a backslash may be the second half of a character.
			s.doubtful = s.doubtful || s.s[i-1] >= utf8.RuneSelf && !s.utf8
			i++
		case c == '"':
			s.word(unquote(s.s[s.at : i+1]))
			s.at = i + 1
			return true
		case isControl(c):
			s.doubtful = true
		}
	}
	s.openQuote, s.doubtful = true, true
	return false
}

// comment takes a comment that is closed.
func (s *scanner) comment() bool {
	end := s.commentEnd(s.at)
	if end < 0 {
		return false
	}
	s.at, s.gap = end, true
	return true
}

// commentEnd returns the offset behind the comment that begins at from, or -1 when none does.
func (s *scanner) commentEnd(from int) int {
	if s.plain || s.openParens {
		return -1
	}
	depth := 0
	for i := from; i < len(s.s); i++ {
		switch c := s.s[i]; {
		case c == '\\':
			s.doubtful = s.doubtful || s.s[i-1] >= utf8.RuneSelf && !s.utf8
			i++
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i + 1
			}
		case c == '"' || isControl(c):
			s.doubtful = true
		}
	}
	s.openParens, s.doubtful = true, true
	return -1
}

// isAt reports whether r looks like an @ to a person.
func isAt(r rune) bool { return r == '@' || r == '\uFF20' || r == '\uFE6B' }

// isGap reports whether r separates words.
func isGap(r rune) bool { return r == '\r' || r == '\n' || unicode.IsSpace(r) }

// isNothing reports whether some readers drop r from the middle of a word.
func isNothing(r rune) bool { return r == '\\' || r == '"' || unicode.IsControl(r) }

// isControl reports whether c is a control character that no fold consists of.
func isControl(c byte) bool {
	return c < ' ' && c != '\t' && c != '\r' && c != '\n' || c == 0x7f
}
