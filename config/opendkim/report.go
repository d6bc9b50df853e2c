package opendkim

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// Group is the outcome of importing a setting of the old configuration.
type Group = tables.Group

// The groups, in the order of the report.
const (
	Todo    = tables.Todo // before the switch
	Taken   = tables.Taken
	Changed = tables.Changed
	Never   = tables.Never
	Dropped = tables.Dropped
)

var groups = []Group{Todo, Taken, Changed, Never, Dropped}

// Note is one line of the report.
type Note struct {
	Code   tables.Code `json:"code,omitempty"`
	Group  Group       `json:"group"`
	Option string      `json:"option,omitempty"` // as OpenDKIM calls it
	File   string      `json:"file,omitempty"`
	Line   int         `json:"line,omitempty"` // 1-based; 0 if it has no line
	Text   string      `json:"text"`

	key string // the code with what the text names
}

// kind is what notes of other lines that say the same have in common; "" for none.
func (n Note) kind() string {
	if n.Code == "" {
		return ""
	}
	return n.Option + " " + string(n.Code)
}

// String writes "FILE:LINE: Option: text".
func (n Note) String() string {
	s := n.Text
	if n.Option != "" {
		s = n.Option + ": " + s
	}
	if n.File != "" {
		s = place{File: n.File, Line: n.Line}.String() + ": " + s
	}
	return s
}

// Report is the result of an import.
type Report struct {
	TOML  string `json:"-"`     // the configuration, as config.Parse takes it
	Notes []Note `json:"notes"` // by group, and in it by file and line
}

// Print writes the report for people: the totals, then one group after another. It names
// only a few of many lines that share the same note.
func (r *Report) Print(w io.Writer) error {
	b := bufio.NewWriter(w)
	var counts []string
	for _, g := range groups {
		if n := len(r.of(g)); n > 0 {
			counts = append(counts, fmt.Sprintf("%s: %d", g, n))
		}
	}
	fmt.Fprintf(b, "In all: %s.\n", strings.Join(counts, ", "))
	for _, g := range groups {
		if notes := r.of(g); len(notes) > 0 {
			fmt.Fprintf(b, "\n%s:\n", title(g))
			printGroup(b, notes)
		}
	}
	return b.Flush()
}

// The brief report fits a screen, as far as what is to be done does.
const (
	width  = 100 // of a line other than one of what is to be done
	height = 24  // lines
)

// Brief writes the report on one screen: first what to do, then what is special about these files,
// then a line for each change that every import makes. Settings that did not change, and what an
// earlier line already says, are only in Print.
func (r *Report) Brief(w io.Writer) error {
	isOwn := func(n Note) bool { return n.Group == Todo || n.File != "" }
	s := screen{last: "Taken over as it was: " + r.taken() + " (--verbose prints all)"}
	for _, g := range []Group{Todo, Changed, Never, Dropped} {
		notes := slices.DeleteFunc(r.of(g),
			func(n Note) bool { return !isOwn(n) || g == Dropped && r.isToDo(n) })
		s.section(section{head: title(g), lines: grouped(merged(notes)), isNeeded: g == Todo,
			isOwn: true})
	}
	var general []string
	for _, n := range r.Notes {
		if !isOwn(n) && n.Group != Taken {
			general = append(general, n.String())
		}
	}
	s.section(section{head: "As with every import", lines: general})
	return s.write(w)
}

// screen is a brief report.
type screen struct {
	sections []section
	last     string // line
}

// section is lines under a head. Unless all of them are needed, those that the screen has no room
// for are counted.
type section struct {
	head     string
	lines    []string
	isNeeded bool
	isOwn    bool // they are particular to these files
}

func (s *screen) section(x section) {
	if len(x.lines) > 0 {
		s.sections = append(s.sections, x)
	}
}

// write writes the sections. What is particular to these files is cut to its first clause only
// where the screen would not hold all of it.
func (s *screen) write(w io.Writer) error {
	out := s.layout(false)
	if rowsOfAll(out) > height {
		out = s.layout(true)
	}
	_, err := fmt.Fprintf(w, "%s\n", strings.Join(out, "\n"))
	return err
}

// rowsOf is how many rows of a screen a line takes.
func rowsOf(line string) int { return 1 + (len(line)-1)/(width+len("  ")) }

func rowsOfAll(lines []string) int {
	rows := 0
	for _, line := range lines {
		rows += rowsOf(line)
	}
	return rows
}

// layout puts the sections one below the other, and leaves at least one line for each of those to
// come.
func (s *screen) layout(isShort bool) []string {
	var out []string
	for i, x := range s.sections {
		later := len(s.sections) - i - 1
		out = append(out, x.fit(height-1-rowsOfAll(out)-later, isShort)...)
	}
	return append(out, s.last)
}

// fit returns the section in so many lines, if that is possible.
func (x section) fit(room int, isShort bool) []string {
	if !x.isNeeded && room < 3 {
		return []string{fmt.Sprintf("%s: %s, which --verbose prints", x.head,
			count(len(x.lines), "line"))}
	}
	out := []string{x.head + ":"}
	for i, line := range x.lines {
		if !x.isOwn || isShort && !x.isNeeded {
			line = shortened(line)
		}
		rest, rows := len(x.lines)-i, rowsOfAll(out)+rowsOf("  "+line)
		if !x.isNeeded && (rest > 1 && rows >= room || rows > room) {
			return append(out, fmt.Sprintf("  and %d more, which --verbose prints", rest))
		}
		out = append(out, "  "+line)
	}
	return out
}

// isToDo reports whether the setting of a note is among what is still to do.
func (r *Report) isToDo(n Note) bool {
	return slices.ContainsFunc(r.of(Todo), func(o Note) bool {
		return o.Option == n.Option && o.File == n.File && o.Line == n.Line
	})
}

// merged makes one note of those whose options are all that differs: of one file, with the same
// text. The line is the first one's.
func merged(notes []Note) []Note {
	var out []Note
	for _, n := range notes {
		i := slices.IndexFunc(out, func(o Note) bool {
			return o.Option != "" && o.File == n.File && o.Text == n.Text
		})
		if i < 0 || n.Option == "" {
			out = append(out, n)
			continue
		}
		if !slices.Contains(strings.Split(out[i].Option, ", "), n.Option) {
			out[i].Option += ", " + n.Option
		}
	}
	return out
}

// taken names the settings that were taken over, each once, as many as fit a line.
func (r *Report) taken() string {
	var names []string
	for _, n := range r.of(Taken) {
		if n.File != "" && n.Option != "" && !slices.Contains(names, n.Option) {
			names = append(names, n.Option)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	for some := len(names); ; some-- {
		text := strings.Join(names[:some], ", ")
		if some < len(names) {
			text += fmt.Sprintf(" and %d more", len(names)-some)
		}
		if len(text) <= width/2 || some == 1 {
			return text
		}
	}
}

// shortened is the first clause of a text: all of it, since its point may be at its end.
func shortened(text string) string {
	text, _, _ = strings.Cut(text, "; ")
	return text
}

// of returns the notes of a group.
func (r *Report) of(g Group) []Note {
	return slices.DeleteFunc(slices.Clone(r.Notes), func(n Note) bool { return n.Group != g })
}

// alike is how many notes that say the same of other lines are printed.
const alike = 3

func printGroup(w io.Writer, notes []Note) {
	for _, line := range grouped(notes) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// grouped are notes as lines. Of many that say the same of other lines a few are named.
func grouped(notes []Note) []string {
	var out []string
	all, shown := map[string]int{}, map[string]int{}
	for _, n := range notes {
		all[n.kind()]++
	}
	for _, n := range notes {
		shown[n.kind()]++
		switch more := all[n.kind()] - alike; {
		case n.kind() == "" || more <= 1 || shown[n.kind()] <= alike:
			out = append(out, n.String())
		case shown[n.kind()] == alike+1:
			out = append(out, fmt.Sprintf("and %d more lines like these (--json lists all)", more))
		}
	}
	return out
}

// Add puts notes of the caller's into the report.
func (r *Report) Add(notes ...Note) {
	r.Notes = append(r.Notes, notes...)
	r.sort()
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func title(g Group) string { return string(g[0]-'a'+'A') + string(g[1:]) }

func (r *Report) sort() {
	slices.SortStableFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	r.Notes = slices.Compact(r.Notes)
}

// note adds a note about an option that a file sets.
func (im *importer) note(c tables.Code, e entry, args ...any) {
	im.noteAt(c, e.place, e.name, args...)
}

// noteAt adds a note about a line of a table.
func (im *importer) noteAt(c tables.Code, at place, option string, args ...any) {
	n := noteOf(c)
	im.report.Notes = append(im.report.Notes, Note{
		Code:   c,
		Group:  n.Group,
		Option: option,
		File:   at.File,
		Line:   at.Line,
		Text:   fmt.Sprintf(n.Text, args...),
		key:    tables.NoteKey(c, args...),
	})
}

// unset adds a note about an option that is not set.
func (im *importer) unset(c tables.Code, option string, args ...any) {
	im.noteAt(c, place{}, option, args...)
}
