package opendkim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"mailseal/config/tables"
)

// maxIncludes is how deep Include goes.
const maxIncludes = 5

// entry is a setting: the last one of its name.
type entry struct {
	place
	name  string // as OpenDKIM's manual writes it
	value string
}

// conf is a configuration file with all that it includes.
type conf struct {
	options map[string]option // by lower-case name
	set     map[string]entry
	unknown []entry
	again   []entry // settings that a later one of the same name replaced
}

// readConf reads a configuration as OpenDKIM does: names in any case, "#" anywhere ends a line,
// Include in place, the last of several settings holds.
func readConf(r *tables.Reader, name string, options []option) (*conf, error) {
	c := &conf{options: map[string]option{}, set: map[string]entry{}}
	for _, o := range options {
		c.options[strings.ToLower(o.name)] = o
	}
	return c, c.read(r, name, 0)
}

func (c *conf) read(r *tables.Reader, name string, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s: more than %d files included in each other", name, maxIncludes)
	}
	text, err := r.Read(name)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		at := place{File: name, Line: n}
		word, value := tables.CutBlank(uncomment(line))
		switch {
		case word == "":
			continue
		case value == "":
			return fmt.Errorf("%s: %s has no value, and OpenDKIM does not start with this file", at,
				comment(word))
		case strings.EqualFold(word, "Include"):
			if err := c.include(r, at, value, depth); err != nil {
				return err
			}
			continue
		}
		if err := c.add(at, word, value); err != nil {
			return err
		}
	}
	return nil
}

// include reads a file in place. OpenDKIM finds a relative name from where it was started: / for a
// service.
func (c *conf) include(r *tables.Reader, at place, value string, depth int) error {
	name := filepath.Join("/", value)
	err := c.read(r, name, depth+1)
	switch {
	case depth > 0 || err == nil:
		return err
	case errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(value):
		return fmt.Errorf("%s: Include %s: %w; OpenDKIM looks for it where it is started, which "+
			"is / for a service: write the whole name", at, value, err)
	}
	return fmt.Errorf("%s: Include %s: %w", at, value, err)
}

func (c *conf) add(at place, word, value string) error {
	key := strings.ToLower(word)
	o, ok := c.options[key]
	e := entry{at, o.name, value}
	if !ok {
		e.name = word
		c.unknown = append(c.unknown, e)
		return nil
	}
	switch _, isBool := parseBool(value); {
	case o.kind == boolean && !isBool:
		return fmt.Errorf("%s: %s: %q is neither yes nor no, and OpenDKIM does not start with this file",
			at, word, value)
	case o.kind == integer:
		if _, err := strconv.ParseInt(value, 0, 64); err != nil {
			return fmt.Errorf("%s: %s: %q is not a number, and OpenDKIM does not start with this file", at,
				word, value)
		}
	}
	if before, twice := c.set[key]; twice {
		c.again = append(c.again, before)
	}
	c.set[key] = e
	return nil
}

// get returns a setting.
func (c *conf) get(name string) (entry, bool) {
	e, ok := c.set[strings.ToLower(name)]
	return e, ok
}

// yes reports whether a boolean is set to true.
func (c *conf) yes(name string) (entry, bool) {
	e, ok := c.get(name)
	on, _ := parseBool(e.value)
	return e, ok && on
}

// number returns an integer as strtol reads it: 0x10 is 16, 010 is 8.
func (c *conf) number(name string) (entry, int64, bool) {
	e, ok := c.get(name)
	if !ok {
		return e, 0, false
	}
	n, err := strconv.ParseInt(e.value, 0, 64)
	return e, n, err == nil
}

// parseBool looks at the first byte only, as OpenDKIM does: "tuesday" is true.
func parseBool(s string) (value, ok bool) {
	if s == "" {
		return false, false
	}
	return strings.IndexByte("TtYy1", s[0]) >= 0, strings.IndexByte("TtYy1FfNn0", s[0]) >= 0
}

// uncomment cuts a line at "#" or CR, wherever they stand.
func uncomment(line string) string {
	if i := strings.IndexAny(line, "#\r\n"); i >= 0 {
		line = line[:i]
	}
	return line
}
