package canon

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
)

// whiteSpace drops the white space at the ends of lines and leaves one space of each other run of
// it (RFC 6376 section 3.4.4). Of a run it keeps the last byte, not the first: the two bytes after
// a byte then decide alone whether it stays, so that eight bytes are judged at once without a
// branch, whatever a sender fills a body with.
type whiteSpace struct {
	// What was read but not handed on, since what follows decides: white space, then a CR.
	space bool
	cr    bool // only behind white space
}

const (
	blockSize = 4 << 10 // bytes that are gathered before they are handed on
	// a run in relaxed form is handed on as it stands when it is as long as this
	plainRun = 512
	// bytes that are looked at one word at a time after one that has to go, or a few more at the
	// end
	careful = 512
	ahead   = 2 // bytes after a byte that decide whether it stays
)

// block gathers what stays. The room at its end is for the rest of the word that the last byte is
// part of.
type block struct {
	p [blockSize + wordSize]byte
	n int
}

// blocks are shared by all messages: one that waits for its next chunk has none.
var blocks = sync.Pool{New: func() any { return new(block) }}

func (w *whiteSpace) write(out *lineEnds, p []byte) {
	p = w.hold(w.resume(out, p))
	if n := plain(p); n >= plainRun || n == len(p) {
		out.write(p[:n])
		p = p[n:]
	}
	if len(p) == 0 {
		return
	}
	b := blocks.Get().(*block)
	for len(p) > 0 {
		n := ready(p)
		if n >= plainRun || n+b.n > blockSize-mostReduced {
			b.flush(out)
		}
		if n >= plainRun {
			out.write(p[:n])
		} else {
			b.n += copy(b.p[b.n:], p[:n])
		}
		p = p[n:]
		p = p[b.reduce(p):]
	}
	b.flush(out)
	blocks.Put(b)
}

func (b *block) flush(out *lineEnds) {
	out.write(b.p[:b.n])
	b.n = 0
}

// resume decides what the white space at the end of the last chunk was, and returns what is left of
// p.
func (w *whiteSpace) resume(out *lineEnds, p []byte) []byte {
	if !w.space || len(p) == 0 {
		return p
	}
	if !w.cr {
		p = p[leadingWhite(p):]
		if len(p) > 0 && p[0] == '\r' {
			w.cr, p = true, p[1:]
		}
		if len(p) == 0 {
			return nil
		}
	}
	if !w.cr || p[0] != '\n' {
		out.write(oneSpace)
	}
	if w.cr {
		out.write(oneCR)
	}
	w.space, w.cr = false, false
	return p
}

// hold returns p without the white space at its end, and the CR behind it.
func (w *whiteSpace) hold(p []byte) []byte {
	end := len(p)
	if end >= 2 && p[end-1] == '\r' && isWSP(p[end-2]) {
		w.cr = true
		end--
	}
	white := trailingWhite(p[:end])
	w.space = w.space || white > 0
	return p[:end-white]
}

// close ends the body: white space at its end goes, but not when a CR alone is behind it.
func (w *whiteSpace) close(out *lineEnds) {
	if w.cr {
		out.write(oneSpace)
		out.write(oneCR)
	}
}

// plain returns the length of p up to its first white space. Of attachments in base64 that is all.
func plain(p []byte) int {
	for _, c := range []byte(" \t") {
		if n := bytes.IndexByte(p, c); n >= 0 {
			p = p[:n]
		}
	}
	return len(p)
}

// ready returns how many bytes at the start of p are certainly in relaxed form. It looks at two
// words at once, since a branch for each costs as much as looking.
func ready(p []byte) int {
	q := p
	for len(q) > 2*wordSize && isReady(word(q), word(q[1:]))&isReady(word(q[wordSize:]),
		word(q[wordSize+1:]))&high == high {
		q = q[2*wordSize:]
	}
	return len(p) - len(q)
}

// isReady sets the high bits of those bytes of x that certainly stay as they are: no tabs, and no
// spaces with a control character or white space in next.
func isReady(x, next uint64) uint64 {
	x7 := x & low
	notTab, notSpace := x7^'\t'*ones+low, x7^' '*ones+low
	return notTab&(notSpace|above(next, ' ')) | x
}

// reduce takes the next bytes of p, careful of them or all that are left, and puts those that stay
// into b. p does not end with white space, nor with a CR after white space. It returns how many
// bytes it took.
func (b *block) reduce(p []byte) int {
	i := b.reduceWords(p[:min(len(p), careful+ahead)])
	if len(p)-i >= wordSize+ahead {
		return i
	}
	for ; i < len(p); i++ {
		c := p[i]
		if isWSP(c) {
			if isWSP(p[i+1]) || isCRLF(p[i+1:]) {
				continue
			}
			c = ' '
		}
		b.p[b.n] = c
		b.n++
	}
	return len(p)
}

// mostReduced is the most that reduce takes.
const mostReduced = careful + wordSize + ahead

// reduceWords is reduce for whole words. It has no branch but its end: no processor can predict
// where white space is, and a wrong guess costs more than all of this.
func (b *block) reduceWords(p []byte) int {
	size, n := len(p), b.n
	for len(p) >= wordSize+ahead {
		x, next, second := word(p), word(p[1:]), word(p[2:])
		notTab := unlike(x, '\t')
		text := unlike(x, ' ') & notTab
		x ^= ^notTab & high >> 7 * ('\t' ^ ' ') // a tab that stays is a space
		noLineEnd := above((next^'\r'*ones)|(second^'\n'*ones), 0)
		stay := (text | (text>>8|textOnTop[p[wordSize]])&noLineEnd) & high * gather >> 56

		m := &moves[stay]
		x &= m.stay
		t := x & m.by1
		x = x ^ t | t>>8
		t = x & m.by2
		x = x ^ t | t>>16
		t = x & m.by4
		x = x ^ t | t>>32
		// n is less than blockSize: this spares a check
		binary.LittleEndian.PutUint64(b.p[n&(blockSize-1):], x)
		n += bits.OnesCount8(uint8(stay))
		p = p[wordSize:]
	}
	b.n = n
	return size - len(p)
}
