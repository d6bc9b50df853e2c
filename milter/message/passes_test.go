package message

import (
	"hash"
	"testing"
)

// countedHash counts the octets that it hashes.
type countedHash struct {
	hash.Hash
	octets int64
}

func (h *countedHash) Write(p []byte) (int, error) {
	h.octets += int64(len(p))
	return h.Hash.Write(p)
}

// TestOnePass holds that each octet of a canonical body is hashed once, however many signatures ask
// for hashes of it, and that a canonicalization that no one asked for costs nothing.
func TestOnePass(t *testing.T) {
	body := letter(100_000)
	many := func(c Canonicalization) (out []BodyHash) {
		for l := range int64(40) {
			out = append(out, BodyHash{c, Whole}, BodyHash{c, 1000 * l})
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		wanted []BodyHash
		passes []Canonicalization
	}{
		{"one", []BodyHash{{Relaxed, Whole}}, []Canonicalization{Relaxed}},
		{"many of one canonicalization", many(Relaxed), []Canonicalization{Relaxed}},
		{"many of both", append(many(Relaxed), many(Simple)...), []Canonicalization{Relaxed, Simple}},
		{"none", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDigests(tt.wanted)
			counts := map[Canonicalization]*countedHash{}
			for c := range d.digests {
				if h := d.digests[c].hash; h != nil {
					counts[Canonicalization(c)] = &countedHash{Hash: h}
					d.digests[c].hash = counts[Canonicalization(c)]
				}
			}
			for rest := body; len(rest) > 0; {
				n, _ := d.Write(rest[:min(len(rest), 777)])
				rest = rest[n:]
			}
			hashes := len(counts)
			d.Close()
			if hashes != len(tt.passes) {
				t.Fatalf("%d hashes are at work, want %d", hashes, len(tt.passes))
			}
			for _, c := range tt.passes {
				want := int64(len(c.AppendBody(nil, body)))
				if got := counts[c].octets; got != want {
					t.Errorf("%v: %d octets were hashed for a canonical body of %d", c, got, want)
				}
			}
		})
	}
}
