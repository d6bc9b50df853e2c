package dkim_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// naivePick is RFC 6376 section 5.4.2 word by word: each name takes the undermost field that none
// before has taken.
func naivePick(h message.Header, names []string, own int) []message.Field {
	taken := make([]bool, len(h))
	if own >= 0 {
		taken[own] = true
	}
	var picked []message.Field
	for _, name := range names {
		for i, f := range slices.Backward(h) {
			if !taken[i] && f.Is(name) {
				taken[i] = true
				picked = append(picked, f)
				break
			}
		}
	}
	return picked
}

func TestPickRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "a", "b", "B", "X-Kelvin", "x-\u212aelvin", "",
		strings.Repeat("long", 30), strings.Repeat("Long", 30)}
	for i := range 40 {
		names = append(names, fmt.Sprintf("X-%d", i))
	}
	some := func(most int) []string {
		list := make([]string, r.IntN(most))
		for i := range list {
			list[i] = names[r.IntN(len(names))]
		}
		return list
	}
	for range 2000 {
		var h message.Header
		for i, name := range some(60) {
			h = append(h, message.NewField(name, fmt.Appendf(nil, " %d", i)))
		}
		index, list, own := dkim.NewIndex(h), some(60), r.IntN(len(h)+1)-1
		got, want := index.Pick(list, own), naivePick(h, list, own)
		if !slices.EqualFunc(got, want,
			func(a, b message.Field) bool { return a.String() == b.String() }) {
			t.Fatalf("of %q and without %d, %q picks %q, want %q", h, own, list, got, want)
		}
		for _, name := range names {
			if got, want := index.Count(name), len(h.Fields(name)); got != want {
				t.Fatalf("of %q, there are %d fields called %q, want %d", h, got, name, want)
			}
		}
	}
}

// oversigned returns a header of n fields, and an h= that lists each of its names, in turn, and
// once more.
func oversigned(n int) (message.Header, []string) {
	var h message.Header
	var names []string
	for i := range n {
		name := fmt.Sprintf("X-Field-%d", i%(n/2))
		h = append(h, message.NewField(name,
			[]byte(" a value of some words,\r\n\tfolded as usual  and spaced as not")))
		names = append(names, strings.ToLower(name))
	}
	return h, append(names, names[:n/2]...)
}

func TestHeaderHash(t *testing.T) {
	own := message.NewField(dkim.FieldName, []byte(" v=1;\r\n b="))
	for _, c := range []message.Canonicalization{message.Simple, message.Relaxed} {
		for _, n := range []int{2, 20, 2000, 6, 20000, 4} {
			h, names := oversigned(n)
			var all []byte
			for _, f := range naivePick(h, names[:min(len(names), 2000)], -1) {
				all = c.AppendField(all, f)
			}
			all = c.AppendField(all, own)
			got := dkim.HeaderHash(c, dkim.NewIndex(h).Pick(names[:min(len(names), 2000)], -1), own)
			if want := sha256.Sum256(all[:len(all)-2]); got != want {
				t.Errorf("%v hash of %d fields is %x, want %x", c, n, got, want)
			}
		}
	}
}

// TestHeaderAllocations holds what a header of many fields costs to what one of a few does.
func TestHeaderAllocations(t *testing.T) {
	h, names := oversigned(2000)
	own := message.NewField(dkim.FieldName, []byte(" v=1; b="))
	allocations.Hold(t, "milter/dkim: hash of 2000 fields", 20,
		func() { dkim.HeaderHash(message.Relaxed, dkim.NewIndex(h).Pick(names, -1), own) })
}

func BenchmarkHeaderHash(b *testing.B) {
	own := message.NewField(dkim.FieldName,
		[]byte(" v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.com; s=mail; b="))
	for _, n := range []int{20, 200, 2000} {
		h, names := oversigned(n)
		for _, c := range []message.Canonicalization{message.Simple, message.Relaxed} {
			b.Run(fmt.Sprintf("%v/%d", c, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					dkim.HeaderHash(c, dkim.NewIndex(h).Pick(names, -1), own)
				}
			})
		}
	}
}
