package message

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// parseFrom reads the value of a From field (RFC 5322 section 3.4, RFC 6532, RFC 6854). It is strict, since what it
// returns is held against a key: where two mail readers could show two addresses, it returns none.
//
// Of the obsolete forms it takes those that change no address: dots in a display name, empty places in the list, and
// local parts of several words. It takes no route, no white space inside a domain, no control characters. 8-bit text
// that is not UTF-8 may stand in a display name or comment, nowhere else. A group has addresses but no author.
func parseFrom(value []byte) ([]Address, error) {
	p := fromParser{s: string(value)}
	all, err := p.list()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: From is empty", ErrNoAuthor)
	}
	return all, nil
}

// fromParser reads s from at on; every method leaves at behind what it took.
type fromParser struct {
	s  string
	at int
}

// maxComment is how deep comments may be nested. Nobody means more than two.
const maxComment = 16

func (p *fromParser) list() ([]Address, error) {
	var all []Address
	for {
		if err := p.cfws(); err != nil {
			return nil, err
		}
		if p.at == len(p.s) {
			return all, nil
		}
		if p.take(',') {
			continue
		}
		if len(all) == MaxAuthors {
			return nil, fmt.Errorf("%w: From has more than %d addresses", ErrManyAuthors, MaxAuthors)
		}
		a, err := p.mailbox()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		if p.at < len(p.s) && !p.take(',') {
			return nil, p.unexpected("after an address")
		}
	}
}

// mailbox reads an addr-spec, or a display name and an addr-spec in angle brackets, and the white space behind it.
func (p *fromParser) mailbox() (Address, error) {
	ph, err := p.phrase()
	if err != nil {
		return Address{}, err
	}
	switch {
	case p.take('@'):
		if !ph.local {
			return Address{}, p.fail("there is white space or 8-bit text in a local part")
		}
		return p.domain(Address{Local: ph.text.String()})
	case p.take('<'):
		return p.angle(ph.display())
	case p.at < len(p.s) && p.s[p.at] == ':':
		return Address{}, p.fail("a group is no author")
	case p.at == len(p.s):
		return Address{}, p.fail("an address without a domain")
	}
	return Address{}, p.unexpected("before an address")
}

func (p *fromParser) angle(display string) (Address, error) {
	if err := p.cfws(); err != nil {
		return Address{}, err
	}
	ph, err := p.phrase()
	if err != nil {
		return Address{}, err
	}
	if !ph.local || !p.take('@') {
		return Address{}, p.fail("no address in the angle brackets")
	}
	a, err := p.domain(Address{Local: ph.text.String(), Display: display})
	if err != nil {
		return Address{}, err
	}
	if !p.take('>') {
		return Address{}, p.unexpected("before the closing angle bracket")
	}
	return a, p.cfws()
}

// phrase is a row of words and dots: a display name or a local part, which one the next octet tells.
type phrase struct {
	text    strings.Builder
	quoted  bool
	local   bool // it can be a local part: words parted by single dots, without white space, valid UTF-8
	encoded bool
}

func (ph *phrase) display() string {
	s := strings.TrimSpace(ph.text.String())
	if ph.encoded {
		if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
			s = d
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// phrase reads words, dots and the white space around them.
func (p *fromParser) phrase() (*phrase, error) {
	ph := &phrase{local: true}
	wasWord, gap := false, false
	for p.at < len(p.s) {
		c := p.s[p.at]
		isWord := c == '"' || isAtext(c)
		if !isWord && c != '.' {
			break
		}
		if gap {
			ph.text.WriteByte(' ')
		}
		ph.local = ph.local && !gap && isWord != wasWord
		wasWord = isWord
		switch {
		case c == '"':
			if err := p.quoted(&ph.text); err != nil {
				return nil, err
			}
			ph.quoted = true
		case c == '.':
			ph.text.WriteByte('.')
			p.at++
		default:
			word := p.atom()
			ph.encoded = ph.encoded || strings.HasPrefix(word, "=?")
			ph.text.WriteString(word)
		}
		before := p.at
		if err := p.cfws(); err != nil {
			return nil, err
		}
		gap = p.at > before
	}
	ph.local = ph.local && wasWord && utf8.ValidString(ph.text.String())
	return ph, nil
}

func (p *fromParser) atom() string {
	start := p.at
	for p.at < len(p.s) && isAtext(p.s[p.at]) {
		p.at++
	}
	return p.s[start:p.at]
}

// quoted reads a quoted-string and appends what it means to b.
func (p *fromParser) quoted(b *strings.Builder) error {
	for p.at++; p.at < len(p.s); {
		if p.take('"') {
			return nil
		}
		if err := p.char(b); err != nil {
			return err
		}
	}
	return p.fail("a quote is not closed")
}

// char reads one octet, a quoted pair, or a fold inside a quoted-string or comment. b may be nil.
func (p *fromParser) char(b *strings.Builder) error {
	c := p.s[p.at]
	if c == '\r' && p.fold() {
		return nil
	}
	if c == '\\' {
		if p.at++; p.at == len(p.s) {
			return p.fail("a backslash at the end")
		}
		c = p.s[p.at]
	}
	if c < ' ' && c != '\t' || c == 0x7f {
		return p.fail(fmt.Sprintf("control character %#02x", c))
	}
	if b != nil {
		b.WriteByte(c)
	}
	p.at++
	return nil
}

// domain reads the domain of a and the white space around it.
func (p *fromParser) domain(a Address) (Address, error) {
	if err := p.cfws(); err != nil {
		return Address{}, err
	}
	start := p.at
	literal := p.take('[')
	for p.at < len(p.s) && (isAtext(p.s[p.at]) || p.s[p.at] == '.' || literal && p.s[p.at] == ':') {
		p.at++
	}
	if literal {
		if !p.take(']') {
			return Address{}, p.fail("an address literal is not closed")
		}
		return a, p.cfws()
	}
	name, err := domain.Parse(p.s[start:p.at])
	if err != nil {
		return Address{}, p.fail(err.Error())
	}
	if p.s[p.at-1] == '.' {
		return Address{}, p.fail("a domain ends with a dot")
	}
	a.Domain = name
	return a, p.cfws()
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
			if err := p.char(nil); err != nil {
				return err
			}
		}
	}
	return p.fail("a comment is not closed")
}

// fold takes a CRLF that white space follows.
func (p *fromParser) fold() bool {
	rest := p.s[p.at:]
	if len(rest) < 3 || rest[:2] != crlf || !isWSP(rest[2]) {
		return false
	}
	p.at += 2
	return true
}

func (p *fromParser) take(c byte) bool {
	if p.at < len(p.s) && p.s[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *fromParser) fail(why string) error {
	return fmt.Errorf("%w: From, octet %d: %s", ErrNoAuthor, p.at, why)
}

func (p *fromParser) unexpected(where string) error {
	if p.at == len(p.s) {
		return p.fail("it ends " + where)
	}
	return p.fail(fmt.Sprintf("%q %s", p.s[p.at], where))
}

// isAtext tells whether c may stand in an atom (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
func isAtext(c byte) bool {
	return c > ' ' && c != 0x7f && !strings.ContainsRune(`()<>[]:;@\,."`, rune(c)) || c >= utf8.RuneSelf
}
