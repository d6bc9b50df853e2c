package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// Default returns the configuration of an empty file, for commands that need none.
func Default() *Config {
	c, err := Parse("default", nil)
	if err != nil {
		panic("config: the defaults contradict each other: " + err.Error())
	}
	return c
}

// fresh returns the defaults before anything is resolved.
func fresh() *Config {
	c := filled()
	return &c
}

var filled = sync.OnceValue(func() Config {
	var c Config
	fill("", reflect.ValueOf(&c).Elem())
	return c
})

// prototypes are the defaults of tables that come several times, by their path in the tables of
// settings.
var prototypes = sync.OnceValue(func() map[string]reflect.Value {
	return map[string]reflect.Value{
		"listen[]":              element[Listener]("listen[]"),
		"keys.NAME":             element[Key]("keys.NAME"),
		"sources.NAME":          element[Source]("sources.NAME"),
		"sign[]":                element[Rule]("sign[]"),
		"policy.override[]":     element[Override]("policy.override[]"),
		"policy.rules[]":        element[PolicyRule]("policy.rules[]"),
		"reports.web.account[]": element[WebAccount]("reports.web.account[]"),
		"reports.web.group[]":   element[WebGroup]("reports.web.group[]"),
	}
})

func element[T any](doc string) reflect.Value {
	var v T
	fill(doc, reflect.ValueOf(&v).Elem())
	return reflect.ValueOf(v)
}

// fill decodes the defaults that the tables of settings hold, by the same way as a file's settings.
func fill(doc string, to reflect.Value) {
	d := decoder{file: &file{}, seen: map[string]place{}}
	d.table(place{}, doc, defaults(doc), to)
	if len(d.problems) > 0 {
		panic(fmt.Sprintf("the tables of settings: %v", d.problems))
	}
}

// defaults gathers those of a table and of the tables in it.
func defaults(doc string) map[string]any {
	root := map[string]any{}
	for _, sec := range sections {
		rest, ok := strings.CutPrefix(sec.path, doc)
		if !ok || strings.Contains(rest, "[]") || strings.Contains(rest, "NAME") {
			continue
		}
		if !slices.ContainsFunc(sec.settings, func(s setting) bool { return s.def != "" }) {
			continue
		}
		m := root
		for name := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == '.' }) {
			if m[name] == nil {
				m[name] = map[string]any{}
			}
			m = m[name].(map[string]any)
		}
		for _, s := range sec.settings {
			if s.def != "" {
				m[s.name] = literal(s.def)
			}
		}
	}
	return root
}

// literal reads a value of the tables of settings.
func literal(text string) any {
	var m map[string]any
	if err := toml.Unmarshal([]byte("v = "+text), &m); err != nil {
		panic(fmt.Sprintf("the tables of settings: %s: %v", text, err))
	}
	return m["v"]
}
