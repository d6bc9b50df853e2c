package message

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
)

// maker writes bodies to measure with. Words and lines differ in length: a processor learns where
// those of a short piece end that is repeated over and over, and then shows figures that no mail
// has.
type maker struct {
	strings.Builder
	r *rand.Rand
}

func (m *maker) word() { m.WriteString("consideration"[:2+m.r.IntN(9)]) }

// line writes words up to about width octets.
func (m *maker) line(start string, width int) {
	m.WriteString(start)
	for n := 0; n < width; n += 7 {
		m.word()
		m.WriteByte(' ')
	}
	m.WriteString("end.\r\n")
}

// kinds are how the bodies are made that mail has, line by line.
var kinds = map[string]func(m *maker){
	"text":       func(m *maker) { m.line("", m.r.IntN(76)) },
	"two spaces": func(m *maker) { m.line("Sentence.  Next ", m.r.IntN(50)) },
	"long lines": func(m *maker) { m.line("", 900+m.r.IntN(80)) },
	"reply":      func(m *maker) { m.line("> > "[:2*m.r.IntN(3)], m.r.IntN(76)) },
	"base64": func(m *maker) {
		raw := make([]byte, 57)
		for i := range raw {
			raw[i] = byte(m.r.Uint32())
		}
		m.WriteString(base64.StdEncoding.EncodeToString(raw) + "\r\n")
	},
	"html": func(m *maker) {
		m.WriteString(strings.Repeat("  ", 2+m.r.IntN(6)) + "<td class=\"")
		m.word()
		m.line("\">", m.r.IntN(40))
		m.WriteString(strings.Repeat("  ", 2+m.r.IntN(6)) + "</td>\r\n")
	},
	"quoted-printable": func(m *maker) {
		w := quotedprintable.NewWriter(m)
		for range 5 {
			fmt.Fprintf(w, "Gr\xfc\xdfe an %s aus M\xfcnchen, f\xfcr %s ",
				hex.EncodeToString([]byte{byte(m.r.Uint32())}), "consideration"[:2+m.r.IntN(9)])
		}
		w.Close()
		m.WriteString("\r\n")
	},
	"csv": func(m *maker) {
		fmt.Fprintf(m, "%d,%d.%02d,\"%s\",2026-11-%02d\r\n", m.r.IntN(1e6), m.r.IntN(1e3),
			m.r.IntN(100), "consideration"[:m.r.IntN(13)], m.r.IntN(30))
	},
	"tsv": func(m *maker) {
		fmt.Fprintf(m, "%d\t%d.%02d\t%s\t2026-11-%02d\r\n", m.r.IntN(1e6), m.r.IntN(1e3),
			m.r.IntN(100), "consideration"[:m.r.IntN(13)], m.r.IntN(30))
	},
	"source": func(m *maker) { m.line(strings.Repeat("\t", m.r.IntN(5)), m.r.IntN(50)) },
	"diff":   func(m *maker) { m.line(" "+strings.Repeat("    ", m.r.IntN(5)), m.r.IntN(50)) },
}

// makeBody returns a body of one kind, which is also the name of a hostile one.
func makeBody(kind string, size int) []byte {
	m := &maker{r: rand.New(rand.NewPCG(1, 2))}
	for m.Len() < size {
		if line, ordinary := kinds[kind]; ordinary {
			line(m)
		} else {
			m.WriteString(hostile[kind])
		}
	}
	return []byte(m.String()[:size])
}

func kindNames() []string {
	return append(slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(hostile))...)
}

// discard counts as little as a Writer can.
type discard struct{ n int }

func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

const chunkSize = 65535 // what both MTAs send

func writeInChunks(w io.Writer, body []byte) {
	for len(body) > 0 {
		n := min(chunkSize, len(body))
		w.Write(body[:n])
		body = body[n:]
	}
}

// BenchmarkCanonicalizer is a body without its hash.
func BenchmarkCanonicalizer(b *testing.B) {
	for _, kind := range kindNames() {
		for _, c := range both {
			b.Run(fmt.Sprintf("%v/%s", c, kind), func(b *testing.B) {
				body := makeBody(kind, 1<<20)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				out := &discard{}
				for b.Loop() {
					z := c.body(out)
					for rest := body; len(rest) > 0; {
						n := min(chunkSize, len(rest))
						z.Write(rest[:n])
						rest = rest[n:]
					}
					z.Close()
				}
			})
		}
	}
}

// BenchmarkDigests is a body with its hash and all that is kept of it.
func BenchmarkDigests(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, kind := range kindNames() {
			for _, c := range both {
				b.Run(fmt.Sprintf("%v/%dK/%s", c, size>>10, kind), func(b *testing.B) {
					body := makeBody(kind, size)
					b.SetBytes(int64(len(body)))
					b.ReportAllocs()
					wanted := []BodyHash{{c, Whole}}
					for b.Loop() {
						d := NewDigests(wanted)
						writeInChunks(d, body)
						d.Close()
					}
				})
			}
		}
	}
}

// BenchmarkSHA256 is the least that Digests could cost.
func BenchmarkSHA256(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			body := makeBody("text", size)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				sha256.Sum256(body)
			}
		})
	}
}

// BenchmarkAppendField is a field of a header in relaxed form.
func BenchmarkAppendField(b *testing.B) {
	for name, value := range map[string]string{
		"short":   " Ann <ann@example.com>",
		"subject": " Re: what the others brought from Paris, and what it costs",
		"folded": " from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.com " +
			"(Postfix) with ESMTPS id 4XyZ\r\n\tfor <ann@example.com>; Sun, 22 Nov 2026 07:00:00 +0000 (UTC)",
		"spaces": strings.Repeat(" a  b\t", 100),
		"white":  strings.Repeat(" ", 1000),
	} {
		f := NewField("X-Field", []byte(value))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(f.Raw())))
			b.ReportAllocs()
			room := make([]byte, 0, 2*len(f.Raw()))
			for b.Loop() {
				Relaxed.AppendField(room, f)
			}
		})
	}
}
