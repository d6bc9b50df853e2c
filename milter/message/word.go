package message

import "encoding/binary"

// A word is eight octets that are looked at at once, the first in its lowest bits.
const (
	wordSize = 8
	ones     = 0x0101010101010101 // times an octet: a word of it; and times a word of zeros and ones, their sum on top
	high     = 0x80 * ones
	low      = 0x7f * ones
	gather   = 0x0102040810204080 // times a word of zeros and ones: those in the eight highest bits, the first lowest
)

func word(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// unlike sets the high bits of those octets of x that are not c, an octet of ASCII. The other bits mean nothing.
func unlike(x uint64, c byte) uint64 { return above(x^uint64(c)*ones, 0) }

// above sets the high bits of those octets of x that are greater than c, an octet of ASCII.
func above(x uint64, c byte) uint64 { return x&low + uint64(0x7f-c)*ones | x }

func isWhite(x uint64) bool { return unlike(x, ' ')&unlike(x, '\t')&high == 0 }

// leadingWhite returns how many octets of white space p begins with.
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

// trailingWhite returns how many octets of white space p ends with.
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

// moves says, for each set of octets of a word that stay, which of them move down by one octet to stand together, which
// then by two, and which by four.
var moves = func() (all [1 << wordSize][4]uint64) {
	for set := range all {
		gaps := 0
		for octet := range wordSize {
			if set>>octet&1 == 0 {
				gaps++
				continue
			}
			at := octet
			for i := range 3 {
				if gaps>>i&1 != 0 {
					all[set][i] |= 0xff << (8 * at)
					at -= 1 << i
				}
			}
		}
	}
	return all
}()

// textOnTop is, for each octet but white space, a word with its highest bit set.
var textOnTop = func() (all [1 << 8]uint64) {
	for c := range all {
		if !isWSP(byte(c)) {
			all[c] = 1 << 63
		}
	}
	return all
}()
