package message

import (
	"errors"
	"fmt"
	"strings"
)

// Canonicalization is how much a message may change on its way before a signature breaks (RFC 6376 section 3.4).
type Canonicalization uint8

const (
	Simple  Canonicalization = iota // next to nothing may change
	Relaxed                         // white space, and the case of field names, may change
)

// ErrCanonicalization says that a name is not that of a canonicalisation.
var ErrCanonicalization = errors.New("message: unknown canonicalization")

// String returns the name that c= and configurations use: "simple" or "relaxed".
func (c Canonicalization) String() string {
	if c == Relaxed {
		return "relaxed"
	}
	return "simple"
}

// ParseCanonicalization reads "header/body" as c= has it. "relaxed" alone means "relaxed/simple" (RFC 6376 section
// 3.5). The error wraps ErrCanonicalization.
func ParseCanonicalization(s string) (header, body Canonicalization, err error) {
	h, b, both := strings.Cut(s, "/")
	if !both {
		b = Simple.String()
	}
	if header, err = canonicalization(h); err != nil {
		return 0, 0, err
	}
	body, err = canonicalization(b)
	return header, body, err
}

func canonicalization(name string) (Canonicalization, error) {
	for _, c := range []Canonicalization{Simple, Relaxed} {
		if strings.EqualFold(name, c.String()) {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%w: %.20q", ErrCanonicalization, name)
}

// AppendField appends the canonical form of f with its CRLF to dst (RFC 6376 sections 3.4.1 and 3.4.2).
func (c Canonicalization) AppendField(dst []byte, f Field) []byte {
	if c == Simple {
		dst = append(dst, f.raw...)
	} else {
		dst = appendRelaxed(dst, f)
	}
	return append(dst, crlf...)
}

const crlf = "\r\n"

// appendRelaxed appends f with its name in lower case, unfolded, each run of white space one space, none at either
// end of the value. A CR that no LF follows is an octet like any other.
func appendRelaxed(dst []byte, f Field) []byte {
	for _, c := range f.raw[:f.name] {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	value, space := f.Value(), false
	empty := len(dst)
	for i := 0; i < len(value); {
		switch c := value[i]; {
		case isWSP(c):
			space = true
			i++
		case isCRLF(value[i:]):
			i += 2
		default:
			if space && len(dst) > empty {
				dst = append(dst, ' ')
			}
			space = false
			start := i
			for i++; i < len(value) && value[i] > ' '; i++ {
			}
			dst = append(dst, value[start:i]...)
		}
	}
	return dst
}

func isCRLF(p []byte) bool { return len(p) > 1 && p[0] == '\r' && p[1] == '\n' }
