package action

import (
	"fmt"
	"slices"
	"strings"
)

// vocabulary holds the words of one type, each at the index of its value. The first is "", for the
// invalid zero value.
type vocabulary struct {
	what  string // what a word of it is: "action"
	words []string
}

func (v vocabulary) has(n uint8) bool { return n > 0 && int(n) < len(v.words) }

func (v vocabulary) all() []string { return slices.Clone(v.words[1:]) }

// word returns the word for a value. For an invalid value it returns text that is not a
// word of any vocabulary, and does not panic, since it is used in logs.
func (v vocabulary) word(n uint8) string {
	if !v.has(n) {
		return fmt.Sprintf("invalid %s %d", v.what, n)
	}
	return v.words[n]
}

func (v vocabulary) marshal(n uint8) ([]byte, error) {
	if !v.has(n) {
		return nil, fmt.Errorf("invalid %s %d", v.what, n)
	}
	return []byte(v.words[n]), nil
}

func unmarshal[T ~uint8](v vocabulary, text []byte, to *T) error {
	i := slices.Index(v.words[1:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown %s %q; known are %s", v.what, text,
			strings.Join(v.words[1:], ", "))
	}
	*to = T(i + 1)
	return nil
}
