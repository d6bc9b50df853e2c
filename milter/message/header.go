package message

import (
	"slices"
	"strings"
)

// Header is all fields of a message, the topmost first.
type Header []Field

// Ordinal returns the place of field i among the fields of its name, counted from 1 at the top: the index by which a
// milter changes it.
func (h Header) Ordinal(i int) int {
	n, name := 0, h[i].Name()
	for _, f := range h[:i+1] {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// Edits is what is to be done to a header: first Remove, then Insert.
type Edits struct {
	Remove []int   // indices into the header, in any order; those out of range mean nothing
	Insert []Field // to stand above all others, the topmost first
}

// With returns h as it will be after e. h itself stays as it is.
func (h Header) With(e Edits) Header {
	out := make(Header, 0, len(e.Insert)+len(h))
	out = append(out, e.Insert...)
	gone := slices.Sorted(slices.Values(e.Remove))
	for i, f := range h {
		if _, removed := slices.BinarySearch(gone, i); !removed {
			out = append(out, f)
		}
	}
	return out
}

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

// Collector gathers a header field by field into few pieces of memory, up to a limit.
type Collector struct {
	limit    int
	size     int
	overflow bool
	header   Header
	chunk    []byte
}

// fieldCost is counted for each field beside its octets: what it takes to remember it. Without it, a header of a
// million empty fields would cost much more than its limit.
const fieldCost = 32

// NewCollector returns a Collector that keeps up to limit octets: those of each field and 32 more.
func NewCollector(limit int) *Collector { return &Collector{limit: limit} }

// Add takes the next field as a milter hands it over (see NewField) and tells whether it was kept. From the first
// field that would pass the limit on none is.
func (c *Collector) Add(name, value string) bool {
	n := len(name) + 1 + len(value) + strings.Count(value, "\n")
	if c.overflow = c.overflow || n > c.limit-c.size-fieldCost; c.overflow {
		return false
	}
	c.size += n + fieldCost
	c.header = append(c.header, newField(c.room(n), name, value))
	return true
}

// The sizes of the chunks in octets: most headers fit into two.
const (
	firstChunk = 4 << 10
	lastChunk  = 64 << 10
)

// room returns an empty slice with a capacity of exactly n.
func (c *Collector) room(n int) []byte {
	if n > cap(c.chunk)-len(c.chunk) {
		size := min(max(firstChunk, 2*cap(c.chunk)), lastChunk)
		c.chunk = make([]byte, 0, max(size, n))
	}
	at := len(c.chunk)
	c.chunk = c.chunk[:at+n]
	return c.chunk[at : at : at+n]
}

// Overflow tells whether a field was refused, so that Header lacks some.
func (c *Collector) Overflow() bool { return c.overflow }

// Header returns the fields kept so far. It may be kept, too: no later Add changes it.
func (c *Collector) Header() Header { return slices.Clip(c.header) }
