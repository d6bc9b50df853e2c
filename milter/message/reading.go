package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// domain reads the domain behind the @ before at in every way in which a reader could: up to the
// first character that no domain has, without such characters, and with white space around its
// dots.
func (s *scanner) domain(c *candidate) {
	at, _ := s.skip(s.at)
	text, at := s.run(s.enter(at))
	c.see(text)
	dropped, joined := []byte(text), []byte(text)
	isSpaced := false
	for text != "" {
		next, white := s.skip(at)
		if text, at = s.run(next); text == "" {
			break
		}
		if white && text[0] != '.' && joined[len(joined)-1] != '.' {
			break
		}
		isSpaced = isSpaced || white
		joined = append(joined, text...)
		if !isSpaced {
			dropped = append(dropped, text...)
		}
	}
	if len(dropped) > 0 {
		c.see(string(dropped))
	}
	if isSpaced {
		c.joined, _ = domain.Guess(string(joined))
	}
}

// enter returns the offset behind the square bracket at at, if a name is in the brackets: people
// read "ceo@[bank.example]" as an address at bank.example, and RFC 5321 section 4.1.3 allows only
// addresses there.
func (s *scanner) enter(at int) int {
	if at == len(s.s) || s.s[at] != '[' {
		return at
	}
	inside, _ := s.skip(at + 1)
	text, end := s.run(inside)
	end, _ = s.skip(end)
	if name, _ := domain.Guess(text); name == "" || end < len(s.s) && s.s[end] == ':' {
		return at
	}
	return inside
}

// skip returns the offset behind all white space, comments and characters that mean nothing from at
// on, and whether there was anything that separates words.
func (s *scanner) skip(at int) (end int, white bool) {
	for at < len(s.s) {
		r, size := utf8.DecodeRuneInString(s.s[at:])
		switch {
		case isGap(r):
			white = true
		case isNothing(r):
		case r == '(':
			comment := s.commentEnd(at)
			if comment < 0 {
				return at, white
			}
			white, size = true, comment-at
		default:
			return at, white
		}
		at += size
	}
	return at, white
}

// run returns the text from at on that may be part of a domain, and the offset behind it.
func (s *scanner) run(at int) (text string, end int) {
	end = at
	for end < len(s.s) {
		r, size := utf8.DecodeRuneInString(s.s[end:])
		if !inDomain(r) {
			break
		}
		end += size
	}
	return s.s[at:end], end
}

// inDomain reports whether some reader could take a character for part of a domain. 8-bit text that
// is not UTF-8 could be.
func inDomain(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '.' || isAtext(byte(r))
	}
	return !isAt(r) && !isGap(r)
}

// see adds the domains that text may mean. A reader that stops at the first character that
// a domain cannot contain sees another one in "bank.example!x.example.com".
func (c *candidate) see(text string) {
	name, _ := domain.Guess(text)
	c.add(name)
	n := domainChars(text)
	if n == len(text) {
		return
	}
	start, _ := domain.Guess(text[:n])
	if start.Labels() >= 2 || name == "" {
		c.add(start)
	}
}

// domainChars returns how many bytes of text are before the first character that some reader takes
// for the end of a domain, as in "joe@example.com”".
func domainChars(text string) int {
	for i, r := range text {
		if !isDomainChar(r) {
			return i
		}
	}
	return len(text)
}

func isDomainChar(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' ||
			r == '.'
	case r == utf8.RuneError:
		return false
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Cf) ||
		strings.ContainsRune(fullStops, r)
}

// fullStops are the characters that UTS #46 takes for a dot.
const fullStops = "\u3002\uFF0E\uFF61"

func (c *candidate) add(d domain.Name) {
	for _, have := range c.domains {
		if have == d {
			return
		}
	}
	if d != "" {
		c.domains = append(c.domains, d)
	}
}
