package dnstest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Mistake is a mistake in a zone file.
type Mistake struct {
	Line int // from 1
	Text string
}

func (m *Mistake) Error() string { return fmt.Sprintf("line %d: %s", m.Line, m.Text) }

// parserText matches the error of the DNS library's parser: its own words, what it stopped at, and
// where.
var parserText = regexp.MustCompile(`(?s)^(?:dns: )?(.*): "(.*)" at line: (\d+):\d+$`)

// mistakeIn puts an error of the parser into plain words. A quotation mark that is missing shows
// lines later, where the parser finds the next one: then it is the line without it that is named.
func mistakeIn(text string, err error) error {
	found := parserText.FindStringSubmatch(err.Error())
	if found == nil {
		return fmt.Errorf("the zone file cannot be read: %w", err)
	}
	line, _ := strconv.Atoi(found[3]) // it is a number
	if odd := oddQuotes(text, line); odd > 0 {
		return &Mistake{odd, "a quotation mark is missing"}
	}
	said := strings.TrimPrefix(found[1], "dns: ")
	near := strings.Trim(found[2], " \t\r\n")
	switch {
	case strings.HasPrefix(said, "unknown RR type"):
		return &Mistake{line, fmt.Sprintf("%q is not a type of DNS records", near)}
	case strings.HasPrefix(said, "not a TTL"):
		return &Mistake{line, fmt.Sprintf("%q is neither a TTL, a class nor a type of records", near)}
	}
	if kind, ok := strings.CutPrefix(said, "bad "); ok {
		kind, _, _ = strings.Cut(kind, " ")
		said = "the " + kind + " record is not valid"
		if kind == "owner" {
			said = "the name is not valid"
		}
	}
	if near != "" {
		said += fmt.Sprintf(" near %q", near)
	}
	return &Mistake{line, said}
}

// oddQuotes returns the first line up to one of a number in which a quotation mark has no other, 0
// if there is none.
func oddQuotes(text string, last int) int {
	number := 0
	for line := range strings.Lines(text) {
		if number++; number > last {
			break
		}
		if quotes(line)%2 != 0 {
			return number
		}
	}
	return 0
}

// quotes counts the quotation marks of a line before a comment.
func quotes(line string) int {
	n := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			n++
		case ';':
			if n%2 == 0 {
				return n
			}
		}
	}
	return n
}
