package report

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// kind is what a token is.
type kind int

const (
	openTag  kind = iota
	closeTag      // also sent after the open tag of an empty element
	text
	end // of the file
)

// token is a part of an XML file. Names are local names in lower case.
type token struct {
	kind  kind
	name  string
	space string // of the root element: the value of xmlns; "" elsewhere
	text  []byte // valid until the next token; entities are not replaced
	line  int
}

// ErrHostile reports input that no reporter writes, and that would cost too much to read.
var ErrHostile = errors.New("hostile")

// tokenizer reads the XML that reporters write, which is often not XML: tags in upper case, "&" and
// "<" that stand for themselves, prefixes without a namespace, elements that are never closed.
// encoding/xml stops at the first of these, and keeps a whole attribute in memory, whatever its
// length.
//
// known says which names begin a tag where text may stand as well. Everything has a bound: a value
// is cut, a tag that is too long is hostile.
type tokenizer struct {
	in     *bufio.Reader
	line   int
	known  func(name string) bool
	inText bool // the element that is open holds text only: an unknown "<name>" in it is text
	notes  *notebook
	buf    []byte
	next   *token // a token that was read already

	unclosed int // line of a comment that the file ends in; 0 for none
}

func newTokenizer(in *bufio.Reader, known func(string) bool, notes *notebook) *tokenizer {
	return &tokenizer{in: in, line: 1, known: known, notes: notes}
}

func (t *tokenizer) read() (byte, error) {
	c, err := t.in.ReadByte()
	if c == '\n' && err == nil {
		t.line++
	}
	return c, err
}

// token returns the next token. The error is nil, of the reader, or wraps ErrHostile.
func (t *tokenizer) token() (token, error) {
	if t.next != nil {
		out := *t.next
		t.next = nil
		return out, nil
	}
	t.buf = t.buf[:0]
	line := t.line
	for {
		ahead, err := t.in.Peek(1)
		if errors.Is(err, io.EOF) {
			if len(t.buf) > 0 {
				return token{kind: text, text: t.buf, line: line}, nil
			}
			return token{kind: end, line: t.line}, nil
		}
		if err != nil {
			return token{}, err
		}
		if ahead[0] != '<' {
			if err := t.plainText(); err != nil {
				return token{}, err
			}
			continue
		}
		isTag, err := t.markup()
		if err != nil {
			return token{}, err
		}
		if !isTag {
			continue
		}
		if len(t.buf) > 0 {
			return token{kind: text, text: t.buf, line: line}, nil
		}
		return t.tag()
	}
}

// plainText reads the text up to the next "<". It drops the part of a value beyond its
// limit.
func (t *tokenizer) plainText() error {
	for {
		part, err := t.in.ReadSlice('<')
		if err == nil {
			part = part[:len(part)-1]
			t.in.UnreadByte()
		}
		t.line += bytes.Count(part, []byte("\n"))
		t.keep(part)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

func (t *tokenizer) keep(part []byte) {
	if free := maxValue - len(t.buf); len(part) > free {
		if free < len(bytes.TrimRight(part, " \t\r\n")) {
			t.notes.add("long-value", "a value was truncated to 4,096 bytes", t.line)
		}
		part = part[:max(free, 0)]
	}
	t.buf = append(t.buf, part...)
}

// markup looks at what begins with "<". Comments, declarations and processing instructions are
// skipped, CDATA is taken as text. It reports whether a tag follows; a "<" that begins none is
// taken as text.
func (t *tokenizer) markup() (bool, error) {
	ahead, _ := t.in.Peek(9)
	switch {
	case bytes.HasPrefix(ahead, []byte("<!--")):
		return false, t.skip("-->", nil)
	case bytes.HasPrefix(ahead, []byte("<?")):
		return false, t.skip("?>", nil)
	case bytes.EqualFold(ahead, []byte("<![CDATA[")):
		return false, t.skip("]]>", func(part []byte) {
			t.keep(bytes.ReplaceAll(part, []byte("&"), []byte("&amp;")))
		})
	case len(ahead) >= 9 && bytes.EqualFold(ahead, []byte("<!DOCTYPE")):
		return false, hostileInput("a document type declaration in line %d", t.line)
	}
	name, ok := t.peekName()
	isClose := bytes.HasPrefix(ahead, []byte("</"))
	// a value does not close what it did not open
	if ok && (t.known(name) || !t.inText || isClose) {
		return true, nil
	}
	if !t.cutOff() {
		t.notes.add("unescaped-lt", `"<" that is not written as "&lt;"`, t.line)
	}
	if _, err := t.read(); err != nil {
		return false, err
	}
	t.keep([]byte("&lt;"))
	return false, nil
}

// cutOff reports whether the file ends within the tag that begins here.
func (t *tokenizer) cutOff() bool {
	ahead, err := t.in.Peek(longestName)
	return errors.Is(err, io.EOF) && !bytes.ContainsAny(ahead, ">")
}

// longestName is how far a tag is looked at for its name, in bytes.
const longestName = 160

// peekName returns the local name of the tag that follows, and whether it looks like one.
func (t *tokenizer) peekName() (string, bool) {
	ahead, _ := t.in.Peek(longestName)
	ahead = bytes.TrimPrefix(ahead[min(1, len(ahead)):], []byte("/"))
	n := 0
	for n < len(ahead) && isNameByte(ahead[n]) {
		n++
	}
	if n == 0 || n == len(ahead) || ahead[0] >= '0' && ahead[0] <= '9' || ahead[0] == '-' ||
		ahead[0] == '.' {
		return "", false
	}
	if !strings.ContainsRune(" \t\r\n/>", rune(ahead[n])) {
		return "", false
	}
	return localName(ahead[:n]), true
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' ||
		c == '-' || c == '.' || c == ':' || c >= 0x80
}

func localName(b []byte) string {
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		b = b[i+1:]
	}
	return strings.ToLower(string(b))
}

// skip drops everything up to and with mark, or hands it to take.
func (t *tokenizer) skip(mark string, take func([]byte)) error {
	if take != nil {
		t.in.Discard(len("<![CDATA["))
	}
	var seen []byte
	begin := t.line
	for {
		c, err := t.read()
		if errors.Is(err, io.EOF) {
			t.unclosed = begin
			return nil
		}
		if err != nil {
			return err
		}
		seen = append(seen, c)
		if bytes.HasSuffix(seen, []byte(mark)) {
			if take != nil {
				take(seen[:len(seen)-len(mark)])
			}
			return nil
		}
		if take == nil && len(seen) > 64 {
			seen = append(seen[:0], seen[len(seen)-len(mark):]...)
		}
		if take != nil && len(seen) > maxTag {
			take(seen)
			seen = seen[:0]
		}
	}
}

// tag reads a tag that markup has seen.
func (t *tokenizer) tag() (token, error) {
	out := token{kind: openTag, line: t.line}
	quote, raw := byte(0), t.buf[:0]
	for {
		c, err := t.read()
		if errors.Is(err, io.EOF) {
			return token{kind: end, line: t.line}, nil
		}
		if err != nil {
			return token{}, err
		}
		switch {
		case quote == 0 && c == '>':
			t.buf = raw
			return t.finish(out, raw), nil
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
		if raw = append(raw, c); len(raw) > maxTag {
			return token{}, hostileInput("a tag of more than 64 KiB in line %d", out.line)
		}
	}
}

func (t *tokenizer) finish(out token, raw []byte) token {
	raw = raw[1:] // "<"
	if len(raw) > 0 && raw[0] == '/' {
		out.kind, raw = closeTag, raw[1:]
	}
	n := 0
	for n < len(raw) && isNameByte(raw[n]) {
		n++
	}
	out.name = localName(raw[:n])
	if out.kind == openTag && bytes.HasSuffix(raw, []byte("/")) {
		t.next = &token{kind: closeTag, name: out.name, line: out.line}
	}
	if out.name == "feedback" {
		out.space = namespace(raw[n:], raw[:n])
	}
	return out
}

// namespace returns the namespace of a tag from its attributes.
func namespace(attributes, name []byte) string {
	key := "xmlns"
	if prefix, _, ok := bytes.Cut(name, []byte(":")); ok {
		key += ":" + string(prefix)
	}
	_, rest, ok := strings.Cut(string(attributes), key+"=")
	if !ok || len(rest) < 2 {
		return ""
	}
	value, _, _ := strings.Cut(rest[1:], rest[:1])
	return value[:min(len(value), 200)]
}
