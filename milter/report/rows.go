package report

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"slices"
)

// Counted is a row of an aggregate report: evaluations that say the same, and how many of them
// there are. Its Time and Policy are not set.
type Counted struct {
	Evaluation
	Count int64
}

// ErrRow reports rows that are not in the form that Key and AppendRow write.
var ErrRow = errors.New("damaged row")

// Bits of the first byte of a key. Rows of mail that passes have the lower keys.
const (
	keyFails = 1 << (7 - iota)
	keyDKIM
	keySPF
	keySPFAuth
)

// AppendKey appends the key of a row, from which ParseKey makes the row again. The parts that rows
// of a report have in common come first and the client last, so that neighbours in sorted order
// share all but a few bytes.
func (e *Evaluation) AppendKey(to []byte) []byte {
	var flags byte
	for _, f := range []struct {
		is  bool
		bit byte
	}{{!e.Passes(), keyFails}, {e.DKIM, keyDKIM}, {e.SPF, keySPF}, {e.SPFAuth != nil, keySPFAuth}} {
		if f.is {
			flags |= f.bit
		}
	}
	to = append(to, flags)
	to = appendText(to, e.Disposition)
	to = binary.AppendUvarint(to, uint64(len(e.Reasons)))
	for _, r := range e.Reasons {
		to = appendText(appendText(to, r.Type), r.Comment)
	}
	to = appendText(to, e.HeaderFrom)
	to = appendText(to, e.EnvelopeFrom)
	if e.SPFAuth != nil {
		to = appendText(appendText(to, e.SPFAuth.Domain), e.SPFAuth.Result)
	}
	to = binary.AppendUvarint(to, uint64(len(e.Signatures)))
	for _, s := range e.Signatures {
		aligned := byte(0)
		if s.Aligned {
			aligned = 1
		}
		to = append(to, aligned)
		to = appendText(appendText(appendText(to, s.Domain), s.Selector), s.Result)
	}
	return append(to, e.Client.AsSlice()...)
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// KeyPasses reports whether the mail of a row passes DMARC.
func KeyPasses(key []byte) bool { return len(key) > 0 && key[0]&keyFails == 0 }

// ParseKey makes a row of a key.
func ParseKey(key []byte, count int64) (Counted, error) {
	r := keyReader{rest: key}
	c := Counted{Count: count}
	flags := r.byte()
	c.DKIM, c.SPF = flags&keyDKIM != 0, flags&keySPF != 0
	c.Disposition = r.text()
	for range r.count() {
		c.Reasons = append(c.Reasons, Reason{Type: r.text(), Comment: r.text()})
	}
	c.HeaderFrom, c.EnvelopeFrom = r.text(), r.text()
	if flags&keySPFAuth != 0 {
		c.SPFAuth = &SPFAuth{Domain: r.text(), Result: r.text()}
	}
	for range r.count() {
		aligned := r.byte() == 1
		c.Signatures = append(c.Signatures,
			DKIMAuth{Domain: r.text(), Selector: r.text(), Result: r.text(), Aligned: aligned})
	}
	client, ok := netip.AddrFromSlice(r.rest)
	if r.isBad || !ok {
		return Counted{}, ErrRow
	}
	c.Client = client
	return c, nil
}

// keyReader reads the parts of a key.
type keyReader struct {
	rest  []byte
	isBad bool
}

func (r *keyReader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.isBad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *keyReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.isBad, r.rest = true, nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *keyReader) byte() byte {
	b := r.take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (r *keyReader) text() string { return string(r.take(r.uint())) }

// count is a number of things that follow, of at least a byte each.
func (r *keyReader) count() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.isBad, r.rest = true, nil
		return 0
	}
	return int(n)
}

// RowWriter writes rows in their stored form: of each key only the part that differs from the
// previous one. Rows of a report differ mostly in the client, so that a row takes about ten bytes.
type RowWriter struct {
	Bytes []byte // what is written so far
	Rows  int64
	last  []byte
}

// Add appends a row. Its key must be greater than that of the row before.
func (w *RowWriter) Add(key []byte, n int64) {
	same := 0
	for same < len(key) && same < len(w.last) && key[same] == w.last[same] {
		same++
	}
	w.Bytes = binary.AppendUvarint(w.Bytes, uint64(same))
	w.Bytes = binary.AppendUvarint(w.Bytes, uint64(len(key)-same))
	w.Bytes = append(w.Bytes, key[same:]...)
	w.Bytes = binary.AppendUvarint(w.Bytes, uint64(n))
	w.last = append(w.last[:same], key[same:]...)
	w.Rows++
}

// Reset begins again, in the same memory.
func (w *RowWriter) Reset() { w.Bytes, w.last, w.Rows = w.Bytes[:0], w.last[:0], 0 }

// KeyCount is the key of a row, and how many messages it counts.
type KeyCount struct {
	Key []byte
	N   int64
}

// ReadRows returns the rows that a RowWriter wrote, in their order. The key is valid until the next
// row. Damaged bytes end it with a KeyCount whose Key is nil.
func ReadRows(stored []byte) iter.Seq[KeyCount] {
	return func(yield func(KeyCount) bool) {
		r := keyReader{rest: stored}
		var key []byte
		for len(r.rest) > 0 {
			same := r.uint()
			own := r.take(r.uint())
			n := r.uint()
			if r.isBad || same > uint64(len(key)) || n == 0 || n > 1<<62 {
				yield(KeyCount{})
				return
			}
			key = append(key[:same], own...)
			if !yield(KeyCount{key, int64(n)}) {
				return
			}
		}
	}
}

// Sort orders rows, the largest first, so that the same rows make the same report.
func Sort(rows []Counted) {
	type keyed struct {
		key []byte
		row Counted
	}
	list := make([]keyed, len(rows))
	for i := range rows {
		list[i] = keyed{rows[i].AppendKey(nil), rows[i]}
	}
	slices.SortFunc(list, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(b.row.Count, a.row.Count), bytes.Compare(a.key, b.key))
	})
	for i := range list {
		rows[i] = list[i].row
	}
}
