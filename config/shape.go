package config

import (
	"fmt"
	"reflect"
	"strings"
)

// writeTable says what to write in place of a value where a table is expected: its header, and a
// setting below it. Doc is the path of the table's settings in the tables of settings.
func (d *decoder) writeTable(at place, doc string, v any) string {
	header := headerOf(at, doc)
	switch v.(type) {
	case map[string]any:
		return fmt.Sprintf("write %s, with two pairs of brackets, for each of them", header)
	case []map[string]any:
		return fmt.Sprintf("write %s, with one pair of brackets, once", header)
	}
	line := d.lineFor(doc, v)
	if strings.Contains(header, "{") {
		_, name, _ := cutLast(at.path, '.')
		return fmt.Sprintf("write %s = { %s }", name, line)
	}
	if line == "" {
		return fmt.Sprintf("write %s on a line of its own, and the settings below it", header)
	}
	return fmt.Sprintf("write %s on a line of its own, and below it %s", header, line)
}

// headerOf is the header of a table as it is written.
func headerOf(at place, doc string) string {
	isList, isNamed := strings.HasSuffix(doc, "[]"), strings.HasSuffix(doc, ".NAME")
	isAbove := strings.Count(at.path, ".") == strings.Count(doc, ".")-1 // the table of all names
	if sec := sectionAt(doc); sec != nil && (isList || isNamed && isAbove) {
		return sec.header
	}
	if strings.Contains(at.path, "[") {
		return "a table { ... }"
	}
	return "[" + at.path + "]"
}

// lineFor is a setting of a table with the value that was written in place of the table, or with an
// example; "" if the table is not known.
func (d *decoder) lineFor(doc string, v any) string {
	sec := sectionAt(doc)
	if sec == nil || len(sec.settings) == 0 {
		return ""
	}
	for i := range sec.settings {
		s := &sec.settings[i]
		t := typeAt(dotted(sec.path, s.name))
		isList := t.Kind() == reflect.Slice && !isScalar(t)
		if isList {
			t = t.Elem()
		}
		if !isScalar(t) || sec.path == "keys.NAME" && s.name != "file" {
			continue // a text may be a domain as well as the name of a key's file
		}
		if ok, err := setScalar(d.file, s, v, reflect.New(t).Elem()); ok && err == nil {
			text := asTOML(v)
			if isList {
				text = "[" + text + "]"
			}
			return s.name + " = " + text
		}
	}
	first := &sec.settings[0]
	return first.name + " = " + exampleOf(first, typeAt(dotted(sec.path, first.name)))
}

// asTOML writes a scalar as TOML.
func asTOML(v any) string {
	if text, ok := v.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(v)
}
