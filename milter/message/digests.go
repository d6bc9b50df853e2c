package message

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io/fs"
	"slices"
	"sync"

	"mailseal/milter/message/canon"
)

// Whole is the Limit of a BodyHash without l=.
const Whole int64 = -1

// BodyHash names one hash of a body.
type BodyHash struct {
	Canonicalization Canonicalization
	Limit            int64 // the octets of the canonical body that are hashed (l=), or Whole
}

// Sum is the result of a BodyHash.
type Sum struct {
	SHA256 [sha256.Size]byte
	// octets of the whole canonical body; less than the Limit when the body ended before it
	Length int64
}

// MaxLimits is the number of different limits that Digests supports for one canonicalization.
// Beyond that number, Sum has no digest for the larger limits.
const MaxLimits = 64

// Digests takes a body as it streams by and keeps nothing of it but hashes: one canonicalizer and
// one SHA-256 for each canonicalization, however many ask, with the sums taken in passing at each
// limit. It is for one goroutine until it is closed, for any number after that.
type Digests struct {
	digests  [2]digest // by Canonicalization
	size     int64
	eightBit bool
	closed   bool
}

// hashes are used by one message after the other: one of 4 KB costs little more than what is made
// for it.
var hashes = sync.Pool{New: func() any { return sha256.New() }}

// NewDigests returns Digests that compute what is wanted, and next to nothing when nothing is.
func NewDigests(wanted []BodyHash) *Digests {
	d := &Digests{}
	for _, w := range wanted {
		d.digests[w.Canonicalization].want(w.Limit)
	}
	for c := range d.digests {
		if g := &d.digests[c]; g.wanted {
			g.open(Canonicalization(c))
		}
	}
	return d
}

// Write takes the next octets of the body, in chunks of any size. It keeps none of p. It fails
// after Close only.
func (d *Digests) Write(p []byte) (int, error) {
	if d.closed {
		return 0, fs.ErrClosed
	}
	d.size += int64(len(p))
	d.eightBit = d.eightBit || IsEightBit(p)
	for c := range d.digests {
		if g := &d.digests[c]; g.wanted {
			g.body.Write(p)
		}
	}
	return len(p), nil
}

// Close ends the body. Sums are known from here on. It never fails, and a second call does nothing.
func (d *Digests) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	for c := range d.digests {
		if g := &d.digests[c]; g.wanted {
			g.close()
		}
	}
	return nil
}

// Size returns how many octets were written.
func (d *Digests) Size() int64 { return d.size }

// IsEightBit reports whether the body so far has a byte above 127.
func (d *Digests) IsEightBit() bool { return d.eightBit }

// IsEightBit reports whether p has a byte above 127. It looks at eight at a time.
func IsEightBit(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 8 {
		if binary.NativeEndian.Uint64(p)&high != 0 {
			return true
		}
		p = p[8:]
	}
	for _, c := range p {
		if c > 0x7f {
			return true
		}
	}
	return false
}

// Sum returns the hash that w names; false when it was not asked for, or the body is not closed
// yet. The hash of a body that is shorter than the limit is that of all of it.
func (d *Digests) Sum(w BodyHash) (Sum, bool) {
	if g := &d.digests[w.Canonicalization]; d.closed && g.wanted {
		return g.sum(w.Limit)
	}
	return Sum{}, false
}

// digest is one canonical body, its hash, and where sums are wanted.
type digest struct {
	wanted bool
	body   canon.Body
	hash   hash.Hash // nil once it is closed
	length int64     // of the canonical body so far
	limits []int64
	sums   [][sha256.Size]byte  // of limits that were passed, and last that of the whole body
	whole  [1][sha256.Size]byte // room for sums without limits, as nearly always
}

// want notes a limit; a negative one is Whole.
func (g *digest) want(limit int64) {
	g.wanted = true
	if limit >= 0 {
		g.limits = append(g.limits, limit)
	}
}

func (g *digest) open(c Canonicalization) {
	slices.Sort(g.limits)
	g.limits = slices.Compact(g.limits)
	g.limits = g.limits[:min(len(g.limits), MaxLimits)]
	g.sums = g.whole[:0]
	if len(g.limits) > 0 {
		g.sums = make([][sha256.Size]byte, 0, len(g.limits)+1)
	}
	g.hash = hashes.Get().(hash.Hash)
	g.body = c.body(g)
}

// Write takes canonical octets.
func (g *digest) Write(p []byte) (int, error) {
	n := len(p)
	for len(g.sums) < len(g.limits) && g.limits[len(g.sums)]-g.length <= int64(len(p)) {
		k := g.limits[len(g.sums)] - g.length
		g.hash.Write(p[:k])
		g.takeSum()
		g.length += k
		p = p[k:]
	}
	g.hash.Write(p)
	g.length += int64(len(p))
	return n, nil
}

func (g *digest) takeSum() {
	g.sums = g.sums[:len(g.sums)+1]
	g.hash.Sum(g.sums[len(g.sums)-1][:0])
}

func (g *digest) close() {
	g.body.Close()
	g.takeSum()
	g.hash.Reset()
	hashes.Put(g.hash)
	g.hash = nil
}

func (g *digest) sum(limit int64) (Sum, bool) {
	last := len(g.sums) - 1
	if limit < 0 {
		return Sum{g.sums[last], g.length}, true
	}
	i, ok := slices.BinarySearch(g.limits, limit)
	return Sum{g.sums[min(i, last)], g.length}, ok
}
