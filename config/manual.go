package config

import (
	_ "embed"
	"reflect"
	"strings"
)

// What mailseal.toml(5) has before and after the settings.
var (
	//go:embed manual/head.roff
	manualHead string
	//go:embed manual/tail.roff
	manualTail string
)

// Manual returns the manual page mailseal.toml(5), for man(7) macros.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	for _, sec := range sections {
		title := sec.header
		if title == "" {
			title = "TOP OF THE FILE"
		}
		b.WriteString(".SH \"" + roff(strings.ReplaceAll(title, `"`, `\(dq`)) + "\"\n" +
			roff(sec.doc) + "\n")
		for _, needed := range sectionNeeds(sec) {
			b.WriteString(".PP\n" + roff("All of it needs "+needed+".") + "\n")
		}
		for _, s := range sec.settings {
			manualSetting(&b, sec, s)
		}
	}
	b.WriteString(manualExpressions())
	b.WriteString(manualTail)
	return b.String()
}

func manualSetting(b *strings.Builder, sec section, s setting) {
	line := func(text string) { b.WriteString(".br\n" + roff(text) + "\n") }
	t := typeAt(dotted(sec.path, s.name))
	kind := typeName(t, &s)
	b.WriteString(".TP\n\\fB" + roff(s.name) + "\\fR (" + roff(kind) + ")\n" + roff(s.doc) + "\n")
	if values := s.choices(t); values != nil {
		line("One of " + strings.Replace(quotedList(values), " and ", " or ", 1) + ".")
	}
	short, long := s.remarks(sec)
	for _, remark := range append(short, long...) {
		line(remark)
	}
	if s.least != "" {
		line("At least: " + s.least)
	}
	if s.most != "" {
		line("At most: " + s.most)
	}
	if s.def != "" {
		line("Default: " + s.def)
	}
	if s.example != "" {
		line("Example: " + s.example)
	}
}

// roff keeps text from being taken for requests and escapes.
func roff(text string) string {
	text = strings.NewReplacer(`\(dq`, `\(dq`, `\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// typeAt returns the type that holds a setting, by its path in the tables of settings.
func typeAt(path string) reflect.Type {
	t := reflect.TypeFor[Config]()
	for name := range strings.SplitSeq(strings.ReplaceAll(path, ".NAME", ""), ".") {
		f := fieldsOf(t)[strings.TrimSuffix(name, "[]")]
		t = f.kind
		for t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct ||
			t.Kind() == reflect.Slice && strings.HasSuffix(name, "[]") {
			t = t.Elem()
			name = strings.TrimSuffix(name, "[]")
		}
	}
	return t
}
