package config

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// joinPath appends a key to the path of a table, quoted as TOML would want it.
func joinPath(table, key string) string {
	if !isBare(key) {
		key = strconv.Quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}

func isBare(key string) bool {
	for i := range len(key) {
		if !isBareByte(key[i]) {
			return false
		}
	}
	return key != ""
}

func isBareByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' ||
		'a' <= c && c <= 'z'
}

func indexPath(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// lines finds the line of every setting. The TOML library has read the text without complaint, but
// tells no lines; so this walks over text that is known to be well-formed, and is only asked when
// there is something to complain about.
func lines(text []byte) map[string]int {
	w := walker{text: text, line: 1, found: map[string]int{}, count: map[string]int{}}
	table := ""
	for w.skip(); w.at < len(w.text); w.skip() {
		if w.peek() == '[' {
			table = w.header()
			continue
		}
		w.pair(table)
	}
	return w.found
}

// walker is a place in the text.
type walker struct {
	text  []byte
	at    int
	line  int
	found map[string]int // path → line
	count map[string]int // path of an array of tables → how many of it there were
}

func (w *walker) peek() byte {
	if w.at >= len(w.text) {
		return 0
	}
	return w.text[w.at]
}

// step goes on n octets, counting lines.
func (w *walker) step(n int) {
	end := min(w.at+n, len(w.text))
	w.line += bytes.Count(w.text[w.at:end], []byte("\n"))
	w.at = end
}

// skip goes over white space, line ends and comments.
func (w *walker) skip() {
	for w.at < len(w.text) {
		switch w.peek() {
		case ' ', '\t', '\r', '\n':
			w.step(1)
		case '#':
			w.until("\n")
		default:
			return
		}
	}
}

// until goes on to the first of any of the octets.
func (w *walker) until(octets string) {
	n := bytes.IndexAny(w.text[w.at:], octets)
	if n < 0 {
		n = len(w.text) - w.at
	}
	w.step(n)
}

// note remembers the first line of a path.
func (w *walker) note(path string, line int) string {
	if _, ok := w.found[path]; !ok {
		w.found[path] = line
	}
	return path
}

// header reads [a.b] or [[a.b]] and returns the path of the table that it opens.
func (w *walker) header() string {
	line := w.line
	w.step(1)
	array := w.peek() == '['
	if array {
		w.step(1)
	}
	keys := w.keys()
	path := ""
	for i, k := range keys {
		path = joinPath(path, k)
		if array && i == len(keys)-1 {
			w.count[path]++
		}
		if n := w.count[path]; n > 0 {
			w.note(path, line)
			path = indexPath(path, n-1)
		}
		w.note(path, line)
	}
	w.until("\n")
	return path
}

// pair reads key = value inside a table.
func (w *walker) pair(table string) {
	start, line := w.at, w.line
	path := table
	for _, k := range w.keys() {
		path = w.note(joinPath(path, k), line)
	}
	if w.peek() == '=' {
		w.step(1)
	}
	w.value(path)
	if w.at == start { // cannot happen in well-formed text; anything but standing still
		w.step(1)
	}
}

// keys reads a dotted key, and leaves the place after it and its blanks.
func (w *walker) keys() []string {
	var out []string
	for {
		w.skip()
		start := w.at
		switch c := w.peek(); {
		case c == '"' || c == '\'':
			w.quoted()
			out = append(out, unquote(w.text[start:w.at]))
		default:
			for isBareByte(w.peek()) {
				w.step(1)
			}
			out = append(out, string(w.text[start:w.at]))
		}
		w.skip()
		if w.peek() != '.' {
			return out
		}
		w.step(1)
	}
}

// unquote leaves escapes to the library that knows them.
func unquote(quoted []byte) string {
	var v struct{ K string }
	if err := toml.Unmarshal(append([]byte("K="), quoted...), &v); err != nil {
		return strings.Trim(string(quoted), `"'`)
	}
	return v.K
}

// value goes over a value, noting what is inside lists and inline tables.
func (w *walker) value(path string) {
	w.skip()
	switch w.peek() {
	case '"', '\'':
		w.quoted()
	case '[':
		w.list(path)
	case '{':
		w.inline(path)
	default:
		w.until(",]}\n#")
	}
}

// quoted goes over a string of any of the four kinds.
func (w *walker) quoted() {
	quote := w.text[w.at : w.at+1]
	if triple := bytes.Repeat(quote, 3); bytes.HasPrefix(w.text[w.at:], triple) {
		w.step(3)
		w.closing(triple)
		for w.peek() == quote[0] { // up to two quotes may be before the closing three
			w.step(1)
		}
		return
	}
	w.step(1)
	w.closing(quote)
}

// closing goes on behind the closing quotes.
func (w *walker) closing(quotes []byte) {
	for w.at < len(w.text) {
		switch {
		case bytes.HasPrefix(w.text[w.at:], quotes):
			w.step(len(quotes))
			return
		case quotes[0] == '"' && w.peek() == '\\':
			w.step(2)
		default:
			w.step(1)
		}
	}
}

func (w *walker) list(path string) {
	w.step(1)
	for i := 0; ; i++ {
		w.skip()
		if c := w.peek(); c == ']' || c == 0 {
			w.step(1)
			return
		}
		start := w.at
		element := w.note(indexPath(path, i), w.line)
		w.value(element)
		w.skip()
		if w.peek() == ',' {
			w.step(1)
		}
		if w.at == start {
			w.step(1)
		}
	}
}

func (w *walker) inline(path string) {
	w.step(1)
	for {
		w.skip()
		if c := w.peek(); c == '}' || c == 0 {
			w.step(1)
			return
		}
		w.pair(path)
		w.skip()
		if w.peek() == ',' {
			w.step(1)
		}
	}
}
