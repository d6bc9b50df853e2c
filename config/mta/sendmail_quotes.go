package mta

import (
	"slices"
	"strings"
)

// quoteMarks are those that stand in for m4's ` and ', with what was meant.
var quoteMarks = []struct{ typographic, meant string }{
	{"‘", "`"}, {"‛", "`"}, {"“", "`"}, {"„", "`"}, {"’", "'"}, {"”", "'"}, {"´", "'"}, {"′", "'"},
}

// plainQuotes puts m4's quotes in place of typographic ones.
func plainQuotes(text string) string {
	for _, q := range quoteMarks {
		text = strings.ReplaceAll(text, q.typographic, q.meant)
	}
	return text
}

// typographic finds lines that were pasted from where quotes are made beautiful. Comments may have
// them.
func (s *sendmail) typographic(text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		code := strings.TrimSpace(line)
		if plainQuotes(line) == line || strings.HasPrefix(code, "dnl") ||
			strings.HasPrefix(code, "#") {
			continue
		}
		s.add(say("sendmail-typographic", foreignQuotes(line)).finding(s.mcFile, n, "",
			Fix{s.requote(), s.rebuild()}))
	}
}

// requote is the command that puts m4's quotes into sendmail.mc.
func (s *sendmail) requote() Change {
	var line strings.Builder
	line.WriteString("sed -i")
	for _, q := range quoteMarks {
		meant := q.meant
		if meant == "`" {
			meant = "\\`"
		}
		line.WriteString(` -e "s/` + q.typographic + "/" + meant + `/g"`)
	}
	return command("requote", s.mcFile, line.String()+" "+s.mcFile)
}

// foreignQuotes are the typographic quotes of a line, each once.
func foreignQuotes(line string) string {
	var out []string
	for _, r := range line {
		if q := string(r); plainQuotes(q) != q && !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return strings.Join(out, " ")
}
