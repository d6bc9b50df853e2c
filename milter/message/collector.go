package message

import "slices"

// Collector gathers a header field by field in a few large blocks of memory, up to a limit,
// so that a Field needs no separate allocation.
type Collector struct {
	limit    int
	size     int
	overflow bool
	header   Header
	chunk    []byte // its spare room is behind its length
}

// fieldCost is what it takes to remember a field beside its octets. It counts towards the limit: a
// header of many empty fields would else cost many times its size.
const fieldCost = 40

// NewCollector returns a Collector that keeps up to limit octets: those of each field, CRLF and
// all, and 40 more.
func NewCollector(limit int) *Collector { return &Collector{limit: limit} }

// Add adds the next field, as a milter passes it (see NewField), and reports whether it was kept.
// After a field that was not kept, no further one is.
func (c *Collector) Add(name, value string) bool { return add(c, name, value) }

// AddBytes is Add for a caller who has octets, of which it keeps none: a header is taken without an
// allocation for each of its names and values.
func (c *Collector) AddBytes(name, value []byte) bool { return add(c, name, value) }

func add[T octets](c *Collector, name, value T) bool {
	n := fieldLen(name, value)
	if !c.grow(n + len(crlf)) {
		return false
	}
	c.header = append(c.header, newField(c.room(n), name, value))
	return true
}

// addRaw takes the next field from a file.
func (c *Collector) addRaw(raw []byte, name, colon int) bool {
	n := linesLen(raw)
	if !c.grow(n + len(crlf)) {
		return false
	}
	c.header = append(c.header, Field{raw: appendLines(c.room(n), raw), name: name, colon: colon})
	return true
}

// grow counts a field of n octets, if there is room for it.
func (c *Collector) grow(n int) bool {
	c.overflow = c.overflow || n > c.limit-c.size-fieldCost
	if !c.overflow {
		c.size += n + fieldCost
	}
	return !c.overflow
}

// The sizes of the chunks in octets. Most headers fit into the first; each is twice as large as the
// one before.
const (
	firstChunk = 2 << 10
	lastChunk  = 64 << 10
)

// room returns an empty slice with room for n octets and no more.
func (c *Collector) room(n int) []byte {
	if n > cap(c.chunk)-len(c.chunk) {
		size := min(max(firstChunk, 2*cap(c.chunk)), lastChunk)
		c.chunk = make([]byte, 0, max(size, n))
	}
	at := len(c.chunk)
	c.chunk = c.chunk[:at+n]
	return c.chunk[at : at : at+n]
}

// Overflow reports whether a field was refused, so that Header lacks some.
func (c *Collector) Overflow() bool { return c.overflow }

// Header returns the fields kept so far. It is the caller's: no later Add changes it.
func (c *Collector) Header() Header { return slices.Clip(c.header) }
