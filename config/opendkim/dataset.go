package opendkim

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// kind is how a data set is kept, which decides how it is looked into.
type kind string

const (
	list   kind = "csl"
	file   kind = "file"
	refile kind = "refile"
)

// advice is what to do about data sets that are kept where we do not look.
var advice = map[string]string{
	"bdb":      "dump it into text with db_dump -p, and name it with file:",
	"db":       "dump it into text with db_dump -p, and name it with file:",
	"mdb":      "dump it into text with mdb_dump -p, and name it with file:",
	"dsn":      "export the table into text and name it with file:, or let Mailseal ask the data base itself ([sources] in mailseal.toml(5))",
	"ldap":     "export the entries into text with ldapsearch, and name it with file:",
	"ldapi":    "export the entries into text with ldapsearch, and name it with file:",
	"ldaps":    "export the entries into text with ldapsearch, and name it with file:",
	"lua":      "there is no Lua in Mailseal; write what the script answers into a table, and name it with file:",
	"memcache": "write what it holds into a table, and name it with file:",
	"repute":   "there is no reputation in Mailseal; take the setting out",
	"socket":   "a web service can answer instead ([sources] in mailseal.toml(5)), or a table named with file:",
	"erlang":   "write what it answers into a table, and name it with file:",
}

var (
	errUnknownKind = errors.New("unknown database type, which OpenDKIM does not start with")
	errNoReader    = errors.New("this kind of data set cannot be read here")
)

// spec is where a data set is.
type spec struct {
	kind kind
	rest string // the list itself, or the file's name
}

// parseSpec reads the text that names a data set. A comma before the first colon makes a list of anything; a name that
// does not begin with "/" is a list of one, however much it looks like a file.
func parseSpec(s string) (spec, error) {
	s = strings.TrimSpace(s)
	colon, comma := strings.IndexByte(s, ':'), strings.IndexByte(s, ',')
	if comma >= 0 && comma < colon {
		colon = -1
	}
	if colon < 0 {
		switch {
		case strings.HasSuffix(s, ".db"):
			return spec{}, fmt.Errorf("%s: %w: %s", s, errNoReader, advice["db"])
		case strings.HasPrefix(s, "/"):
			return spec{file, s}, nil
		}
		return spec{list, s}, nil
	}
	word, rest := strings.ToLower(s[:colon]), s[colon+1:]
	switch k := kind(word); k {
	case list, file, refile:
		return spec{k, rest}, nil
	}
	if a, ok := advice[word]; ok && word != "bdb" {
		return spec{}, fmt.Errorf("%s: %w: %s", word+":", errNoReader, a)
	}
	return spec{}, fmt.Errorf("%q: %w", s, errUnknownKind)
}

// record is an entry of a data set.
type record struct {
	place
	key, value string
}

// dataset is a data set, read.
type dataset struct {
	spec
	records []record
	leading []record // lines of a refile that begin with a blank, which OpenDKIM does not see
	long    []record // lines that OpenDKIM cuts into several
}

// longLine is the longest line that OpenDKIM reads in one piece.
const longLine = 1022

// readSet reads the data set that s names; at is where it is named, dir what relative names hang on.
func readSet(r *reader, at place, s, dir string) (*dataset, error) {
	sp, err := parseSpec(s)
	if err != nil {
		return nil, err
	}
	d := &dataset{spec: sp}
	if sp.kind == list {
		d.parseList(at)
		return d, nil
	}
	name := sp.rest
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	text, err := r.read(name)
	if err != nil {
		return nil, err
	}
	d.parseFile(name, text)
	return d, nil
}

func (d *dataset) parseList(at place) {
	for part := range strings.SplitSeq(d.rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		if key = strings.TrimSpace(key); key != "" {
			d.records = append(d.records, record{at, key, strings.TrimSpace(value)})
		}
	}
}

func (d *dataset) parseFile(name, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if i := strings.IndexAny(line, "#\r\n"); i >= 0 {
			line = line[:i]
		}
		key, value := cutBlank(line)
		if key == "" {
			continue
		}
		rec := record{place{name, n}, key, value}
		if d.kind == refile && strings.IndexAny(line[:1], " \t\v\f") == 0 {
			d.leading = append(d.leading, rec)
			continue
		}
		if len(line) > longLine {
			d.long = append(d.long, rec)
		}
		d.records = append(d.records, rec)
	}
}

// openSet reads the data set of a setting. Without the setting it is nil; an error has been told.
func (im *importer) openSet(name string) (entry, *dataset) {
	e, ok := im.conf.get(name)
	if !ok {
		return e, nil
	}
	d, err := readSet(im.files, e.place, e.value, im.dir)
	if err != nil {
		im.fail(e.place, fmt.Errorf("%s: %w", e.name, err))
		return e, nil
	}
	im.tellSet(e, d)
	return e, d
}

// tellSet says what is odd about a data set as such.
func (im *importer) tellSet(e entry, d *dataset) {
	if d.kind == list && len(d.records) == 1 && !strings.HasPrefix(strings.ToLower(e.value), "csl:") && strings.Contains(e.value, "/") && !strings.Contains(e.value, ",") && !isNetworkText(e.value) {
		im.note(Never, e, "%q is a list of that one word, not a file: the name of a file begins with / or file:", e.value)
	}
	for _, r := range d.leading {
		im.noteAt(Never, r.place, e.name, "a line of a refile: that begins with a blank is not seen: %s", r.key)
	}
	for _, r := range d.long {
		im.noteAt(Changed, r.place, e.name, "longer than %d octets: OpenDKIM cuts such a line into several, Mailseal reads it whole", longLine)
	}
}
