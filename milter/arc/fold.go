package arc

import (
	"strings"

	"mailseal/milter/message"
)

// Widths of the fields that we write, in columns and octets.
const (
	foldColumns = 78  // of a line that can be folded (RFC 5322 section 2.1.1)
	tabColumns  = 8   // of the tab before a folded line
	longWord    = 700 // octets of a word that is split after all, lest an MTA break the line at 998
	shortWord   = 60  // octets of what it is split into
)

// field returns the field called name with words as its value, a space or a fold before each.
func field(name string, words []string) message.Field {
	var value strings.Builder
	column := len(name) + len(":")
	for _, w := range words {
		if column+len(" ")+len(w) > foldColumns {
			value.WriteString("\r\n\t")
			column = tabColumns
		} else {
			value.WriteByte(' ')
			column++
		}
		value.WriteString(w)
		column += len(w)
	}
	return message.NewField(name, []byte(value.String()))
}

// split returns a tag as one word: folds behind semicolons alone are what all verifiers have seen.
// Only a tag that would make a line that no MTA carries is split, an h= behind colons, base64
// anywhere.
func split(tag string) []string {
	if len(tag) <= longWord {
		return []string{tag}
	}
	var words []string
	for len(tag) > shortWord {
		n := shortWord
		if strings.HasPrefix(tag, "h=") || strings.Contains(tag[:n], ":") {
			n = strings.LastIndexByte(tag[:n], ':') + 1
		}
		if n == 0 {
			n = strings.IndexAny(tag, ":;") + 1
		}
		words, tag = append(words, tag[:n]), tag[n:]
	}
	return append(words, tag)
}

// sentences splits an AAR behind its semicolons, and a result that is too long for a line at its
// spaces.
func sentences(s string) []string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	var words []string
	for part := range strings.SplitAfterSeq(s, "; ") {
		if part = strings.Trim(part, " "); len(part) > longWord {
			words = append(words, strings.FieldsFunc(part,
				func(r rune) bool { return r == ' ' })...)
		} else if part != "" {
			words = append(words, part)
		}
	}
	return words
}
