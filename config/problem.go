package config

import (
	"fmt"
	"strings"
)

// Problem is one mistake or finding, and where it stands.
type Problem struct {
	File string `json:"file"`           // as it was named to Load
	Line int    `json:"line,omitempty"` // 1-based; 0 when not known
	Path string `json:"path,omitempty"` // the setting: sign[2].keys[0]
	Text string `json:"text"`
}

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

// Problems are all mistakes of a configuration, by file and line. Load and Parse return it as their error.
type Problems []Problem

// Error writes one line for each mistake.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}
