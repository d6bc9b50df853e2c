package config

import (
	"fmt"
	"log/slog"
	"mailseal/keys"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// SecretFile is the path of a file whose content must not be shown.
type SecretFile string

// URL is a web address, which may hold a password or a token: every way of printing it hides them.
// string(u) is the text.
type URL string

// String hides what is secret in the address.
func (u URL) String() string { return keys.Mask(string(u)) }

// Format hides it from every verb of fmt.
func (u URL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.String())) }

// LogValue hides it from logs.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides it from encoders.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Exposed is a file that holds a secret, and the setting because of which it does: the secret
// itself, or its path.
type Exposed struct {
	File  string
	Place Problem // without a text
}

// secret is implemented by the types of settings that hold a secret, or name its file.
type secret interface {
	secretIn() (file string, isHere bool)
}

func (s Secret) secretIn() (string, bool)     { return "", s != "" }
func (f SecretFile) secretIn() (string, bool) { return string(f), false }

func (u URL) secretIn() (string, bool) {
	parsed, err := url.Parse(string(u))
	return "", u != "" && (err != nil || parsed.User != nil || parsed.RawQuery != "")
}

// Secrets returns the files that hold secrets, each once, by the types of the settings: where it is
// a private key, a DSN or an address with a password, the configuration's own file; where it is a
// path, that file.
func (c *Config) Secrets() []Exposed {
	w := secretWalk{seen: map[string]bool{}}
	if c.origin != nil {
		w.places = c.origin.places
	}
	w.walk("", placed{}, reflect.ValueOf(c).Elem())
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) { // a database in a file holds keys
		s := c.Sources[name]
		w.add(s.DatabaseFile(), s.Problem("dsn", ""))
	}
	if at := c.Problem("reports.store", ""); holdsPassword(c.Reports.Store) {
		w.add(at.File, at)
	}
	return w.found
}

// place makes tables that know where they stand tell.
func (p placed) place() placed { return p }

// secretWalk gathers secrets from a configuration.
type secretWalk struct {
	places map[string]place
	seen   map[string]bool
	found  []Exposed
}

// walk looks at a value. Path is that of the setting; in is the nearest table that knows its place.
func (w *secretWalk) walk(path string, in placed, v reflect.Value) {
	if s, ok := v.Interface().(secret); ok {
		w.take(path, in, s)
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			w.walk(indexPath(path, i), in, v.Index(i))
		}
	case reflect.Map:
		for _, name := range sortedNames(v) {
			w.walk(joinPath(path, name), in, v.MapIndex(reflect.ValueOf(name)))
		}
	case reflect.Struct:
		if isTable(v.Type()) {
			w.table(path, in, v)
		}
	}
}

func (w *secretWalk) table(path string, in placed, v reflect.Value) {
	if p, ok := v.Interface().(interface{ place() placed }); ok {
		in = p.place()
	}
	fields := fieldsOf(v.Type())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		w.walk(dotted(path, name), in, v.FieldByIndex(fields[name].index))
	}
}

func sortedNames(m reflect.Value) []string {
	var out []string
	for _, key := range m.MapKeys() {
		out = append(out, key.String())
	}
	slices.Sort(out)
	return out
}

func (w *secretWalk) take(path string, in placed, s secret) {
	file, isHere := s.secretIn()
	name := path[strings.LastIndexByte(path, '.')+1:]
	at := Problem{Path: path}
	switch {
	case in.at.file != nil:
		at = in.Problem(name, "")
	case w.places[path].file != nil:
		at = w.places[path].problem("")
	}
	if isHere {
		file = at.File
	}
	w.add(file, at)
}

func (w *secretWalk) add(file string, at Problem) {
	if file == "" || w.seen[file] {
		return
	}
	w.seen[file] = true
	w.found = append(w.found, Exposed{file, at})
}

// DatabaseFile returns the path of the database of a source with the driver "sqlite", else "".
func (s Source) DatabaseFile() string {
	if s.Driver != "sqlite" {
		return ""
	}
	return sqliteFile(string(s.DSN))
}

// sqliteFile returns the path in the DSN of a database in a file, which may be written as a URI.
func sqliteFile(dsn string) string {
	rest, isURI := strings.CutPrefix(dsn, "file:")
	if !isURI {
		return dsn
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	if path, err := url.PathUnescape(rest); err == nil {
		return path
	}
	return rest
}

// holdsPassword reports whether reports.store has a password in it.
func holdsPassword(store string) bool {
	if u, err := url.Parse(store); err == nil && u.User != nil {
		_, has := u.User.Password()
		return has
	}
	return strings.Contains(store, "password=")
}
