package opendkim

import (
	"maps"
	"slices"

	"mailseal/config/tables"
)

// Coded is the note with its code, and what that names, in place of the text.
func (n Note) Coded() string {
	n.Text = n.key
	return n.String()
}

// Codes returns the codes of all notes that a report can hold, with their texts.
func Codes() map[tables.Code]string {
	out := map[tables.Code]string{}
	for _, c := range slices.Concat(slices.Collect(maps.Keys(notes)), tables.Codes()) {
		out[c] = noteOf(c).Text
	}
	return out
}
