package message

import (
	"errors"
	"strings"
	"testing"
)

// TestFromWithoutEnd: of authors without end a bounded number is read, and no one is taken for the
// one author.
func TestFromWithoutEnd(t *testing.T) {
	many := func(value string, n int) (h Header) {
		for range n {
			h = append(h, NewField("From", []byte(value)))
		}
		return h
	}
	const broken = " <x@a.example>,<u@example.com"
	for _, c := range []struct {
		name   string
		header Header
	}{
		{"fields", many(broken, 10_000)},
		{"fields that are valid", many(" u@example.com", 10_000)},
		{"fields without an address", many(" x", 10_000)},
		{"fields of many addresses", many(strings.Repeat(broken+">,", 90), 90)},
		{"quotes", many(" "+strings.Repeat(`"a" `, 100_000)+"<u@example.com>", 1)},
		{"comments", many(" "+strings.Repeat("(c)", 100_000)+"u@example.com", 1)},
		{"addresses", many(strings.Repeat(" u@example.com,", 60_000), 1)},
		{"two long fields", many(" "+strings.Repeat("(c)", 5_000)+"u@example.com", 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.header.From()
			if _, err := f.Author(); !f.TooMany || !errors.Is(err, ErrManyAuthors) {
				t.Errorf("too many %v, author %v; want more than are read", f.TooMany, err)
			}
			if n := len(f.Addresses); n > maxCandidates+2*MaxAuthors {
				t.Errorf("%d addresses were read", n)
			}
		})
	}
	ordinary := strings.Repeat(" A. Name <a.rather.long.address.of.somebody@a.long.name.example.com>,\r\n", MaxAuthors)
	if f := many(ordinary, 1).From(); f.TooMany || len(f.Addresses) != MaxAuthors {
		t.Errorf("%d addresses: too many %v, %d read", MaxAuthors, f.TooMany, len(f.Addresses))
	}
}
