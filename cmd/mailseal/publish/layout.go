package publish

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Columns returns the width of the terminal that w is, at least 40; 0 for a file, a pipe or a
// buffer, where nothing is broken into lines.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 0
	}
	return max(int(size.Col), 40)
}

// Layout returns the record as a zone file has it, in lines of at most width columns where its
// words allow that. A line that is too long becomes several, in parentheses, of one string each
// (RFC 1035 section 5.1): the strings of a TXT record are joined again by the reader. Width 0 is
// one line.
func (r Record) Layout(width int) []string {
	line := r.Zone()
	if width == 0 || len(line) <= width || r.Kind() != "TXT" || r.Text == "" {
		return []string{line}
	}
	const indent = "    "
	room := max(width-len(indent)-len(`"" )`), 16)
	head := strings.TrimSuffix(line, r.Quoted())
	out := []string{head + "("}
	for _, part := range pieces(r.Text, room) {
		out = append(out, indent+part)
	}
	out[len(out)-1] += " )"
	return out
}

// pieces splits a value into quoted strings of at most most bytes, between words where it can.
func pieces(text string, most int) []string {
	var out []string
	for len(text) > 0 {
		n := longest(text, min(most, maxString))
		if n < len(text) {
			n = Break(text[:n])
		}
		out = append(out, quote(text[:n]))
		text = text[n:]
	}
	return out
}

// Break returns how many bytes of a line that is too long to keep on it: up to a blank, else up to
// a semicolon or a comma, where there is one in its second half, else all.
func Break(line string) int {
	for _, separators := range []string{" ", ";,"} {
		if at := strings.LastIndexAny(line, separators); at > len(line)/2 {
			return at + 1
		}
	}
	return len(line)
}

// longest returns how many bytes of a text, at least 1, are at most most bytes when they are
// quoted.
func longest(text string, most int) int {
	n := min(len(text), most)
	for n > 1 && len(quote(text[:n]))-2 > most {
		n--
	}
	return n
}

// QuotedLayout returns the value in strings, in lines of at most width columns where its words
// allow that. Width 0 is one line.
func (r Record) QuotedLayout(width int) []string {
	if line := r.Quoted(); width == 0 || len(line) <= width || r.Kind() != "TXT" {
		return []string{line}
	}
	return pieces(r.Text, max(width-len(`""`), 16))
}

// Wrapped breaks each line of a text between words, so that none is wider than width columns. The
// lines that follow are indented by two columns more than the first. Width 0 breaks nothing.
func Wrapped(text string, width int) string {
	if width == 0 {
		return text
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, wrapLine(line, width))
	}
	return strings.Join(out, "\n")
}

// Note wraps the lines of a note as Wrapped does, except those that begin with a blank:
// they contain records and settings, which users copy.
func Note(text string, width int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" && line[0] != ' ' {
			lines[i] = Wrapped(line, width)
		}
	}
	return strings.Join(lines, "\n")
}

func wrapLine(line string, width int) string {
	if len(line) <= width {
		return line
	}
	bare := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(bare)]
	var b strings.Builder
	b.WriteString(indent)
	column := len(indent)
	for i, word := range strings.Fields(bare) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + indent + "  ")
			column = len(indent) + 2
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// Visible replaces each byte that would move a terminal's cursor, or that is not ASCII.
func Visible(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
