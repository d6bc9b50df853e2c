package message

import (
	"crypto/sha256"
	"hash"
	"slices"
)

// Whole is the Limit of a BodyHash without l=.
const Whole int64 = -1

// BodyHash names one hash of a body.
type BodyHash struct {
	Canonicalization Canonicalization
	Limit            int64 // the octets of the canonical body that are hashed (l=), or Whole
}

// Sum is what a BodyHash came to.
type Sum struct {
	SHA256 [sha256.Size]byte
	Length int64 // octets of the whole canonical body; less than the Limit when the body ended before it
}

// MaxLimits is how many different limits Digests serves for one canonicalisation; Sum knows nothing of the others.
const MaxLimits = 64

// Digests takes a body as it streams by and keeps nothing of it but hashes: one canonicaliser and one SHA-256 for each
// canonicalisation, whoever asks, with the sums taken in passing at each limit.
type Digests struct {
	digests []*digest
	size    int64
	closed  bool
}

// digest is one canonical body, its hash, and where sums are wanted.
type digest struct {
	canonicalizer
	canonicalization Canonicalization
	hash             hash.Hash
	length           int64
	limits           []int64 // ascending; Whole is not among them
	sums             [][sha256.Size]byte
	passed           int // limits that have been reached
	whole            [sha256.Size]byte
}

// NewDigests returns Digests that compute what is wanted, and next to nothing when nothing is.
func NewDigests(wanted []BodyHash) *Digests {
	d := &Digests{}
	for _, c := range []Canonicalization{Simple, Relaxed} {
		var limits []int64
		some := false
		for _, w := range wanted {
			if w.Canonicalization != c {
				continue
			}
			some = true
			if w.Limit >= 0 {
				limits = append(limits, w.Limit)
			}
		}
		if some {
			d.digests = append(d.digests, newDigest(c, limits))
		}
	}
	return d
}

func newDigest(c Canonicalization, limits []int64) *digest {
	slices.Sort(limits)
	limits = slices.Compact(limits)
	limits = limits[:min(len(limits), MaxLimits)]
	g := &digest{canonicalization: c, hash: sha256.New(), limits: limits, sums: make([][sha256.Size]byte, len(limits))}
	g.canonicalizer = canonicalizer{relaxed: c == Relaxed, out: g}
	return g
}

// Write takes the next octets of the body. It keeps none of p, and never fails.
func (d *Digests) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	for _, g := range d.digests {
		g.write(p)
	}
	return len(p), nil
}

// Close ends the body. Sums are known from here on; it never fails, and a second call does nothing.
func (d *Digests) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	for _, g := range d.digests {
		g.close()
		g.hash.Sum(g.whole[:0])
	}
	return nil
}

// Size returns how many octets were written.
func (d *Digests) Size() int64 { return d.size }

// Sum returns the hash that w names; false when it was not asked for, or the body is not closed. The hash of a body
// shorter than the limit is that of all of it.
func (d *Digests) Sum(w BodyHash) (Sum, bool) {
	for _, g := range d.digests {
		if d.closed && g.canonicalization == w.Canonicalization {
			return g.sum(w.Limit)
		}
	}
	return Sum{}, false
}

func (g *digest) sum(limit int64) (Sum, bool) {
	if limit < 0 {
		return Sum{g.whole, g.length}, true
	}
	i, ok := slices.BinarySearch(g.limits, limit)
	switch {
	case !ok:
		return Sum{}, false
	case i < g.passed:
		return Sum{g.sums[i], g.length}, true
	}
	return Sum{g.whole, g.length}, true
}

// Write takes canonical octets.
func (g *digest) Write(p []byte) (int, error) {
	n := len(p)
	for g.passed < len(g.limits) && g.limits[g.passed]-g.length <= int64(len(p)) {
		k := g.limits[g.passed] - g.length
		g.hash.Write(p[:k])
		g.hash.Sum(g.sums[g.passed][:0])
		g.passed++
		g.length += k
		p = p[k:]
	}
	g.hash.Write(p)
	g.length += int64(len(p))
	return n, nil
}
