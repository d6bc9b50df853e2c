package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake or finding, with its place.
type Problem struct {
	File string `json:"file"`           // as it was named to Load
	Line int    `json:"line,omitempty"` // 1-based; 0 when not known
	Path string `json:"path,omitempty"` // the setting: sign[2].keys[0]
	Text string `json:"text"`

	order  int  // of the file
	unread bool // of a file that could not be read
}

// IsUnread reports whether the problem is that the file named to Load could not be read, or that
// this user may not read another one, so that nothing is known about what is in it.
func (p Problem) IsUnread() bool { return p.unread }

// ErrUnread is joined with the Problems in Load's error if the configuration file could not
// be read, or if this user lacks permission for a file that it names. A file that it names
// and that does not exist is a Problem only.
var ErrUnread = errors.New("the file could not be read")

// Error writes "mailseal.toml:12: sign[2].keys[0]: text".
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all mistakes of a configuration, by file and line. Load and Parse return it as their
// error.
type Problems []Problem

// Error writes one line for each mistake.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Is implements errors.Is for ErrUnread.
func (ps Problems) Is(target error) bool {
	return target == ErrUnread && slices.ContainsFunc(ps, func(p Problem) bool { return p.unread })
}

func (ps Problems) sort() {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
}
