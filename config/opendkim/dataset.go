package opendkim

import (
	"errors"
	"fmt"
	"strings"

	"mailseal/config/tables"
)

// openSet reads the data set of a setting. Without the setting it is nil; an error has been
// reported.
func (im *importer) openSet(name string) (entry, *tables.Dataset) {
	e, ok := im.conf.get(name)
	if !ok {
		return e, nil
	}
	d, err := tables.Open(im.files, e.place, e.value, im.dir)
	if errors.Is(err, tables.ErrNoReader) {
		im.note("set-elsewhere", e, tables.Prose(err.Error()))
		return e, nil
	}
	if err != nil {
		im.fail(e.place, fmt.Errorf("%s: %w", e.name, err))
		return e, nil
	}
	im.noteSet(e, d)
	return e, d
}

// noteSet reports what is odd about a data set as such.
func (im *importer) noteSet(e entry, d *tables.Dataset) {
	if looksLikeFile(e.value, d) {
		im.note("list-of-one-word", e, e.value)
	}
	for _, r := range d.Leading {
		im.noteAt("leading-blank", r.Place, e.name, r.Key)
	}
	for _, r := range d.Long {
		im.noteAt("long-line", r.Place, e.name, tables.LongLine)
	}
}

// looksLikeFile reports whether a list of one word was meant as a file's name.
func looksLikeFile(value string, d *tables.Dataset) bool {
	return d.Kind == tables.List && len(d.Records) == 1 &&
		!strings.HasPrefix(strings.ToLower(value), "csl:") &&
		strings.Contains(value, "/") && !strings.Contains(value, ",") && !isNetworkText(value)
}
