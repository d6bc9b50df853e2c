package message

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
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

// ParseCanonicalization reads "header/body" as c= has it, in any case. "relaxed" alone means "relaxed/simple"
// (RFC 6376 section 3.5). The error wraps ErrCanonicalization.
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

// AppendField appends the canonical form of f with its CRLF to dst (RFC 6376 sections 3.4.1 and 3.4.2).
func (c Canonicalization) AppendField(dst []byte, f Field) []byte {
	if c == Relaxed {
		dst = appendRelaxed(dst, f)
	} else {
		dst = append(dst, f.raw...)
	}
	return append(dst, crlf...)
}

// appendRelaxed appends f with its name in lower case, unfolded, each run of white space one space, none at either
// end of the value. A CR that no LF follows is an octet like any other: OpenDKIM and go-msgauth take it for white
// space, the RFC does not.
func appendRelaxed(dst []byte, f Field) []byte {
	dst = slices.Grow(dst, len(f.raw)+len(crlf))
	for _, c := range f.raw[:f.name] {
		dst = append(dst, lower(c))
	}
	dst = append(dst, ':')
	value, empty, space := f.Value(), len(dst), false
	for len(value) > 0 {
		n := 1
		switch {
		case isWSP(value[0]):
			space, n = true, leadingWhite(value)
		case isCRLF(value):
			n = len(crlf)
		default:
			if space && len(dst) > empty {
				dst = append(dst, ' ')
			}
			space = false
			n = textLen(value)
			dst = append(dst, value[:n]...)
		}
		value = value[n:]
	}
	return dst
}

// textLen returns how many octets of p relaxed leaves alone: up to the first tab, CR, or space that is not a single one
// between two words. The first octet is one that stays.
func textLen(p []byte) int {
	i := 0
	for ; i < len(p)-wordSize; i += wordSize {
		x, next := word(p[i:]), word(p[i+1:])
		stay := isReady(x, next) & unlike(x, '\r') & high
		if stay != high {
			return max(1, i+bits.TrailingZeros64(^stay&high)/wordSize)
		}
	}
	for ; i < len(p); i++ {
		if p[i] == '\t' || p[i] == '\r' || p[i] == ' ' && (i+1 == len(p) || p[i+1] <= ' ') {
			break
		}
	}
	return max(1, i)
}

func isCRLF(p []byte) bool { return len(p) >= 2 && p[0] == '\r' && p[1] == '\n' }
