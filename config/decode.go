package config

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"mailseal/milter/action"
)

// decoder fills a Config from what the TOML library read, and notes every mistake on its way. The
// library's own decoder stops at the first.
type decoder struct {
	file       *file
	prototypes map[string]reflect.Value
	seen       map[string]place // settings that stand in a file read before, or in this one
	problems   Problems
	guess      guesser
	differing  []changedSetting // those with requirements that are not as they are by default
}

func (d *decoder) problem(at place, format string, args ...any) {
	d.problems = append(d.problems, at.problem(fmt.Sprintf(format, args...)))
}

// field is a setting's place in a struct.
type field struct {
	index []int
	kind  reflect.Type
}

// fields maps the names of settings to the fields of a struct; those of an embedded struct are its
// own.
func fields(t reflect.Type) map[string]field {
	out := map[string]field{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("toml"); name != "" && name != "-" {
			out[name] = field{f.Index, f.Type}
		}
	}
	return out
}

var fieldsOf = func() func(reflect.Type) map[string]field {
	known := map[reflect.Type]map[string]field{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Map, reflect.Slice:
			walk(t.Elem())
		case reflect.Struct:
			if known[t] == nil && isTable(t) {
				known[t] = fields(t)
				for _, f := range reflect.VisibleFields(t) {
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return func(t reflect.Type) map[string]field { return known[t] }
}()

// isTable reports whether a struct is a table of the file, and not a single value such as a
// network.
func isTable(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[Config]().PkgPath() ||
		t.PkgPath() == reflect.TypeFor[action.Action]().PkgPath()
}

// table fills a struct. Doc is the path in the tables of settings: at without indexes and names.
func (d *decoder) table(at place, doc string, m map[string]any, to reflect.Value) {
	known := fieldsOf(to.Type())
	for name, v := range m {
		f, ok := known[name]
		if !ok {
			d.unknown(at.key(name), doc, name, maps.Keys(known))
			continue
		}
		d.value(at.key(name), dotted(doc, name), v, to.FieldByIndex(f.index))
	}
	if p, ok := to.Addr().Interface().(interface{ put(place, map[string]bool) }); ok {
		given := make(map[string]bool, len(m))
		for name := range m {
			given[name] = true
		}
		p.put(at, given)
	}
}

// otherNames are names that people expect of settings, by table.
var otherNames = map[string]map[string]string{
	"sources.NAME": {"type": "driver", "engine": "driver", "query": "key_query",
		"sql": "key_query", "database": "dsn", "connection": "dsn", "directory": "key_dir"},
	"listen[]":       {"socket": "address", "port": "address", "path": "address", "owner": "user"},
	"sign[]":         {"key": "keys", "domains": "from", "authors": "from", "senders": "from"},
	"policy.rules[]": {"if": "when", "condition": "when", "reply": "text", "message": "text"},
	"reports":        {"dsn": "store", "database": "store"},
}

// unknown names the nearest setting of the table or, failing that, another table that has one of
// this name.
func (d *decoder) unknown(at place, doc, name string, known iter.Seq[string]) {
	hint := ""
	if other := otherNames[doc][name]; other != "" {
		hint = didYouMean(other)
	} else {
		hint = d.guess.nearest(name, known)
	}
	if hint == "" {
		for _, sec := range sections {
			if sec.path != doc && slices.ContainsFunc(sec.settings,
				func(s setting) bool { return s.name == name }) {
				hint = "; " + moveTo(sec)
				break
			}
		}
	}
	d.problem(at, "unknown setting%s", hint)
}

// moveTo says where a setting belongs.
func moveTo(s section) string {
	if s.header == "" {
		return "move it above the first [header]: it belongs at the top of the file"
	}
	return "it is a setting of " + s.header + ": move it below that header"
}

// value fills one setting.
func (d *decoder) value(at place, doc string, v any, to reflect.Value) {
	if len(requirementsOf(doc)) > 0 {
		before := reflect.New(to.Type()).Elem()
		before.Set(to)
		defer func() {
			if !reflect.DeepEqual(before.Interface(), to.Interface()) {
				d.differing = append(d.differing, changedSetting{at, doc})
			}
		}()
	}
	d.decode(at, doc, v, to)
}

// decode fills a setting, or an entry of one.
func (d *decoder) decode(at place, doc string, v any, to reflect.Value) {
	switch {
	case isScalar(to.Type()):
		if d.first(at, doc) {
			d.scalar(at, doc, v, to)
		}
	case to.Kind() == reflect.Struct:
		if m, ok := d.asTable(at, doc, v); ok && !d.refusedEmpty(at, doc, len(m)) {
			d.table(at, doc, m, to)
		}
	case to.Kind() == reflect.Map:
		if m, ok := d.asTable(at, doc+".NAME", v); ok && (isTable(to.Type().Elem()) ||
			!d.refused(at, doc, len(m))) {
			d.named(at, doc, m, to)
		}
	case to.Type().Elem().Kind() == reflect.Struct && !isScalar(to.Type().Elem()):
		d.tables(at, doc, v, to)
	default:
		if d.first(at, doc) {
			d.list(at, doc, v, to)
		}
	}
}

// first reports whether no other file has the setting.
func (d *decoder) first(at place, doc string) bool {
	// those have been told apart already
	if strings.Contains(doc, "[]") || strings.Contains(doc, ".NAME") {
		return true
	}
	if before, ok := d.seen[at.path]; ok {
		d.problem(at, "is already set in %s, line %d", before.file.name, before.file.line(at.path))
		return false
	}
	d.seen[at.path] = at
	return true
}

func (d *decoder) asTable(at place, doc string, v any) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		d.problem(at, "expected a table, got %s; %s", describe(v), d.writeTable(at, doc, v))
	}
	return m, ok
}

// named fills a map: a table of tables, or of lists.
func (d *decoder) named(at place, doc string, m map[string]any, to reflect.Value) {
	if to.IsNil() {
		to.Set(reflect.MakeMapWithSize(to.Type(), len(m)))
	}
	isTable := to.Type().Elem().Kind() == reflect.Struct
	fill := d.decode
	if isTable {
		fill = d.value
	}
	for name, v := range m {
		entry, elementDoc := at.key(name), doc
		if name == "" {
			d.problem(at, "has an entry with an empty name")
			continue
		}
		if isTable {
			elementDoc = doc + ".NAME"
			if before, ok := d.seen[entry.path]; ok {
				d.problem(entry, "is already in %s, line %d", before.file.name,
					before.file.line(entry.path))
				continue
			}
			d.seen[entry.path] = entry
		}
		element := reflect.New(to.Type().Elem()).Elem()
		if isTable {
			element.Set(d.prototypes[elementDoc])
		}
		fill(entry, elementDoc, v, element)
		to.SetMapIndex(reflect.ValueOf(name), element)
	}
}

// tables appends to a list of tables, [[sign]].
func (d *decoder) tables(at place, doc string, v any, to reflect.Value) {
	var list []any
	switch v := v.(type) {
	case []map[string]any:
		for _, m := range v {
			list = append(list, m)
		}
	case []any:
		list = v
	default:
		d.problem(at, "expected one table or more, got %s; %s", describe(v),
			d.writeTable(at, doc+"[]", v))
		return
	}
	if d.refusedEmpty(at, doc+"[]", len(list)) {
		return
	}
	for i, v := range list {
		if m, ok := d.asTable(at.index(i), doc+"[]", v); ok {
			element := reflect.New(to.Type().Elem()).Elem()
			element.Set(d.prototypes[doc+"[]"])
			d.table(at.index(i), doc+"[]", m, element)
			to.Set(reflect.Append(to, element))
		}
	}
}

// list fills a list of scalars; a single value is a list of one.
func (d *decoder) list(at place, doc string, v any, to reflect.Value) {
	values, ok := v.([]any)
	if !ok {
		if _, tables := v.([]map[string]any); tables {
			d.scalar(at, doc, v, reflect.New(to.Type().Elem()).Elem())
			return
		}
		element := reflect.New(to.Type().Elem()).Elem()
		d.scalar(at, doc, v, element)
		to.Set(reflect.Append(reflect.MakeSlice(to.Type(), 0, 1), element))
		return
	}
	if d.refusedEmpty(at, doc, len(values)) {
		return
	}
	out := reflect.MakeSlice(to.Type(), len(values), len(values))
	for i, v := range values {
		d.scalar(at.index(i), doc, v, out.Index(i))
	}
	to.Set(out)
}
