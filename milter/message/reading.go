package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// domain reads the domain behind the @ before at in every way in which a reader could: up to the first
// character that no domain has, without such characters, and with white space around its dots.
func (s *scanner) domain(c *candidate) {
	at, _ := s.skip(s.at)
	text, at := s.run(at)
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

// skip returns the offset behind all white space, comments and characters that mean nothing from at on,
// and whether there was anything that separates words.
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
		if !inDomain(r, size) {
			break
		}
		end += size
	}
	return s.s[at:end], end
}

// inDomain reports whether some reader could take a character for part of a domain. 8-bit text that is
// not UTF-8 could be.
func inDomain(r rune, size int) bool {
	switch {
	case r < utf8.RuneSelf:
		return r == '.' || isAtext(byte(r))
	case r == utf8.RuneError && size == 1, strings.ContainsRune(fullStops, r):
		return true
	case isAt(r), isGap(r):
		return false
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Cf)
}

// isDomain reports whether no reader would take a character of text for the end of a domain, as in
// "joe@example.com”".
func isDomain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !inDomain(r, utf8.RuneLen(r)) }) < 0
}

// fullStops are the characters that UTS #46 takes for a dot.
const fullStops = "\u3002\uFF0E\uFF61"

// see adds the domains that text stands for. A reader who stops at the first character that no host name
// has sees another one in "bank.example!x.example.com".
func (c *candidate) see(text string) {
	name, whole := domain.Guess(text)
	c.add(name)
	n := hostChars(text)
	if n == len(text) || whole && name != "" && text[n] >= utf8.RuneSelf {
		return
	}
	start, _ := domain.Guess(text[:n])
	if start.Labels() >= 2 || name == "" {
		c.add(start)
	}
}

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

// hostChars returns how many characters at the start of text are those of host names.
func hostChars(text string) int {
	for i := range len(text) {
		c := text[i] | 0x20
		if (c < 'a' || c > 'z') && strings.IndexByte("0123456789-_.", text[i]) < 0 {
			return i
		}
	}
	return len(text)
}
