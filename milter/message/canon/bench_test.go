package canon

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"testing"
)

// text returns about size bytes of words in lines. Words and lines differ in length: a processor
// learns where those of a repeated piece end.
func text(size int, gap string) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var out []byte
	for len(out) < size {
		for range r.IntN(12) {
			out = append(out, "consideration"[:2+r.IntN(9)]...)
			out = append(out, gap...)
		}
		out = append(out, "end.\r\n"...)
	}
	return out
}

// BenchmarkRelaxed compares the relaxed form of a body with the plain loop of the reference, and
// with the hash that follows it.
func BenchmarkRelaxed(b *testing.B) {
	for _, kind := range []struct{ name, gap string }{{"text", " "}, {"two spaces", "  "},
		{"tabs", "\t"}, {"no white space", ""}} {
		body := text(1<<20, kind.gap)
		for _, way := range []struct {
			name string
			run  func()
		}{
			{"words", func() { z := RelaxedBody(io.Discard); z.Write(body); z.Close() }},
			{"reference", func() { referenceRelaxed(body) }},
			{"hash", func() { sha256.Sum256(body) }},
		} {
			b.Run(kind.name+"/"+way.name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					way.run()
				}
			})
		}
	}
}
