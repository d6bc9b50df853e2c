package intake

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
)

// isBase64 recognizes gzip, zip, bzip2, XML and TLS reports that are still encoded: the field that
// says so is missing, or wrong.
func isBase64(start []byte) bool {
	for _, mark := range []string{
		"H4sI", "UEsDB", "QlpoO", "PD94bWwg", "77u/PD94", "//48AD8A", "PGZlZWRiYWNr",
		"eyJvcmdhbml6YXRpb24t",
	} {
		if bytes.HasPrefix(start, []byte(mark)) {
			return true
		}
	}
	return false
}

// fromBase64 decodes base64. Where letters that are not of the alphabet stand in it there are two
// readings: the letters are stray ones, or the line that they are in was added by a program on the
// way. The first reading that makes sense is taken. What is inflated to find that out counts as all
// else that the message holds.
func fromBase64(text []byte, b *budget) []byte {
	data, _ := io.ReadAll(newBase64(bytes.NewReader(text)))
	if isCleanBase64(text) || isWhole(data, b) {
		return data
	}
	for _, other := range [][]byte{dropOtherLines(text), cutAtForeign(text),
		bytes.Map(fromURL, text)} {
		if out, _ := io.ReadAll(newBase64(bytes.NewReader(other))); isWhole(out, b) {
			return out
		}
	}
	return data
}

// isCleanBase64 reports whether text contains only base64 and white space.
func isCleanBase64(text []byte) bool {
	for _, c := range text {
		if _, ok := letter(c); !ok && c != '=' && c != '\n' && c != '\r' && c != ' ' && c != '\t' {
			return false
		}
	}
	return true
}

// isWhole reports whether data are an archive or XML without damage.
func isWhole(data []byte, b *budget) bool {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return false
		}
		z.Multistream(false)
		n, err := io.Copy(io.Discard, &limited{in: z, budget: b, left: maxReport})
		return err == nil && n > 0
	case bytes.HasPrefix(data, []byte("PK")):
		_, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		return err == nil
	}
	return rootEnd.Match(data)
}

// dropOtherLines removes the lines that hold something beside base64.
func dropOtherLines(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if trimmed := bytes.TrimSpace(line); isCleanBase64(trimmed) &&
			!bytes.ContainsAny(trimmed, " \t") {
			out = append(out, line...)
		}
	}
	return out
}

// foreign are the bytes that are neither base64 nor white space, and what follows them in their
// line.
var foreign = regexp.MustCompile(`(?m)[^A-Za-z0-9+/=\r\n].*$`)

// cutAtForeign removes the ends of lines that begin with something that is not base64.
func cutAtForeign(text []byte) []byte { return foreign.ReplaceAll(text, nil) }

// fromURL turns a letter of the alphabet that is made for URLs into the usual one.
func fromURL(r rune) rune {
	switch r {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return r
}

// base64Reader decodes base64 as it is found in mail: what is not of the alphabet is skipped, an
// end may be cut off, and blocks that were encoded one by one, each with its padding, may be
// joined.
type base64Reader struct {
	in      *bufio.Reader
	bits    uint32
	n       int // letters in bits
	pending []byte
	buf     [3]byte
}

func newBase64(in io.Reader) *base64Reader { return &base64Reader{in: bufio.NewReader(in)} }

func (b *base64Reader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(b.pending) == 0 {
			if err := b.fill(); err != nil && len(b.pending) == 0 {
				return n, err
			}
		}
		k := copy(p[n:], b.pending)
		b.pending = b.pending[k:]
		n += k
	}
	return n, nil
}

// fill decodes letters until there is a byte.
func (b *base64Reader) fill() error {
	for len(b.pending) == 0 {
		c, err := b.in.ReadByte()
		if err != nil {
			b.end()
			return err
		}
		v, ok := letter(c)
		switch {
		case ok:
			b.bits = b.bits<<6 | v
			if b.n++; b.n == 4 {
				b.end()
			}
		case c == '=' && b.n > 1: // a single letter does not make a byte: the "=" is a stray one
			b.end()
		}
	}
	return nil
}

// end makes bytes of the letters that there are.
func (b *base64Reader) end() {
	full := b.bits << (6 * (4 - b.n))
	b.buf = [3]byte{byte(full >> 16), byte(full >> 8), byte(full)}
	b.pending = b.buf[:max(b.n-1, 0)]
	b.bits, b.n = 0, 0
}

// letter returns the value of a letter of the alphabet of base64.
func letter(c byte) (v uint32, ok bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return uint32(c - 'A'), true
	case c >= 'a' && c <= 'z':
		return uint32(c-'a') + 26, true
	case c >= '0' && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// fromQuotedPrintable decodes quoted-printable. It keeps a "=" that encodes nothing: some
// programs announce the encoding, and do not use it.
func fromQuotedPrintable(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		i := bytes.IndexByte(text, '=')
		if i < 0 {
			return append(out, text...)
		}
		out, text = append(out, text[:i]...), text[i+1:]
		blank := len(text) - len(bytes.TrimLeft(text, " \t"))
		if end := text[blank:]; len(end) == 0 || end[0] == '\n' ||
			bytes.HasPrefix(end, []byte("\r\n")) {
			_, text, _ = bytes.Cut(end, []byte("\n"))
			continue
		}
		var c [1]byte
		if _, err := hex.Decode(c[:], text[:min(len(text), 2)]); err != nil || len(text) < 2 {
			out = append(out, '=')
			continue
		}
		out, text = append(out, c[0]), text[2:]
	}
	return out
}

// uuBegin is the first line of a file that is written with uuencode.
var uuBegin = regexp.MustCompile(`(?m)^begin [0-7]{3,4} ([^\r\n]+)\r?\n`)

// uuencoded returns the first uuencoded file in a text; data is nil if there is none.
func uuencoded(text []byte) (name string, data []byte) {
	at := uuBegin.FindSubmatchIndex(text)
	if at == nil {
		return "", nil
	}
	for line := range bytes.Lines(text[at[1]:]) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || string(line) == "end" {
			break
		}
		n := int(line[0]-' ') & 63
		data = append(data, uuLine(line[1:], min(n, (len(line)+2)/4*3+maxMissing))...)
	}
	return strings.TrimSpace(string(text[at[2]:at[3]])), data
}

// maxMissing is how many bytes of a line, all zero, can have been lost with the blanks at its end.
const maxMissing = 3

// uuLine decodes n bytes. Blanks at the end of a line, which stand for zeros, may be missing.
func uuLine(line []byte, n int) (out []byte) {
	for i := 0; len(out) < n; i += 4 {
		var bits uint32
		for k := i; k < i+4; k++ {
			bits <<= 6
			if k < len(line) {
				bits |= uint32(line[k]-' ') & 63
			}
		}
		out = append(out, byte(bits>>16), byte(bits>>8), byte(bits))
	}
	return out[:n]
}
