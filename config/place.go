package config

import (
	"mailseal/keys"
	"strings"
	"sync"
)

// file is one of the configuration's files.
type file struct {
	name  string
	dir   string // the directory that relative paths in it start from
	data  []byte
	order int // files are listed in the order in which they were read
	lines func() map[string]int
}

func newFile(name, dir string, data []byte, order int) *file {
	f := &file{name: name, dir: dir, data: data, order: order}
	f.lines = sync.OnceValue(func() map[string]int { return lines(f.data) })
	return f
}

// line returns the line of a setting or, if its line is not known, of the nearest table or
// list around it.
func (f *file) line(path string) int {
	for path != "" {
		if n, ok := f.lines()[path]; ok {
			return n
		}
		path = parentPath(path)
	}
	return 0
}

// leadingLines is 1 for a setting at a line whose text begins on the next one, behind three quotes,
// else 0.
func (f *file) leadingLines(line int) int {
	all := strings.Split(string(f.data), "\n")
	if line > len(all) {
		return 0
	}
	text := strings.TrimSpace(all[line-1])
	if strings.HasSuffix(text, `'''`) && strings.Count(text, `'''`) == 1 ||
		strings.HasSuffix(text, `"""`) && strings.Count(text, `"""`) == 1 {
		return 1
	}
	return 0
}

// parentPath cuts the last key or index off. A quoted key has no more than its opening quote to be
// found by.
func parentPath(path string) string {
	switch {
	case strings.HasSuffix(path, "]"):
		return path[:max(0, strings.LastIndexByte(path, '['))]
	case strings.HasSuffix(path, `"`):
		return strings.TrimSuffix(path[:max(0, strings.LastIndex(path[:len(path)-1], `."`))], ".")
	}
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

// place is the position of a setting or table.
type place struct {
	file *file
	path string // sign[2]
}

func (p place) key(name string) place { return place{p.file, joinPath(p.path, name)} }
func (p place) index(i int) place     { return place{p.file, indexPath(p.path, i)} }

func (p place) problem(text string) Problem {
	out := Problem{Path: p.path, Text: keys.Plain(keys.Mask(text))}
	if p.file != nil {
		out.File, out.Line, out.order = p.file.name, p.file.line(p.path), p.file.order
	}
	return out
}

// placed is what a table that comes several times remembers of where it stood.
type placed struct {
	at    place
	given map[string]bool // the settings that it has itself
	whole bool            // at is a setting, and not a table that has any
}

func (p *placed) put(at place, given map[string]bool) { p.at, p.given = at, given }

// Problem returns a mistake at a setting of this table, for those who find it only when they build
// the daemon: a key file that cannot be read, a socket that cannot be opened. Setting is its name,
// "" for the table as a whole.
func (p placed) Problem(setting, text string) Problem {
	at := p.at
	if setting != "" && !p.whole {
		at.path += "." + setting
	}
	return at.problem(text)
}

// setPlace records the position of a table that was not read from TOML: path is the setting
// that names the file.
func (p *placed) setPlace(name string, line int, path string) {
	p.whole = true
	p.at = place{&file{name: name,
		lines: func() map[string]int { return map[string]int{path: line} }}, path}
}

// Problem returns a mistake at a setting that comes once, such as "metrics.address", for those who
// find it only when they build the daemon.
func (c *Config) Problem(setting, text string) Problem {
	if c.origin == nil {
		return place{path: setting}.problem(text)
	}
	if at, ok := c.origin.places[setting]; ok {
		return at.problem(text)
	}
	return place{c.origin.main, setting}.problem(text)
}

// IsSet reports whether a setting that comes once is in a file.
func (c *Config) IsSet(setting string) bool {
	if c.origin == nil {
		return false
	}
	_, isSet := c.origin.places[setting]
	return isSet
}
