package message

import (
	"encoding/binary"
	"io"
	"math/bits"
	"strings"
)

// canonicalizer turns a body that comes in chunks into its canonical form (RFC 6376 sections 3.4.3 and 3.4.4). It
// hands slices of the chunks on, the short ones copied together, and holds back nothing that may have to go but counts
// and flags. So it allocates nothing, and 8 MB of empty lines cost no more than 8 MB of text.
//
// A line ends with CRLF. A CR or LF alone is an octet like any other: whoever takes it for a line end, as go-msgauth
// and OpenDKIM each do in a way of their own, cannot verify what others sign, and lets CRs be added to signed mail.
type canonicalizer struct {
	relaxed bool
	out     io.Writer // never fails
	some    bool      // something was handed on
	short   [2048]byte
	held    int // octets of short that wait to be handed on together: a hash takes few long runs faster
	// What was read but not handed on, since what follows decides: line ends, then white space, then a CR.
	lines int64
	space bool
	cr    bool
}

func (c *canonicalizer) write(p []byte) {
	if len(p) == 0 {
		return
	}
	if c.cr {
		p = c.afterCR(p)
	}
	if c.relaxed {
		c.writeRelaxed(p)
	} else {
		c.writeSimple(p)
	}
}

// afterCR decides what the CR at the end of the chunk before was.
func (c *canonicalizer) afterCR(p []byte) []byte {
	c.cr = false
	if p[0] == '\n' {
		c.space = false
		c.lines++
		return p[1:]
	}
	c.settle()
	c.emit(oneCR)
	return p
}

// writeSimple hands on everything but the line ends at the end, and the CR that may become one.
func (c *canonicalizer) writeSimple(p []byte) {
	end := len(p)
	if end > 0 && p[end-1] == '\r' {
		end--
	}
	text := end
	for text >= 2 && isCRLF(p[text-2:end]) {
		text -= 2
	}
	if text > 0 {
		c.settle()
		c.emit(p[:text])
	}
	c.lines += int64(end-text) / 2
	c.cr = end < len(p)
}

// writeRelaxed parts p into what may have to go and what stays whatever follows.
func (c *canonicalizer) writeRelaxed(p []byte) {
	for {
		if p = c.skip(p); len(p) == 0 {
			return
		}
		n := stays(p)
		c.emit(p[:n])
		p = p[n:]
	}
}

// skip takes line ends and white space, which may have to go, up to the first octet that stays; what stood before that
// one stays, too.
func (c *canonicalizer) skip(p []byte) []byte {
	i := 0
	for i < len(p) {
		switch {
		case isWSP(p[i]):
			c.space = true
			i++
		case p[i] == '\r' && i+1 == len(p):
			c.cr = true
			return nil
		case isCRLF(p[i:]):
			c.space = false
			c.lines++
			i += 2
		default:
			c.settle()
			return p[i:]
		}
	}
	return nil
}

// stays returns how much of p is in relaxed form whatever may follow it: up to the first white space that is not a
// single space between two words, and the first line end that only white space or nothing follows. p[0] is an octet
// that stays. White space before a CR is left to skip, be it a line end or not.
func stays(p []byte) int {
	for i := 1; ; {
		at := nextStop(p, i)
		end := at
		if p[end-1] == ' ' {
			end--
		}
		if at == len(p) || end < at || p[at] != '\r' {
			return end
		}
		i = at
		for isCRLF(p[i:]) {
			i += 2
		}
		if i == len(p) || isWSP(p[i]) || p[i] == '\r' && i+1 == len(p) {
			return at
		}
		i++
	}
}

// nextStop returns the first index from i on of a CR, a tab, or a space behind a space; len(p) when there is none. It
// looks at eight octets at once: this loop is what a body costs beside its hash.
func nextStop(p []byte, i int) int {
	const (
		ones = 0x0101010101010101
		low  = 0x7f * ones
		high = 0x80 * ones
	)
	behindSpace := uint64(0) // 0x80 when p[i-1] is a space
	for ; i <= len(p)-8; i += 8 {
		x := binary.LittleEndian.Uint64(p[i : i+8])
		// An octet of y+low has its high bit clear exactly where the octet of y is zero.
		y := x & low
		stop := ^((y ^ '\r'*ones) + low) | ^((y ^ '\t'*ones) + low)
		space := ^((y ^ ' '*ones) + low) &^ x & high
		stop = stop&^x&high | space&(space<<8|behindSpace)
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
		behindSpace = space >> 56
	}
	for ; i < len(p); i++ {
		if p[i] == '\r' || p[i] == '\t' || p[i] == ' ' && p[i-1] == ' ' {
			break
		}
	}
	return i
}

// emptyLines is what line ends are handed on from when they turn out to stand inside the body.
var (
	emptyLines = []byte(strings.Repeat(crlf, maxLines))
	oneCR      = []byte("\r")
)

const maxLines = 512 // in emptyLines

// settle hands on what stands before an octet that stays, but for the CR. It stores the last line end and the space
// itself: two calls for each line cost as much as looking at its octets.
func (c *canonicalizer) settle() {
	for c.lines > 1 {
		n := min(c.lines-1, maxLines)
		c.emit(emptyLines[:len(crlf)*int(n)])
		c.lines -= n
	}
	if c.held > len(c.short)-len(" \r\n") {
		c.flush()
	}
	if c.lines == 1 {
		c.short[c.held], c.short[c.held+1] = '\r', '\n'
		c.held += 2
	}
	if c.space {
		c.short[c.held] = ' '
		c.held++
	}
	c.lines, c.space, c.some = 0, false, true
}

func (c *canonicalizer) emit(p []byte) {
	c.some = true
	if len(p) > len(c.short)-c.held {
		c.flush()
	}
	if len(p) > len(c.short)/4 {
		c.flush()
		c.out.Write(p)
		return
	}
	c.held += copy(c.short[c.held:], p)
}

func (c *canonicalizer) flush() {
	if c.held > 0 {
		c.out.Write(c.short[:c.held])
		c.held = 0
	}
}

// close ends the body with exactly one line end; an empty relaxed body stays empty.
func (c *canonicalizer) close() {
	if c.cr {
		c.settle()
		c.emit(oneCR)
	}
	if c.some || !c.relaxed {
		c.emit(emptyLines[:len(crlf)])
	}
	c.flush()
}

// AppendBody appends the canonical form of a whole body to dst (RFC 6376 sections 3.4.3 and 3.4.4).
func (c Canonicalization) AppendBody(dst, body []byte) []byte {
	w := appender{dst}
	z := canonicalizer{relaxed: c == Relaxed, out: &w}
	z.write(body)
	z.close()
	return w.p
}

// appender is an io.Writer to the end of p.
type appender struct{ p []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.p = append(a.p, p...)
	return len(p), nil
}
