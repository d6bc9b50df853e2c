package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// typeName is what people call the type of a setting: "duration", "one of …".
func typeName(t reflect.Type, s *setting) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[netip.Prefix]():
		return "network"
	case reflect.TypeFor[netip.AddrPort]():
		return "server"
	case reflect.TypeFor[fs.FileMode]():
		return "file mode"
	}
	switch t.Kind() {
	case reflect.Slice:
		if !isScalar(t.Elem()) {
			return "list of tables"
		}
		return "list of " + plural(typeName(t.Elem(), s))
	case reflect.Map:
		return "table of lists"
	case reflect.Struct:
		return "table"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "number"
	case reflect.Float64:
		return "share"
	}
	if f, ok := forms[s.form]; ok {
		return f.name
	}
	return "text"
}

func plural(noun string) string {
	if strings.HasSuffix(noun, "s") {
		return noun + "es"
	}
	return noun + "s"
}

func withArticle(noun string) string {
	switch {
	case noun == "text":
		return noun
	case strings.ContainsRune("aeiou", rune(noun[0])):
		return "an " + noun
	}
	return "a " + noun
}

// exampleOf is a value that the setting would take, as TOML.
func exampleOf(s *setting, t reflect.Type) string {
	text := s.example
	if text == "" {
		text = s.def
	}
	if isScalar(t) && strings.HasPrefix(text, "[") { // one element of the list
		text, _, _ = strings.Cut(strings.Trim(text, "[]"), ", ")
	}
	if isScalar(t) && strings.HasPrefix(text, "{") { // one element of the first list of the table
		_, text, _ = strings.Cut(text, "[")
		text, _, _ = strings.Cut(strings.Trim(text, "[]} "), ", ")
		text = strings.TrimSuffix(text, "]")
	}
	if text == "" {
		text = map[reflect.Kind]string{reflect.Bool: "true", reflect.Int: "10",
			reflect.String: `"text"`}[t.Kind()]
	}
	return text
}

// describe describes the value in the file, for the error that another type was expected.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > 60 {
			return "a text of " + strconv.Itoa(len(v)) + " octets"
		}
		return fmt.Sprintf("the text %q", v)
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprintf("%v", v)
	case []any:
		return "a list"
	case []map[string]any:
		return "a list of tables"
	case map[string]any:
		return "a single table"
	case time.Time:
		return "a date"
	}
	return "something else"
}

func quotedList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	if n := len(quoted); n > 1 {
		return strings.Join(quoted[:n-1], ", ") + " and " + quoted[n-1]
	}
	return strings.Join(quoted, "")
}
