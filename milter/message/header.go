package message

import (
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// Header is all fields of a message, the topmost first.
type Header []Field

// Fields returns the indices of the fields called name, from the top.
func (h Header) Fields(name string) []int {
	var at []int
	for i, f := range h {
		if f.Is(name) {
			at = append(at, i)
		}
	}
	return at
}

// Ordinal returns the place of field i among the fields of its name, counted from 1 at the top: the
// index by which a milter changes it. It looks at all fields above; callers that need many use
// Ordinals.
func (h Header) Ordinal(i int) int {
	n, name := 0, h[i].Name()
	for _, f := range h[:i+1] {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// Ordinals returns what Ordinal does for each of at, in one pass over the header however many they
// are.
func (h Header) Ordinals(at []int) []int {
	if len(at) == 0 {
		return nil
	}
	count, all := map[string]int{}, make([]int, len(h))
	for i, f := range h {
		name := strings.ToLower(f.Name())
		count[name]++
		all[i] = count[name]
	}
	out := make([]int, len(at))
	for i, a := range at {
		out[i] = all[a]
	}
	return out
}

// Edits are changes to a header, applied in this order: Change and Remove, then Insert.
type Edits struct {
	Change []Change // of one field no more than one
	Remove []int    // indices into the header, in any order; those out of range mean nothing
	Insert []Field  // to stand above all others, the topmost first
}

// Change replaces a field by another one of the same name.
type Change struct {
	At    int // index into the header; one out of range means nothing
	Field Field
}

// With returns a copy of h with e applied. It does not change h.
func (h Header) With(e Edits) Header {
	out := make(Header, 0, len(e.Insert)+len(h))
	out = append(out, e.Insert...)
	gone := slices.Sorted(slices.Values(e.Remove))
	var changed map[int]Field
	if len(e.Change) > 0 {
		changed = make(map[int]Field, len(e.Change))
	}
	for _, c := range e.Change {
		changed[c.At] = c.Field
	}
	for i, f := range h {
		if _, removed := slices.BinarySearch(gone, i); removed {
			continue
		}
		if c, ok := changed[i]; ok {
			f = c
		}
		out = append(out, f)
	}
	return out
}

// ListID returns the identifier of the only List-Id field (RFC 2919 section 2), "" when there is
// none to be sure of.
func (h Header) ListID() domain.Name {
	id := ""
	for _, f := range h {
		if !f.Is("List-Id") {
			continue
		}
		if id != "" {
			return ""
		}
		v := string(f.Value())
		open, end := strings.LastIndexByte(v, '<'), strings.LastIndexByte(v, '>')
		if open < 0 || end < open {
			return ""
		}
		id = strings.TrimSpace(v[open+1 : end])
	}
	name, err := domain.Parse(id)
	if err != nil {
		return ""
	}
	return name
}
