package canon

import "encoding/binary"

// A word is eight bytes that one instruction treats at once (SWAR: SIMD within a register). The
// first byte of the text is in the lowest bits of the word.
const (
	wordSize = 8
	ones     = 0x0101010101010101 // times a byte: a word of that byte
	high     = 0x80 * ones
	low      = 0x7f * ones
	// times high bits: moves those of all bytes to the top byte, the first one's lowest
	gather = 0x0002040810204081
)

// word returns the first eight bytes of p.
func word(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// unlike sets the high bits of those bytes of x that are not c, a byte of ASCII. The other bits
// mean nothing.
func unlike(x uint64, c byte) uint64 { return above(x^uint64(c)*ones, 0) }

// above sets the high bits of those bytes of x that are greater than c, a byte of ASCII.
func above(x uint64, c byte) uint64 { return x&low + uint64(0x7f-c)*ones | x }

// isWhite reports whether all bytes of x are spaces and tabs.
func isWhite(x uint64) bool { return unlike(x, ' ')&unlike(x, '\t')&high == 0 }

// leadingWhite returns how many bytes of white space p begins with.
func leadingWhite(p []byte) int {
	n := 0
	for n <= len(p)-wordSize && isWhite(word(p[n:])) {
		n += wordSize
	}
	for n < len(p) && isWSP(p[n]) {
		n++
	}
	return n
}

// trailingWhite returns how many bytes of white space p ends with.
func trailingWhite(p []byte) int {
	end := len(p)
	for end >= wordSize && isWhite(word(p[end-wordSize:])) {
		end -= wordSize
	}
	for end > 0 && isWSP(p[end-1]) {
		end--
	}
	return len(p) - end
}

// moves has, for each set of bytes of a word that stay, how they move down to close the gaps: some
// of them by one byte, then some by two, then some by four.
var moves = func() (all [1 << wordSize]move) {
	for set := range all {
		gaps := 0
		for at := range wordSize {
			if set>>at&1 == 0 {
				gaps++
			} else {
				all[set].add(at, gaps)
			}
		}
	}
	return all
}()

// move is four masks of whole bytes.
type move struct{ stay, by1, by2, by4 uint64 }

// add has the byte at a place move down by gaps.
func (m *move) add(at, gaps int) {
	mask := uint64(0xff) << (8 * at)
	m.stay |= mask
	for i, by := range []*uint64{&m.by1, &m.by2, &m.by4} {
		if gaps>>i&1 != 0 {
			*by |= mask
			mask >>= 8 << i
		}
	}
}

// textOnTop is, for each byte but white space, a word with its highest bit set.
var textOnTop = func() (all [1 << 8]uint64) {
	for c := range all {
		if !isWSP(byte(c)) {
			all[c] = 1 << 63
		}
	}
	return all
}()
