package miltertest

import (
	"bytes"
	"strings"
)

// Message is a message as an SMTP client passes it to the MTA.
type Message struct {
	From     string   // MAIL FROM without angle brackets; "" is the null sender
	FromArgs []string // its ESMTP arguments: "SIZE=1000"
	To       []string // RCPT TO without angle brackets
	ToArgs   []string // the ESMTP arguments of each
	Auth     string   // the login, "" for none
	Queue    string   // the queue id; made up when ""
	Raw      []byte   // header, empty line, body; line ends LF or CRLF
}

// field is one header field as the MTA keeps it: the value is all that follows the colon, with LF
// line ends.
type field struct{ name, value string }

// split reads a message: its header fields, and its body with CRLF line ends. White space before a
// colon is dropped, as both MTAs do. A line that cannot be in a header begins the body. What
// follows a NUL in a line of the header is lost, as with Postfix; Sendmail refuses such a message
// before any milter sees it.
func split(raw []byte) (fields []field, body []byte) {
	var value strings.Builder // of the last field: a header may be folded a hundred thousand times
	end := func() {
		if len(fields) > 0 {
			fields[len(fields)-1].value = value.String()
		}
	}
	defer end()
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		text := string(bytes.TrimSuffix(line, []byte{'\r'}))
		if text == "" {
			return fields, crlf(rest)
		}
		if folded := text[0] == ' ' || text[0] == '\t'; folded && len(fields) > 0 {
			value.WriteByte('\n')
			value.WriteString(untilNUL(text))
			raw = rest
			continue
		}
		name, first, ok := strings.Cut(text, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || name == "" || strings.ContainsFunc(name, notInName) {
			return fields, crlf(raw)
		}
		end()
		value.Reset()
		value.WriteString(untilNUL(first))
		fields = append(fields, field{name: name})
		raw = rest
	}
	return fields, nil
}

func untilNUL(s string) string {
	before, _, _ := strings.Cut(s, "\x00")
	return before
}

// notInName reports whether a field's name cannot have a character: only printable ASCII without
// space can be in it, to both MTAs.
func notInName(c rune) bool { return c <= ' ' || c > '~' }

// crlf returns b with CRLF at the end of every line, the last one included.
func crlf(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	out := make([]byte, 0, len(b)+len(b)/32+2)
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		out = append(out, bytes.TrimSuffix(line, []byte{'\r'})...)
		out = append(out, '\r', '\n')
		b = rest
	}
	return out
}
