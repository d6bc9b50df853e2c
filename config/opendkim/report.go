package opendkim

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Group says what became of something that the old configuration said.
type Group string

// The groups, in the order of the report.
const (
	Taken   Group = "taken over"                      // it works as it did
	Changed Group = "changed on purpose"              // Mailseal does it otherwise, and why
	Never   Group = "never worked in OpenDKIM either" // it looked as if it did something
	Dropped Group = "dropped"                         // and why
)

var groups = []Group{Taken, Changed, Never, Dropped}

// Note is one line of the report.
type Note struct {
	Group  Group  `json:"group"`
	Option string `json:"option,omitempty"` // as OpenDKIM calls it
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"` // 1-based; 0 when it stands nowhere
	Text   string `json:"text"`
}

// String writes "FILE:LINE: Option: text".
func (n Note) String() string {
	s := n.Text
	if n.Option != "" {
		s = n.Option + ": " + s
	}
	if n.File != "" {
		s = place{n.File, n.Line}.String() + ": " + s
	}
	return s
}

// Report is what an import found.
type Report struct {
	TOML  string `json:"-"`     // the configuration, as config.Parse takes it
	Notes []Note `json:"notes"` // by group, and in it by file and line
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	b := bufio.NewWriter(w)
	first := true
	for _, g := range groups {
		head := false
		for _, n := range r.Notes {
			if n.Group != g {
				continue
			}
			if !head {
				if !first {
					fmt.Fprintln(b)
				}
				head, first = true, false
				fmt.Fprintf(b, "%s:\n", title(g))
			}
			fmt.Fprintf(b, "  %s\n", n)
		}
	}
	return b.Flush()
}

func title(g Group) string { return string(g[0]-'a'+'A') + string(g[1:]) }

func (r *Report) sort() {
	slices.SortStableFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	r.Notes = slices.Compact(r.Notes)
}

// note says something about an option that a file sets.
func (im *importer) note(g Group, e entry, format string, args ...any) {
	im.noteAt(g, e.place, e.name, format, args...)
}

// noteAt says something about a line of a table.
func (im *importer) noteAt(g Group, at place, option, format string, args ...any) {
	im.report.Notes = append(im.report.Notes, Note{g, option, at.file, at.line, fmt.Sprintf(format, args...)})
}

// unset says something about an option that is not set.
func (im *importer) unset(g Group, option, format string, args ...any) {
	im.noteAt(g, place{}, option, format, args...)
}
