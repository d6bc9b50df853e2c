package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"

	"mailseal/milter/message"
)

// Index finds the fields of a header by their names from the bottom up, in time linear in the names
// asked for.
type Index struct {
	header message.Header
	last   []int32 // the undermost field of each name
	above  []int32 // for each field the next one above of the same name, or -1
	// hash table of names: the place in last and one, or 0; at least half of it is empty
	slots []int32

	// The fields in relaxed form with their CRLF, as far as some signature covered them: a header
	// that many cover is canonicalized once.
	relaxed [][]byte
	text    []byte // where the next ones are written
}

// seed keeps strangers from finding names that fall on the same slot.
var seed = maphash.MakeSeed()

// NewIndex reads the names of h.
func NewIndex(h message.Header) *Index {
	n := len(h)
	room := make([]int32, 2*n+1<<bits.Len(uint(2*n)))
	x := &Index{header: h, last: room[:0:n], above: room[n : 2*n], slots: room[2*n:]}
	for i, f := range h {
		slot := slotOf(x, f.NameOctets())
		if *slot == 0 {
			x.last, x.above[i] = append(x.last, int32(i)), -1
			*slot = int32(len(x.last))
			continue
		}
		last := &x.last[*slot-1]
		x.above[i], *last = *last, int32(i)
	}
	return x
}

// slotOf returns the slot of a name, or where it would be.
func slotOf[T string | []byte](x *Index, name T) *int32 {
	var room [64]byte
	key := appendLower(room[:0], name)
	for i := maphash.Bytes(seed, key); ; i++ {
		slot := &x.slots[i&uint64(len(x.slots)-1)]
		if *slot == 0 || isNamed(x.header[x.last[*slot-1]], key) {
			return slot
		}
	}
}

// isNamed reports whether the name of f in lower case is name.
func isNamed(f message.Field, name []byte) bool {
	own := f.NameOctets()
	if len(own) != len(name) {
		return false
	}
	for i, c := range own {
		if lower(c) != name[i] {
			return false
		}
	}
	return true
}

// Pick returns the fields that a list of h= names covers, in its order: for a name that
// occurs several times in the header, the undermost unused field; for a name without a
// remaining field, nothing (RFC 6376 section 5.4.2). The field at index own is the
// signature itself and is never covered; own is -1 for a signature that is not in the
// header yet.
func (x *Index) Pick(names []string, own int) []message.Field {
	at := x.pick(names, own)
	picked := make([]message.Field, len(at))
	for i, field := range at {
		picked[i] = x.header[field]
	}
	return picked
}

// pick is Pick for the places of the fields.
func (x *Index) pick(names []string, own int) []int32 {
	next := slices.Clone(x.last)
	picked := make([]int32, 0, min(len(names), len(x.header)))
	for _, name := range names {
		g, known := x.group(name)
		if known && own >= 0 && int(next[g]) == own {
			next[g] = x.above[own]
		}
		if known && next[g] >= 0 {
			picked = append(picked, next[g])
			next[g] = x.above[next[g]]
		}
	}
	return picked
}

// canonical returns the canonical form of the fields at some places. Relaxed forms end with their
// CRLF; simple ones are the raw fields, without.
func (x *Index) canonical(c message.Canonicalization, at []int32) [][]byte {
	forms := make([][]byte, len(at))
	for i, field := range at {
		if c == message.Simple {
			forms[i] = x.header[field].Raw()
		} else {
			forms[i] = x.relaxedForm(field)
		}
	}
	return forms
}

func (x *Index) relaxedForm(field int32) []byte {
	if x.relaxed == nil {
		x.relaxed = make([][]byte, len(x.header))
	}
	if x.relaxed[field] == nil {
		f := x.header[field]
		if room := len(f.Raw()) + len("\r\n"); room > cap(x.text)-len(x.text) {
			x.text = make([]byte, 0, max(room, gathered))
		}
		begin := len(x.text)
		x.text = message.Relaxed.AppendField(x.text, f)
		x.relaxed[field] = x.text[begin:len(x.text):len(x.text)]
	}
	return x.relaxed[field]
}

// group returns the place of a name in last.
func (x *Index) group(name string) (int, bool) {
	slot := *slotOf(x, name)
	return int(slot) - 1, slot != 0
}

func appendLower[T string | []byte](dst []byte, name T) []byte {
	for i := range len(name) {
		dst = append(dst, lower(name[i]))
	}
	return dst
}

// lower folds ASCII only: a name with a Kelvin sign is not the one with a k.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// HeaderHash returns the SHA-256 that is signed: it covers the fields in their order, then
// the signature's own field as Signature.Unsigned returns it, without its final CRLF, all
// of them canonicalized (RFC 6376 section 3.7).
func HeaderHash(c message.Canonicalization, fields []message.Field,
	unsigned message.Field) [sha256.Size]byte {
	h := hashers.Get().(*hasher)
	for _, f := range fields {
		h.add(c, f)
	}
	sum := h.sum(c, unsigned)
	hashers.Put(h)
	return sum
}

// hashOf is HeaderHash for fields in the form that Index.canonical returns.
func hashOf(c message.Canonicalization, fields [][]byte, unsigned message.Field) [sha256.Size]byte {
	h := hashers.Get().(*hasher)
	for _, f := range fields {
		h.addForm(c, f)
	}
	sum := h.sum(c, unsigned)
	hashers.Put(h)
	return sum
}

// hasher hashes fields in their canonical form, many of them at once.
type hasher struct {
	hash hash.Hash
	text []byte
}

// hashers are used by one header after the other: none costs an allocation.
var hashers = sync.Pool{New: func() any { return &hasher{hash: sha256.New()} }}

// Octets that a hasher gathers before it hashes them, and the most that it keeps for the next
// header.
const (
	gathered = 4 << 10
	retained = 64 << 10
)

func (h *hasher) add(c message.Canonicalization, f message.Field) {
	h.text = c.AppendField(h.text, f)
	if len(h.text) >= gathered {
		h.flush()
	}
}

// addForm adds a field that is canonical already. What is long is not copied first.
func (h *hasher) addForm(c message.Canonicalization, form []byte) {
	if len(form) >= gathered {
		h.flush()
		h.hash.Write(form)
		form = nil
	}
	h.text = append(h.text, form...)
	if c == message.Simple {
		h.text = append(h.text, "\r\n"...)
	}
	if len(h.text) >= gathered {
		h.flush()
	}
}

func (h *hasher) flush() {
	h.hash.Write(h.text)
	h.text = h.text[:0]
}

// sum adds the last field without its CRLF, and leaves h as it was before the first.
func (h *hasher) sum(c message.Canonicalization, last message.Field) (sum [sha256.Size]byte) {
	h.text = c.AppendField(h.text, last)
	h.hash.Write(bytes.TrimSuffix(h.text, []byte("\r\n")))
	copy(sum[:], h.hash.Sum(h.text[:0]))
	h.hash.Reset()
	if h.text = h.text[:0]; cap(h.text) > retained {
		h.text = nil
	}
	return sum
}

// Count returns how many fields are called name.
func (x *Index) Count(name string) int {
	g, known := x.group(name)
	if !known {
		return 0
	}
	n := 0
	for i := x.last[g]; i >= 0; i = x.above[i] {
		n++
	}
	return n
}
