package domains

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/publish"
)

// plainColumns is how wide text is in a file or a pipe.
const plainColumns = 78

// screen writes a result for people. A terminal's width is kept; in a file or a pipe each record to
// publish is one line.
type screen struct {
	strings.Builder
	width     int // of the terminal, in columns; 0 for a file or a pipe
	columns   int // that text may have
	published map[publish.Record]bool
	shown     map[string]bool // records that were printed whole
}

func newScreen(w io.Writer) *screen { return screenOf(publish.Columns(w)) }

// screenOf is a screen of width columns, 0 for a file or a pipe.
func screenOf(width int) *screen {
	s := &screen{
		width: width, columns: plainColumns, published: map[publish.Record]bool{}, shown: map[string]bool{},
	}
	if width > 0 {
		s.columns = min(width, 120) - 1
	}
	return s
}

// Write prints a result for people: the verdict first, then every finding with the place in the
// record and the record to publish, then what SPF allows.
func (r Result) Write(w io.Writer) error {
	s := newScreen(w)
	if err := s.result(r); err != nil {
		return err
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *screen) result(r Result) error {
	s.WriteString(s.wrapped(fmt.Sprintf("%s: %s", shownName(r.Domain), r.verdict()), "", "  "))
	if err := s.findings(r); err != nil {
		return err
	}
	if r.SPF != nil && r.SPF.Root != nil {
		s.WriteString("\nWhat SPF says:\n")
		for line := range strings.Lines(r.SPF.Words()) {
			indent := "  " + line[:len(line)-len(strings.TrimLeft(line, " "))]
			s.WriteString(s.wrapped(line, indent, indent+"  "))
		}
	}
	fmt.Fprintf(s, "DMARC asks for: %s\nDNS lookups: %d\n", cmp.Or(r.Policy, "nothing"), r.Queries)
	return nil
}

// findings prints every finding with the place and the record to publish, each record once.
func (s *screen) findings(r Result) error {
	for _, f := range r.Findings {
		s.WriteString("\n" + s.wrapped(fmt.Sprintf("%s %s [%s]", f.Severity, f.Setting, f.Code), "",
			"  "))
		s.WriteString(s.wrapped(visible(f.Text), "  ", "  ") + s.wrapped(f.Why, "  ", "  "))
		s.seen(f)
		for _, p := range f.Publish {
			if s.published[p] {
				s.WriteString("    record to publish: see above\n")
				continue
			}
			s.published[p] = true
			if err := p.Write(s, "    ", s.width); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen prints the record, with a line below the place that marks it. A record that was printed
// whole before is printed again only where the mark is.
func (s *screen) seen(f Finding) {
	if f.Seen == "" {
		return
	}
	isKnown := s.shown[f.Setting+" "+f.Seen]
	s.shown[f.Setting+" "+f.Seen] = true
	const indent = "    "
	for from := 0; from < len(f.Seen); {
		to := from + chunk(f.Seen[from:], s.columns-len(indent)-len("......"))
		start, end := max(f.Start, from), min(f.End, to)
		isMarked := start < end
		before, behind := "", ""
		if isKnown && from > 0 {
			before = "..."
		}
		if isKnown && to < len(f.Seen) {
			behind = "..."
		}
		if isMarked || !isKnown || f.End == 0 && from == 0 {
			part := strings.TrimRight(visible(f.Seen[from:to]), " ")
			fmt.Fprintf(s, "%s%s%s%s\n", indent, before, part, behind)
		}
		if isMarked {
			gap := strings.Repeat(" ", len(before)+start-from)
			fmt.Fprintf(s, "%s%s%s\n", indent, gap, strings.Repeat("^", end-start))
		}
		from = to
	}
}

// chunk returns how many bytes of a text a line of room columns holds.
func chunk(text string, room int) int {
	if len(text) <= room {
		return len(text)
	}
	return publish.Break(text[:room])
}

// wrapped breaks a text between words into lines, the first behind one indent and the others behind
// another.
func (s *screen) wrapped(text, first, others string) string {
	var b strings.Builder
	line, indent := first, first
	for _, word := range strings.Fields(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > s.columns {
			b.WriteString(line + "\n")
			line, indent = others, others
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
