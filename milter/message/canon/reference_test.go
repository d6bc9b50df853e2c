package canon

import (
	"bytes"
	"slices"
	"testing"
)

// This file is the oracle: the forms of RFC 6376 section 3.4 by loops over single bytes of a whole
// text, which a reader can compare with the RFC line by line.

// referenceSimple is section 3.4.3: no empty lines at the end, and one line end.
func referenceSimple(body []byte) []byte {
	return slices.Concat(trimEmptyLines(body), []byte("\r\n"))
}

// referenceRelaxed is section 3.4.4: no white space at the ends of lines, one space for each other
// run of it, no empty lines at the end, and one line end unless nothing is left.
func referenceRelaxed(body []byte) []byte {
	out := trimEmptyLines(reduceWhiteSpace(body, true))
	if len(out) == 0 {
		return out
	}
	return append(out, "\r\n"...)
}

// referenceValue is section 3.4.2 for the value of a header field: unfolded, one space for each run
// of white space, none at either end.
func referenceValue(value []byte) []byte {
	unfolded := []byte{}
	for i, c := range value {
		isCR := c == '\r' && i+1 < len(value) && value[i+1] == '\n'
		isLF := c == '\n' && i > 0 && value[i-1] == '\r'
		if !isCR && !isLF {
			unfolded = append(unfolded, c)
		}
	}
	return bytes.Trim(reduceWhiteSpace(unfolded, false), " ")
}

// reduceWhiteSpace makes one space of each run of white space, or nothing where the run is at the
// end of a line or of the text and lines are looked at.
func reduceWhiteSpace(text []byte, lines bool) []byte {
	out := []byte{}
	space := false
	for i, c := range text {
		if c == ' ' || c == '\t' {
			space = true
			continue
		}
		isLineEnd := c == '\r' && i+1 < len(text) && text[i+1] == '\n'
		if space && !(lines && isLineEnd) {
			out = append(out, ' ')
		}
		space = false
		out = append(out, c)
	}
	return out
}

func trimEmptyLines(body []byte) []byte {
	n := len(body)
	for n >= 2 && body[n-2] == '\r' && body[n-1] == '\n' {
		n -= 2
	}
	return body[:n]
}

func TestReferenceValue(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{" X", "X"}, // section 3.4.5
		{" Y\t\r\n\tZ  ", "Y Z"},
		{"", ""},
		{" \t\r\n ", ""},
		{" a \r b\r", "a \r b\r"},
		{" a\r\r\n b", "a\r b"},
	} {
		if got := string(referenceValue([]byte(tt.in))); got != tt.want {
			t.Errorf("the reference's relaxed form of %q is %q, want %q", tt.in, got, tt.want)
		}
	}
}
