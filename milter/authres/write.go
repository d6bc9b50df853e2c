package authres

import (
	"strings"

	"mailseal/milter/message"
)

// lineWidth is the column before which lines are folded. A longer word gets a separate
// line.
const lineWidth = 78

// A tab begins every continuation line, and counts as the columns that it moves.
const (
	indent      = "\t"
	indentWidth = 8
)

// measures limits how much of a Result's texts is written.
type measures struct{ comment, reason, value, properties int }

// shrinking are the measures tried in turn until a Result fits into its room. The first cuts
// nothing that is legal: a path has at most 256 octets (RFC 5321 section 4.5.3.1.3). The last
// leaves the verdict alone, at most 51 octets of it: what a result says of a message may not get
// lost because a stranger's names are long.
var shrinking = []measures{
	{comment: 160, reason: 160, value: 256, properties: 12},
	{comment: 60, reason: 60, value: 256, properties: 12},
	{comment: 0, reason: 40, value: 100, properties: 12},
	{comment: 0, reason: 0, value: 64, properties: 6},
	{comment: 0, reason: 0, value: 32, properties: 6},
	{comment: 0, reason: 0, value: 32, properties: 2},
	{},
}

// written is a Result as the words of a resinfo (RFC 8601 section 2.2), between which white space
// and folds may stand.
type written struct {
	result Result
	level  int // index into shrinking
	words  []string
	size   int // of the words, with one octet before each and the semicolon
}

func (r Result) write() written { return written{result: r}.at(0) }

// at returns w with the measures of a level.
func (w written) at(level int) written {
	w.level = level
	w.words = w.result.wordsWithin(shrinking[level])
	w.size = len(w.words) + len(";")
	for _, word := range w.words {
		w.size += len(word)
	}
	return w
}

// canShrink reports whether there are measures left to try.
func (w written) canShrink() bool { return w.level+1 < len(shrinking) }

// within returns w shrunk until it is at most room, or cannot shrink any more.
func (w written) within(room int) written {
	for w.size > room && w.canShrink() {
		w = w.at(w.level + 1)
	}
	return w
}

// squeeze shrinks results until their total is at most room, always the largest that can
// still be shrunk: one long name must not shorten the others.
func squeeze(all []written, room int) {
	for total(all) > room {
		largest := -1
		for i, w := range all {
			if w.canShrink() && (largest < 0 || w.size > all[largest].size) {
				largest = i
			}
		}
		if largest < 0 {
			return
		}
		all[largest] = all[largest].at(all[largest].level + 1)
	}
}

func total(all []written) int {
	n := 0
	for _, w := range all {
		n += w.size
	}
	return n
}

func (r Result) wordsWithin(m measures) []string {
	words := []string{keyword(r.Method) + "=" + keyword(r.Value)}
	if c := cleanText(r.Comment, m.comment); c != "" {
		words = append(words, strings.Split("("+c+")", " ")...)
	}
	if t := cleanText(r.Reason, m.reason); t != "" {
		words = append(words, strings.Split("reason="+quotedText(t), " ")...)
	}
	for _, p := range r.Properties[:min(len(r.Properties), m.properties)] {
		if v := cleanValue(p.Value, m.value); v != "" {
			words = append(words, keyword(p.Type)+"."+keyword(p.Name)+"="+quoted(v))
		}
	}
	return words
}

// fold writes one field: every result on a separate line, with further lines where it would
// grow too wide.
func fold(id string, results [][]string) message.Field {
	if len(results) == 0 {
		return message.NewField(FieldName, []byte(" "+unfolded(id, nil)))
	}
	var b strings.Builder
	b.WriteString(" " + id)
	for _, words := range results {
		b.WriteString(";\r\n" + indent + words[0])
		column := indentWidth + len(words[0])
		for _, w := range words[1:] {
			// One column is kept for the semicolon.
			if column+1+len(w)+1 >= lineWidth {
				b.WriteString("\r\n" + indent + w)
				column = indentWidth + len(w)
				continue
			}
			b.WriteString(" " + w)
			column += 1 + len(w)
		}
	}
	return message.NewField(FieldName, []byte(b.String()))
}

func unfolded(id string, results [][]string) string {
	if len(results) == 0 {
		return id + "; none"
	}
	var b strings.Builder
	b.WriteString(id)
	for _, words := range results {
		b.WriteString("; " + strings.Join(words, " "))
	}
	return b.String()
}
