package canon

import (
	"io"
	"strings"
)

const crlf = "\r\n"

// Body turns a body that comes in chunks of any size into its canonical form and writes that to a
// writer. It passes on large pieces, of the chunks themselves where nothing has to go. What may
// have to go it keeps as counts and flags: it allocates nothing, and 8 MB of empty lines cost no
// more than 8 MB of text. The zero Body is not usable.
type Body struct {
	relaxed bool
	white   whiteSpace
	ends    lineEnds
}

// SimpleBody returns a Body of the simple form (RFC 6376 section 3.4.3). Errors of out are ignored:
// it is a hash or a buffer.
func SimpleBody(out io.Writer) Body { return Body{ends: lineEnds{out: out}} }

// RelaxedBody is SimpleBody for the relaxed form (RFC 6376 section 3.4.4).
func RelaxedBody(out io.Writer) Body { return Body{relaxed: true, ends: lineEnds{out: out}} }

// Write takes the next chunk, and keeps none of it. It never fails.
func (b *Body) Write(p []byte) (int, error) {
	if b.relaxed {
		b.white.write(&b.ends, p)
	} else {
		b.ends.write(p)
	}
	return len(p), nil
}

// Close ends the body with exactly one line end; an empty relaxed body stays empty. It never fails,
// and does not close the writer.
func (b *Body) Close() error {
	b.white.close(&b.ends)
	b.ends.close(!b.relaxed)
	return nil
}

// lineEnds drops the empty lines at the end of a body: all there is to the simple form, and the
// last step to the relaxed one.
type lineEnds struct {
	out  io.Writer
	some bool // something was handed on
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

// afterCR decides what the CR at the end of the last chunk was.
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

// emptyLines is what line ends are handed on from when text follows them after all.
var (
	emptyLines = []byte(strings.Repeat(crlf, maxLines))
	oneSpace   = []byte(" ")
	oneCR      = []byte("\r")
)

const maxLines = 512 // in emptyLines

// settle hands on the line ends before a byte that stays.
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
