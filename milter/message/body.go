package message

import (
	"io"
	"strings"
)

// canonicalizer turns a body that comes in chunks into its canonical form (RFC 6376 sections 3.4.3 and 3.4.4). It
// hands on large pieces, of the chunks themselves where nothing has to go, and holds back nothing that may have to go
// but counts and flags: it allocates nothing, and 8 MB of empty lines cost no more than 8 MB of text.
//
// A line ends with CRLF. A CR or LF alone is an octet like any other: whoever takes it for a line end, as go-msgauth
// and OpenDKIM each do in a way of their own, cannot verify what others sign, and lets CRs be added to signed mail.
type canonicalizer struct {
	relaxed bool
	white   whiteSpace
	ends    lineEnds
}

func newCanonicalizer(c Canonicalization, out io.Writer) canonicalizer {
	return canonicalizer{relaxed: c == Relaxed, ends: lineEnds{out: out}}
}

func (c *canonicalizer) write(p []byte) {
	if c.relaxed {
		c.white.write(&c.ends, p)
	} else {
		c.ends.write(p)
	}
}

// close ends the body with exactly one line end; an empty relaxed body stays empty.
func (c *canonicalizer) close() {
	c.white.close(&c.ends)
	c.ends.close(!c.relaxed)
}

// lineEnds drops the empty lines at the end of a body: all there is to the simple form, and the last step to the
// relaxed one.
type lineEnds struct {
	out  io.Writer // never fails
	some bool      // something was handed on
	// What was read but not handed on, since what follows decides: line ends, then a CR.
	lines int64
	cr    bool
}

// write hands on everything but the line ends at the end, and the CR that may become one.
func (e *lineEnds) write(p []byte) {
	if len(p) == 0 {
		return
	}
	if e.cr {
		p = e.afterCR(p)
	}
	end := len(p)
	if end > 0 && p[end-1] == '\r' {
		end--
	}
	text := trimLineEnds(p[:end])
	if text > 0 {
		e.settle()
		e.out.Write(p[:text])
	}
	e.lines += int64(end-text) / int64(len(crlf))
	e.cr = end < len(p)
}

// afterCR decides what the CR at the end of the chunk before was.
func (e *lineEnds) afterCR(p []byte) []byte {
	e.cr = false
	if p[0] == '\n' {
		e.lines++
		return p[1:]
	}
	e.settle()
	e.out.Write(oneCR)
	return p
}

// trimLineEnds returns the length of p without the line ends at its end.
func trimLineEnds(p []byte) int {
	n := len(p)
	for n >= 8 && string(p[n-8:n]) == "\r\n\r\n\r\n\r\n" {
		n -= 8
	}
	for n >= 2 && p[n-2] == '\r' && p[n-1] == '\n' {
		n -= 2
	}
	return n
}

// emptyLines is what line ends are handed on from when they turn out to stand inside the body.
var (
	emptyLines = []byte(strings.Repeat(crlf, maxLines))
	oneSpace   = []byte(" ")
	oneCR      = []byte("\r")
)

const maxLines = 512 // in emptyLines

// settle hands on the line ends that stand before an octet that stays.
func (e *lineEnds) settle() {
	for e.lines > 0 {
		n := min(e.lines, maxLines)
		e.out.Write(emptyLines[:len(crlf)*int(n)])
		e.lines -= n
	}
	e.some = true
}

// close ends the body with one line end, an empty one only if always.
func (e *lineEnds) close(always bool) {
	if e.cr {
		e.settle()
		e.out.Write(oneCR)
	}
	if e.some || always {
		e.out.Write(emptyLines[:len(crlf)])
	}
}

// AppendBody appends the canonical form of a whole body to dst (RFC 6376 sections 3.4.3 and 3.4.4).
func (c Canonicalization) AppendBody(dst, body []byte) []byte {
	w := appender{dst}
	z := newCanonicalizer(c, &w)
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
