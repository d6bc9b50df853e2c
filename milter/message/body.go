package message

import (
	"io"
	"strings"
)

// canonicalizer turns a body that comes in chunks into its canonical form. It hands slices of the chunks on, holds
// nothing back but counts and flags, and so allocates nothing (RFC 6376 sections 3.4.3 and 3.4.4).
type canonicalizer struct {
	relaxed bool
	out     io.Writer // never fails
	some    bool      // something was handed on
	// What was read but not yet handed on, since what follows decides: line ends, then white space, then a CR.
	lines int64
	space bool
	cr    bool
}

// emptyLines is written from when empty lines turn out to stand inside the body.
var emptyLines = []byte(strings.Repeat(crlf, 512))

var (
	oneSpace = []byte(" ")
	oneCR    = []byte("\r")
)

func (c *canonicalizer) write(p []byte) {
	if c.relaxed {
		c.writeRelaxed(p)
	} else {
		c.writeSimple(p)
	}
}

// writeSimple hands everything on but the line ends at the end.
func (c *canonicalizer) writeSimple(p []byte) {
	if len(p) == 0 {
		return
	}
	if c.cr && p[0] == '\n' {
		c.cr = false
		c.lines++
		p = p[1:]
	}
	n := len(p)
	cr := n > 0 && p[n-1] == '\r'
	if cr {
		n--
	}
	lines := int64(0)
	for n >= 2 && p[n-1] == '\n' && p[n-2] == '\r' {
		n -= 2
		lines++
	}
	if c.cr && len(p) > 0 || n > 0 {
		c.settle()
	}
	if n > 0 {
		c.emit(p[:n])
	}
	c.lines += lines
	c.cr = c.cr || cr
}

// writeRelaxed hands on the longest runs that need no change.
func (c *canonicalizer) writeRelaxed(p []byte) {
	for i := 0; i < len(p); {
		switch b := p[i]; {
		case c.cr && b == '\n':
			c.cr, c.space = false, false
			c.lines++
			i++
		case c.cr:
			c.settle()
		case b == '\r':
			c.cr = true
			i++
		case isWSP(b):
			c.space = true
			i++
		default:
			c.settle()
			start := i
			for i++; i < len(p) && p[i] != '\r' && !isWSP(p[i]); i++ {
			}
			c.emit(p[start:i])
		}
	}
}

// settle hands on what was held back: it turned out to stand inside the body.
func (c *canonicalizer) settle() {
	for c.lines > 0 {
		n := min(c.lines, int64(len(emptyLines)/2))
		c.emit(emptyLines[:2*n])
		c.lines -= n
	}
	if c.space {
		c.emit(oneSpace)
	}
	if c.cr {
		c.emit(oneCR)
	}
	c.space, c.cr = false, false
}

func (c *canonicalizer) emit(p []byte) {
	c.some = true
	c.out.Write(p)
}

// close ends the body with exactly one line end; an empty relaxed body stays empty.
func (c *canonicalizer) close() {
	if c.cr {
		c.settle()
	}
	if c.some || !c.relaxed {
		c.emit(emptyLines[:2])
	}
	c.lines, c.space = 0, false
}

// AppendBody appends the canonical form of a whole body to dst (RFC 6376 sections 3.4.3 and 3.4.4).
func (c Canonicalization) AppendBody(dst, body []byte) []byte {
	w := appender{dst}
	z := canonicalizer{relaxed: c == Relaxed, out: &w}
	z.write(body)
	z.close()
	return w.p
}

type appender struct{ p []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.p = append(a.p, p...)
	return len(p), nil
}
