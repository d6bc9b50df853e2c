package report

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// declared finds the encoding that an XML declaration names.
var declared = regexp.MustCompile(`^\s*<\?xml[^>]*\bencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// utf8Text returns what r holds as UTF-8: by its byte order mark, else by the encoding that its
// declaration names. Text that claims UTF-8, or an encoding that is not known, is passed on as it
// is; the tokenizer repairs its bytes.
func utf8Text(r io.Reader, notes *notebook) *bufio.Reader {
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(32 << 10) // an error comes back with the first read
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		in.Discard(3)
		return in
	}
	if name, e := wide(head); e != nil {
		notes.add(strings.ToLower(name), "the file is in "+name, 0)
		return bufio.NewReaderSize(transform.NewReader(in, e.NewDecoder()), 64<<10)
	}
	m := declared.FindSubmatch(head[:min(len(head), 512)])
	if m == nil {
		return in
	}
	label := strings.ToLower(string(m[1]))
	e, err := htmlindex.Get(label)
	if err != nil {
		if label != "utf8" {
			notes.add("encoding-unknown", "the declared encoding "+label+" is unknown; the file "+
				"was read as UTF-8", 1)
		}
		return in
	}
	name, _ := htmlindex.Name(e)
	switch name {
	case "utf-8":
		return in
	// without a byte order mark, and the declaration was legible: it is not true
	case "utf-16le", "utf-16be":
		notes.add("encoding-wrong", "the declared encoding "+label+" is not the encoding of the "+
			"file; the file was read as UTF-8", 1)
		return in
	}
	if utf8.Valid(trimRune(head)) && !isASCII(head) {
		notes.add("encoding-wrong", "the declared encoding "+label+" is not the encoding of the "+
			"file; the file was read as UTF-8", 1)
		return in
	}
	notes.add("encoding", "the file is in "+name, 1)
	return bufio.NewReaderSize(transform.NewReader(in, e.NewDecoder()), 64<<10)
}

// wide recognizes encodings that have more than one byte for each letter: by their byte order mark,
// else by the zeros beside the first letter, which is "<" or "{". e is nil for all others.
func wide(head []byte) (name string, e encoding.Encoding) {
	begins := func(marks ...string) bool {
		return slices.ContainsFunc(marks,
			func(m string) bool { return bytes.HasPrefix(head, []byte(m)) })
	}
	switch {
	case begins("\xff\xfe\x00\x00", "<\x00\x00\x00", "{\x00\x00\x00"):
		return "UTF-32", utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)
	case begins("\x00\x00\xfe\xff", "\x00\x00\x00<", "\x00\x00\x00{"):
		return "UTF-32", utf32.UTF32(utf32.BigEndian, utf32.UseBOM)
	case begins("\xff\xfe", "<\x00", "{\x00"):
		return "UTF-16", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case begins("\xfe\xff", "\x00<", "\x00{"):
		return "UTF-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	}
	return "", nil
}

// trimRune removes a rune that the end of head cuts.
func trimRune(head []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(head); i++ {
		if tail := head[len(head)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return head[:len(head)-i]
			}
			break
		}
	}
	return head
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cleanValue returns a value of a report as valid UTF-8 without control characters. Bytes that are
// not UTF-8 mean what they mean in Windows-1252, which is where they come from.
func cleanValue(b []byte, line int, notes *notebook) string {
	if plain(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n <= 1:
			notes.add("bad-utf8", "bytes that are not valid UTF-8 were read as Windows-1252", line)
			r, n = charmap.Windows1252.DecodeByte(b[0]), 1
			if r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) {
				out.WriteRune(r)
			}
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			notes.add("control", "control characters were removed", line)
		default:
			out.WriteRune(r)
		}
		b = b[n:]
	}
	return out.String()
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}
