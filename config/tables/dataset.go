package tables

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Kind is how a data set is kept, which decides how it is looked into.
type Kind string

// The kinds that can be read here.
const (
	List   Kind = "csl"    // the setting itself: a list with commas
	File   Kind = "file"   // a file whose keys are compared as text
	Refile Kind = "refile" // a file whose keys are patterns
)

// advice is what to do about data sets that are kept where we do not look.
var advice = map[string]string{
	"bdb": "dump it into a text file with db_dump -p, and refer to that with file:",
	"db":  "dump it into a text file with db_dump -p, and refer to that with file:",
	"mdb": "dump it into a text file with mdb_dump -p, and refer to that with file:",
	"dsn": "export the table into a text file and refer to that with file:, or let Mailseal " +
		"query the database ([sources] in mailseal.toml(5))",
	"ldap":     "export the entries into a text file with ldapsearch, and refer to that with file:",
	"ldapi":    "export the entries into a text file with ldapsearch, and refer to that with file:",
	"ldaps":    "export the entries into a text file with ldapsearch, and refer to that with file:",
	"lua":      "Mailseal has no Lua; write the answers of the script into a table file, and refer to that with file:",
	"memcache": "write its contents into a table file, and refer to that with file:",
	"repute":   "Mailseal has no reputation; remove the setting",
	"socket":   "use a web service instead ([sources] in mailseal.toml(5)), or a table file with file:",
	"erlang":   "write its answers into a table file, and refer to that with file:",
}

// ErrNoReader is in the error of Open about data sets of a kind that Mailseal does not read.
var ErrNoReader = errors.New("this kind of data set is not supported")

var errUnknownKind = errors.New("unknown database type, and OpenDKIM does not start with this file")

// Spec is where a data set is.
type Spec struct {
	Kind Kind
	Rest string // the list itself, or the file's name
}

// ParseSpec reads the text that names a data set. A comma before the first colon makes a list of
// anything; a name that does not begin with "/" is a list of one, however much it looks like a
// file.
func ParseSpec(s string) (Spec, error) {
	s = strings.TrimSpace(s)
	colon, comma := strings.IndexByte(s, ':'), strings.IndexByte(s, ',')
	if comma >= 0 && comma < colon {
		colon = -1
	}
	if colon < 0 {
		switch {
		case strings.HasSuffix(s, ".db"):
			return Spec{}, fmt.Errorf("%s: %w: %s", s, ErrNoReader, advice["db"])
		case strings.HasPrefix(s, "/"):
			return Spec{File, s}, nil
		}
		return Spec{List, s}, nil
	}
	word, rest := strings.ToLower(s[:colon]), s[colon+1:]
	switch k := Kind(word); k {
	case List, File, Refile:
		return Spec{k, rest}, nil
	}
	if a, ok := advice[word]; ok && word != "bdb" {
		return Spec{}, fmt.Errorf("%s: %w: %s", word, ErrNoReader, a)
	}
	return Spec{}, fmt.Errorf("%q: %w", s, errUnknownKind)
}

// Record is an entry of a data set.
type Record struct {
	Place
	Key, Value string
}

// Dataset is a data set, read.
type Dataset struct {
	Spec
	Records []Record
	Leading []Record // lines of a refile that begin with a blank, which OpenDKIM does not see
	Long    []Record // lines that OpenDKIM cuts into several
}

// LongLine is the longest line, in bytes, that OpenDKIM reads in one piece.
const LongLine = 1022

// Open reads the data set that s names; at is where it is named, dir the directory that relative
// names start from.
func Open(r *Reader, at Place, s, dir string) (*Dataset, error) {
	sp, err := ParseSpec(s)
	if err != nil {
		return nil, err
	}
	d := &Dataset{Spec: sp}
	if sp.Kind == List {
		d.parseList(at)
		return d, nil
	}
	name := sp.Rest
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	text, err := r.Read(name)
	if err != nil {
		return nil, err
	}
	d.parseFile(name, text)
	return d, nil
}

// Parse reads text as a data set of the kind File; name is its file.
func Parse(name, text string) *Dataset {
	d := &Dataset{Spec: Spec{File, name}}
	d.parseFile(name, text)
	return d
}

func (d *Dataset) parseList(at Place) {
	for part := range strings.SplitSeq(d.Rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		if key = strings.TrimSpace(key); key != "" {
			d.Records = append(d.Records, Record{at, key, strings.TrimSpace(value)})
		}
	}
}

func (d *Dataset) parseFile(name, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if i := strings.IndexAny(line, "#\r\n"); i >= 0 {
			line = line[:i]
		}
		key, value := CutBlank(line)
		if key == "" {
			continue
		}
		rec := Record{Place{name, n}, key, value}
		if d.Kind == Refile && strings.IndexAny(line[:1], " \t\v\f") == 0 {
			d.Leading = append(d.Leading, rec)
			continue
		}
		if len(line) > LongLine {
			d.Long = append(d.Long, rec)
		}
		d.Records = append(d.Records, rec)
	}
}

// CutBlank splits a line into its first word and the rest, both trimmed.
func CutBlank(line string) (word, rest string) {
	line = strings.Trim(line, " \t\v\f")
	if i := strings.IndexAny(line, " \t\v\f"); i >= 0 {
		return line[:i], strings.Trim(line[i:], " \t\v\f")
	}
	return line, ""
}

// Keys returns the first words of the records.
func (d *Dataset) Keys() []string {
	var out []string
	for _, r := range d.Records {
		out = append(out, r.Key)
	}
	return out
}
