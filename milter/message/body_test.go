package message

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// both is every canonicalisation.
var both = []Canonicalization{Simple, Relaxed}

func TestAppendBody(t *testing.T) {
	tests := []struct{ name, in, simple, relaxed string }{
		{"the RFC's example", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, // RFC 6376 section 3.4.5
		{"nothing", "", "\r\n", ""},
		{"a line end", "\r\n", "\r\n", ""},
		{"line ends", "\r\n\r\n\r\n", "\r\n", ""},
		{"white space", " \t ", " \t \r\n", ""},
		{"white space and a line end", " \r\n", " \r\n", ""},
		{"lines of white space", " \r\n\t\r\n \t", " \r\n\t\r\n \t\r\n", ""},
		{"no line end at the end", "a", "a\r\n", "a\r\n"},
		{"white space at the end", "a \t", "a \t\r\n", "a\r\n"},
		{"white space behind the last line end", "a\r\n  ", "a\r\n  \r\n", "a\r\n"},
		{"empty lines first", "\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"empty lines inside", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
		{"many empty lines inside", "a" + strings.Repeat("\r\n", 3000) + "b", "a" + strings.Repeat("\r\n", 3000) + "b\r\n", "a" + strings.Repeat("\r\n", 3000) + "b\r\n"},
		{"lines of white space inside", "a\r\n \r\n\t\r\nb", "a\r\n \r\n\t\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
		{"white space at the start of a line", " \ta\r\n\tb", " \ta\r\n\tb\r\n", " a\r\n b\r\n"},
		{"a tab between words", "a\tb", "a\tb\r\n", "a b\r\n"},
		{"one long line", strings.Repeat("ab  ", 9), strings.Repeat("ab  ", 9) + "\r\n", strings.Repeat("ab ", 8) + "ab\r\n"},
		{"vertical tab and form feed stay", "a\v\fb \f\r\n", "a\v\fb \f\r\n", "a\v\fb \f\r\n"},
		{"NUL and 8-bit stay", "\x00\xff\xa0 \x85\r\n", "\x00\xff\xa0 \x85\r\n", "\x00\xff\xa0 \x85\r\n"},
		{"a no-break space stays", "a\u00a0 \u00a0\r\n", "a\u00a0 \u00a0\r\n", "a\u00a0 \u00a0\r\n"},

		{"a LF is no line end", "a \n\nb\n\n", "a \n\nb\n\n\r\n", "a \n\nb\n\n\r\n"},
		{"a LF alone", "\n", "\n\r\n", "\n\r\n"},
		{"LF CR LF", "a\n\r\n", "a\n\r\n", "a\n\r\n"},
		{"a CR is no line end", "a\rb\r", "a\rb\r\r\n", "a\rb\r\r\n"},
		{"a CR alone", "\r", "\r\r\n", "\r\r\n"},
		{"CRs alone", "\r\r\r", "\r\r\r\r\n", "\r\r\r\r\n"},
		{"CR CR LF", "a\r\r\n", "a\r\r\n", "a\r\r\n"},
		{"CR CR LF alone", "\r\r\n", "\r\r\n", "\r\r\n"},
		{"a CR behind empty lines", "a\r\n\r\n\r\n\r", "a\r\n\r\n\r\n\r\r\n", "a\r\n\r\n\r\n\r\r\n"},
		{"white space before a CR stays", "a \t\rb", "a \t\rb\r\n", "a \rb\r\n"},
		{"white space before a last CR stays", "a  \r", "a  \r\r\n", "a \r\r\n"},
		{"white space around CR CR LF", "a  \r  \r\n\r\n", "a  \r  \r\n", "a \r\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for c, want := range map[Canonicalization]string{Simple: tt.simple, Relaxed: tt.relaxed} {
				if got := string(c.AppendBody([]byte("before"), []byte(tt.in))); got != "before"+want {
					t.Errorf("%v body of %q is %q, want %q", c, tt.in, strings.TrimPrefix(got, "before"), want)
				}
				if got := inChunks(c, tt.in[:len(tt.in)/2], tt.in[len(tt.in)/2:]); got != want {
					t.Errorf("%v body of %q in two chunks is %q, want %q", c, tt.in, got, want)
				}
				if got := naiveBody(c, tt.in); got != want {
					t.Errorf("the reference's %v body of %q is %q, want %q", c, tt.in, got, want)
				}
			}
		})
	}
}

func TestEmptyBodyHash(t *testing.T) {
	tests := map[Canonicalization]string{ // RFC 6376 sections 3.4.3 and 3.4.4
		Simple:  "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		Relaxed: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	}
	for c, want := range tests {
		d := NewDigests([]BodyHash{{c, Whole}})
		d.Close()
		sum, _ := d.Sum(BodyHash{c, Whole})
		if got := base64.StdEncoding.EncodeToString(sum.SHA256[:]); got != want {
			t.Errorf("%v hash of an empty body is %s, want %s", c, got, want)
		}
	}
}

// naiveBody is RFC 6376 sections 3.4.3 and 3.4.4 word by word, on a whole body.
func naiveBody(c Canonicalization, body string) string {
	if c == Relaxed {
		lines := strings.Split(body, "\r\n")
		for i, l := range lines {
			lines[i] = reduce(strings.TrimRight(l, " \t"))
		}
		body = strings.Join(lines, "\r\n")
	}
	for strings.HasSuffix(body, "\r\n") {
		body = body[:len(body)-2]
	}
	if c == Simple || body != "" {
		body += "\r\n"
	}
	return body
}

// reduce makes one space of every run of white space.
func reduce(line string) string {
	line = strings.ReplaceAll(line, "\t", " ")
	var b strings.Builder
	for i := range len(line) {
		if i == 0 || line[i] != ' ' || line[i-1] != ' ' {
			b.WriteByte(line[i])
		}
	}
	return b.String()
}

// inChunks canonicalises a body that comes in chunks.
func inChunks(c Canonicalization, chunks ...string) string {
	w := appender{}
	z := canonicalizer{relaxed: c == Relaxed, out: &w}
	for _, p := range chunks {
		z.write([]byte(p))
	}
	z.close()
	return string(w.p)
}

// TestBodyEverySplit takes every body of up to five octets that matter, cut at every set of places.
func TestBodyEverySplit(t *testing.T) {
	const longest = 5
	body := make([]byte, longest)
	var all func(n, at int)
	all = func(n, at int) {
		if at < n {
			for _, b := range []byte("a \t\r\n") {
				body[at] = b
				all(n, at+1)
			}
			return
		}
		for _, c := range both {
			want := naiveBody(c, string(body[:n]))
			for cuts := range 1 << max(0, n-1) {
				if chunks := cutAt(string(body[:n]), cuts); inChunks(c, chunks...) != want {
					t.Fatalf("%v body of %q is %q, want %q", c, chunks, inChunks(c, chunks...), want)
				}
			}
		}
	}
	for n := range longest + 1 {
		all(n, 0)
	}
}

// cutAt cuts s behind octet i when bit i of cuts is set.
func cutAt(s string, cuts int) []string {
	var chunks []string
	start := 0
	for i := range s {
		if cuts>>i&1 != 0 {
			chunks = append(chunks, s[start:i+1])
			start = i + 1
		}
	}
	return append(chunks, s[start:])
}

// TestBodyEightAtOnce puts what matters at every place of the words that the canonicaliser looks at.
func TestBodyEightAtOnce(t *testing.T) {
	parts := []string{" ", "  ", "\t", " \t", "\r", "\r\n", " \r\n", "\r\n ", "\r\n\r\n", " \r", "\xa0", "\x89", "\x8d", "\x20\x0d\x0a\x09", "\n"}
	for _, part := range parts {
		for _, second := range parts {
			for at := range 17 {
				body := strings.Repeat("x", at) + part + strings.Repeat("y", 17-at) + second + "zzzzzzz"
				for _, c := range both {
					want := naiveBody(c, body)
					if got := inChunks(c, body); got != want {
						t.Fatalf("%v body of %q is %q, want %q", c, body, got, want)
					}
				}
			}
		}
	}
}

// FuzzBody compares with the reference, the body cut into chunks of one length.
func FuzzBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, body string, chunk byte) {
		size := int(chunk) + 1
		var chunks []string
		for rest := body; rest != ""; {
			n := min(size, len(rest))
			chunks = append(chunks, rest[:n])
			rest = rest[n:]
		}
		for _, c := range both {
			if got, want := inChunks(c, chunks...), naiveBody(c, body); got != want {
				t.Fatalf("%v body of %q is %q, want %q", c, chunks, got, want)
			}
		}
	})
}

func TestBodyRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "word ", "  ", "\t", "\r\n", "\r\n\r\n", "\r", "\n", " \r\n", "longer words here", "\xff"}
	for range 2000 {
		var body strings.Builder
		var chunks []string
		for range r.IntN(40) {
			chunk := ""
			for range r.IntN(5) {
				chunk += pieces[r.IntN(len(pieces))]
			}
			chunks = append(chunks, chunk)
			body.WriteString(chunk)
		}
		for _, c := range both {
			if got, want := inChunks(c, chunks...), naiveBody(c, body.String()); got != want {
				t.Fatalf("%v body of %q is %q, want %q", c, chunks, got, want)
			}
		}
	}
}

// hostile bodies are those on which others need seconds to minutes.
var hostile = map[string]string{
	"line ends":              "\r\n",
	"spaces":                 " ",
	"CRs":                    "\r",
	"LFs":                    "\n",
	"white space and CR":     " \r",
	"CR CR LF":               "\r\r\n",
	"line ends and CR":       "\r\n\r",
	"words and two spaces":   "a  ",
	"words and line ends":    "a\r\n\r\n",
	"lines of white space":   " \r\n",
	"words before white CRs": "a \r",
}

// TestBodyLinear digests 8 MB of each hostile body in small chunks. It takes a tenth of a second; a quadratic step took
// others half a minute.
func TestBodyLinear(t *testing.T) {
	const size, chunk = 8 << 20, 4093
	for name, piece := range hostile {
		t.Run(name, func(t *testing.T) {
			body := []byte(strings.Repeat(piece, size/len(piece)))
			start := time.Now()
			d := NewDigests([]BodyHash{{Simple, Whole}, {Relaxed, Whole}})
			for rest := body; len(rest) > 0; {
				n := min(chunk, len(rest))
				d.Write(rest[:n])
				rest = rest[n:]
			}
			d.Close()
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d octets took %v", len(body), took)
			}
			for _, c := range both {
				sum, _ := d.Sum(BodyHash{c, Whole})
				if want := sha256.Sum256(c.AppendBody(nil, body)); sum.SHA256 != want {
					t.Errorf("%v hash is %x, want %x", c, sum.SHA256, want)
				}
			}
		})
	}
}

// letter looks like a mail: paragraphs of words, quotes, an indented list, a table.
func letter(size int) []byte {
	const text = "Dear Ann,\r\n\r\n> you asked me what it costs, and I said that I would look it up as soon\r\n" +
		"> as the others are back from Paris.\r\nThey are, and here is what they brought. It is less than we thought, but not\r\n" +
		"by much; and whoever takes two of them gets the third at half the price.\r\n\r\n" +
		"  * one in blue\r\n  * two in red, which nobody wants\r\n\r\nname\tprice\tleft\r\nblue\t12.50\t3\r\n\r\n-- \r\nJoe\r\n\r\n"
	return []byte(strings.Repeat(text, size/len(text)+1)[:size])
}

// samples are bodies to measure with.
func samples(size int) map[string][]byte {
	raw := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(raw)
	b64 := base64.StdEncoding.EncodeToString(raw)
	var lines strings.Builder
	for ; len(b64) > 76; b64 = b64[76:] {
		lines.WriteString(b64[:76] + "\r\n")
	}
	return map[string][]byte{
		"letter":  letter(size),
		"base64":  []byte(lines.String()[:size]),
		"html":    []byte(strings.Repeat("      <tr>\r\n        <td class=\"x\">one</td>\r\n\t<td>two</td>\r\n      </tr>\r\n", size/68)[:size]),
		"fox":     []byte(strings.Repeat("The quick brown fox jumps over the lazy dog and  runs  away from it all. \r\n", size/75)),
		"spaced":  []byte(strings.Repeat("a  ", size/3)),
		"newline": []byte(strings.Repeat("\r\n", size/2)),
	}
}

// discard counts as little as a Writer can.
type discard struct{ n int }

func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

const chunkSize = 65535 // what both MTAs send

func writeInChunks(w interface{ Write([]byte) (int, error) }, body []byte) {
	for len(body) > 0 {
		n := min(chunkSize, len(body))
		w.Write(body[:n])
		body = body[n:]
	}
}

// asWriter lets a canonicaliser be written to.
type asWriter struct{ *canonicalizer }

func (w asWriter) Write(p []byte) (int, error) {
	w.write(p)
	return len(p), nil
}

func BenchmarkCanonicalizer(b *testing.B) {
	for name, body := range samples(1 << 20) {
		for _, c := range both {
			b.Run(fmt.Sprintf("%v/%s", c, name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				out := &discard{}
				z := &canonicalizer{relaxed: c == Relaxed, out: out}
				for b.Loop() {
					writeInChunks(asWriter{z}, body)
				}
			})
		}
	}
}

func BenchmarkDigests(b *testing.B) {
	for name, body := range samples(1 << 20) {
		for _, c := range both {
			b.Run(fmt.Sprintf("%v/%s", c, name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				d := NewDigests([]BodyHash{{c, Whole}})
				for b.Loop() {
					writeInChunks(d, body)
				}
			})
		}
	}
}

func BenchmarkSHA256(b *testing.B) {
	body := letter(1 << 20)
	b.SetBytes(int64(len(body)))
	h := sha256.New()
	for b.Loop() {
		writeInChunks(h, body)
	}
}
