package report

import "strconv"

// Note is something unusual about a report that was read nevertheless.
type Note struct {
	Code  string `json:"code"` // stable
	Text  string `json:"text"`
	Line  int    `json:"line,omitempty"` // of the first place; 0 if lines do not matter
	Count int    `json:"count"`
}

// maxNotes bounds the kinds of notes of one report.
const maxNotes = 50

// notebook collects notes, one for each code.
type notebook struct{ notes []Note }

func (b *notebook) add(code, text string, line int) {
	for i := range b.notes {
		if b.notes[i].Code == code {
			b.notes[i].Count++
			return
		}
	}
	if len(b.notes) < maxNotes {
		b.notes = append(b.notes, Note{Code: code, Text: text, Line: line, Count: 1})
	}
}

// String returns the note as one line.
func (n Note) String() string {
	out := n.Text
	switch {
	case n.Count > 1 && n.Line > 0:
		out += " (" + strconv.Itoa(n.Count) + " times, first in line " + strconv.Itoa(n.Line) + ")"
	case n.Line > 0:
		out += " (line " + strconv.Itoa(n.Line) + ")"
	}
	return out
}
