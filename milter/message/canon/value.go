package canon

import "math/bits"

// AppendRelaxedValue appends the relaxed form of a header field's value, which is everything after
// the colon without the final line end, to dst: unfolded, each run of white space one space, none
// at either end (RFC 6376 section 3.4.2).
func AppendRelaxedValue(dst, value []byte) []byte {
	empty, space := len(dst), false
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

// textLen returns how many bytes of p the relaxed form leaves alone: up to the first tab, CR, or
// space that is not a single one between two words. The first byte is one that stays.
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

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func isCRLF(p []byte) bool { return len(p) >= 2 && p[0] == '\r' && p[1] == '\n' }
