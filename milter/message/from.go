package message

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// parseFrom reads the value of a From field (RFC 5322 section 3.6.2, RFC 6532, RFC 6854). It is
// strict: where two mail readers could show two addresses, it returns a *Fault. What such a field
// shows all the same is for candidates to say.
//
// Of the obsolete forms it takes those that change no address: dots in a display name, empty places
// in the list, words of both kinds in a local part. An address in place of a display name should be
// in quotes; many a script leaves them out ("joe@example.com <joe@example.com>"), which it takes
// where both have one domain. It takes no route, no white space inside a local part or domain, no
// control characters, no group. 8-bit text that is not UTF-8 may be in a display name or
// comment.
func parseFrom(value []byte) ([]Address, error) {
	p := fromParser{s: string(value), utf8: utf8.Valid(value)}
	var all []Address
	for {
		for again := true; again; again = p.take(',') {
			if err := p.cfws(); err != nil {
				return nil, err
			}
		}
		if p.at == len(p.s) {
			break
		}
		a, err := p.mailbox()
		if err != nil {
			return nil, err
		}
		if all = append(all, a); len(all) > MaxAuthors {
			return nil, p.fail(fmt.Sprintf("more than %d addresses", MaxAuthors))
		}
		if p.at < len(p.s) && p.s[p.at] != ',' {
			return nil, p.unexpected("after an address")
		}
	}
	if len(all) == 0 {
		return nil, p.fail("there is not an address")
	}
	return all, nil
}

// fromParser reads s from at on. Each method leaves at behind what it took and the white space and
// comments there.
type fromParser struct {
	s    string
	at   int
	utf8 bool // s is UTF-8
}

// mailbox reads local@domain or "display name <local@domain>".
func (p *fromParser) mailbox() (Address, error) {
	words, err := p.phrase()
	if err != nil {
		return Address{}, err
	}
	switch {
	case p.take('@'):
		return p.bare(words)
	case p.take('<'):
		return p.angle(words.display())
	case p.at < len(p.s) && p.s[p.at] == ':':
		return Address{}, p.fail("a group instead of an author")
	}
	return Address{}, p.unexpected("in place of an address")
}

// bare reads the rest of "local@domain", or of that in place of a display name.
//
// "Joe @ Work" in a list of several is a display name with a comma in it, whatever RFC 5322 makes
// of it.
func (p *fromParser) bare(local phrase) (Address, error) {
	sign := p.at - 1
	a, err := p.domain(local)
	isApart := sign > 0 && isWSP(p.s[sign-1])
	if err == nil && isApart && a.Domain.Labels() == 1 {
		return Address{}, p.failAt(sign, "white space before the @ of an address")
	}
	if err != nil || a.Domain == "" || p.at == len(p.s) || p.s[p.at] != '<' {
		return a, err
	}
	at := p.at
	p.at++
	b, err := p.angle(a.String())
	if err == nil && b.Domain != a.Domain {
		p.at = at
		return Address{}, p.unexpected("after an address")
	}
	return b, err
}

// angle reads the rest of "<local@domain>".
func (p *fromParser) angle(display string) (Address, error) {
	if err := p.cfws(); err != nil {
		return Address{}, err
	}
	words, err := p.phrase()
	if err != nil {
		return Address{}, err
	}
	if !p.take('@') {
		return Address{}, p.unexpected("in place of the @ of an address")
	}
	a, err := p.domain(words)
	if err != nil {
		return Address{}, err
	}
	if !p.take('>') {
		return Address{}, p.unexpected("in place of the closing bracket")
	}
	a.Display = display
	return a, p.cfws()
}

// domain reads the domain behind the @ of an address whose local part is words.
func (p *fromParser) domain(local phrase) (Address, error) {
	if !local.isLocal(p.utf8) {
		return Address{}, p.failAt(local.faultAt(p.at-1),
			"the text before the @ is not a local part")
	}
	a := Address{Local: string(local.text)}
	if err := p.cfws(); err != nil {
		return Address{}, err
	}
	if p.take('[') {
		return a, p.literal()
	}
	start := p.at
	for p.at < len(p.s) && (isAtext(p.s[p.at]) || p.s[p.at] == '.') {
		p.at++
	}
	text := p.s[start:p.at]
	if strings.HasSuffix(text, ".") {
		return Address{}, p.failAt(p.at-1, "the domain ends with a dot")
	}
	name, err := domain.Parse(text)
	if n := domainChars(text); err != nil || n < len(text) {
		if n < len(text) {
			start += n
		}
		return Address{}, p.failAt(start, fmt.Sprintf("%+.80q is not a domain name", text))
	}
	a.Domain = name
	return a, p.cfws()
}

// literal skips the rest of an address literal, "192.0.2.1]". A name in the brackets is a fault:
// readers see a domain.
func (p *fromParser) literal() error {
	start := p.at
	for p.at < len(p.s) && (isAtext(p.s[p.at]) || strings.IndexByte(".:", p.s[p.at]) >= 0) {
		p.at++
	}
	if !p.take(']') {
		return p.unexpected("in an address literal")
	}
	if name, _ := domain.Guess(p.s[start : p.at-1]); name != "" {
		return p.failAt(start, "a domain name in an address literal")
	}
	return p.cfws()
}

// cfws skips white space, folds and comments.
func (p *fromParser) cfws() error {
	for p.at < len(p.s) {
		switch c := p.s[p.at]; {
		case isWSP(c):
			p.at++
		case c == '\r' && p.fold():
		case c == '(':
			if err := p.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// maxComment is how deep comments may be nested. Honest mail has one or two.
const maxComment = 16

// comment skips a comment and those nested in it.
func (p *fromParser) comment() error {
	for depth := 0; p.at < len(p.s); {
		switch {
		case p.take('('):
			if depth++; depth > maxComment {
				return p.fail("comments are nested too deep")
			}
		case p.take(')'):
			if depth--; depth == 0 {
				return nil
			}
		default:
			if _, err := p.char(); err != nil {
				return err
			}
		}
	}
	return p.fail("a comment is not closed")
}

// char reads one byte of a quoted-string or comment, a quoted pair, or the line end of a fold,
// which is nothing.
func (p *fromParser) char() (string, error) {
	if p.fold() {
		return "", nil
	}
	start := p.at
	if p.s[p.at] == '\\' {
		// In Shift JIS, Big5 and GBK a backslash may be the second half of a character.
		if !p.utf8 && p.s[p.at-1] >= utf8.RuneSelf {
			return "", p.fail("a backslash after 8-bit text that is not UTF-8")
		}
		start++
	}
	if start == len(p.s) {
		return "", p.fail("a backslash at the end")
	}
	if c := p.s[start]; c < ' ' && c != '\t' || c == 0x7f {
		return "", p.failAt(start, "a control character")
	}
	p.at = start + 1
	return p.s[start:p.at], nil
}

// fold takes a CRLF that white space follows.
func (p *fromParser) fold() bool {
	rest := p.s[p.at:]
	if !strings.HasPrefix(rest, crlf) || len(rest) < 3 || !isWSP(rest[2]) {
		return false
	}
	p.at += len(crlf)
	return true
}

// take takes c if it comes next.
func (p *fromParser) take(c byte) bool {
	if p.at == len(p.s) || p.s[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *fromParser) unexpected(where string) error {
	if p.at == len(p.s) {
		return p.fail("nothing " + where)
	}
	return p.fail("unexpected " + where)
}

func (p *fromParser) fail(why string) error { return p.failAt(p.at, why) }

func (p *fromParser) failAt(at int, why string) error { return faultAt(p.s, at, why) }

// isAtext reports whether c may be in an atom (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
func isAtext(c byte) bool {
	return c >= utf8.RuneSelf || c > ' ' && c < 0x7f && strings.IndexByte(`()<>[]:;@\,."`, c) < 0
}
