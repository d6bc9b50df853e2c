package message

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailseal/milter/message/canon"
)

// Canonicalization is how much a message may change on its way before a signature breaks (RFC 6376
// section 3.4).
type Canonicalization uint8

const (
	Simple  Canonicalization = iota // next to nothing may change
	Relaxed                         // white space, and the case of field names, may change
)

// ErrCanonicalization means that a name is not that of a canonicalization.
var ErrCanonicalization = errors.New("unknown canonicalization")

// String returns the name that c= and configurations use: "simple" or "relaxed".
func (c Canonicalization) String() string {
	if c == Relaxed {
		return "relaxed"
	}
	return "simple"
}

// ParseCanonicalization parses "header/body", the value of c=, in any case. "relaxed" alone means
// "relaxed/simple" (RFC 6376 section 3.5). The error wraps ErrCanonicalization.
func ParseCanonicalization(s string) (header, body Canonicalization, err error) {
	h, b, both := strings.Cut(s, "/")
	if !both {
		b = Simple.String()
	}
	header, err = canonicalization(h)
	if err == nil {
		body, err = canonicalization(b)
	}
	if err != nil {
		return 0, 0, err
	}
	return header, body, nil
}

func canonicalization(name string) (Canonicalization, error) {
	for _, c := range []Canonicalization{Simple, Relaxed} {
		if strings.EqualFold(name, c.String()) {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%w: %.20q", ErrCanonicalization, name)
}

const crlf = "\r\n"

// AppendField appends the canonical form of f with its CRLF to dst (RFC 6376 sections 3.4.1 and
// 3.4.2).
func (c Canonicalization) AppendField(dst []byte, f Field) []byte {
	if c == Relaxed {
		dst = appendRelaxed(dst, f)
	} else {
		dst = append(dst, f.raw...)
	}
	return append(dst, crlf...)
}

// appendRelaxed appends f with its name in lower case and its value in relaxed form.
func appendRelaxed(dst []byte, f Field) []byte {
	dst = slices.Grow(dst, len(f.raw)+len(crlf))
	for _, c := range f.raw[:f.name] {
		dst = append(dst, lower(c))
	}
	dst = append(dst, ':')
	return canon.AppendRelaxedValue(dst, f.Value())
}

// body returns what writes a canonical body to out (RFC 6376 sections 3.4.3 and 3.4.4).
func (c Canonicalization) body(out io.Writer) canon.Body {
	if c == Relaxed {
		return canon.RelaxedBody(out)
	}
	return canon.SimpleBody(out)
}

// AppendBody appends the canonical form of a whole body to dst (RFC 6376 sections 3.4.3 and 3.4.4).
func (c Canonicalization) AppendBody(dst, body []byte) []byte {
	w := appender{dst}
	b := c.body(&w)
	b.Write(body)
	b.Close()
	return w.p
}

// appender is an io.Writer to the end of p.
type appender struct{ p []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.p = append(a.p, p...)
	return len(p), nil
}

func isCRLF(p []byte) bool { return len(p) >= 2 && p[0] == '\r' && p[1] == '\n' }
