package message

import (
	"crypto/sha256"
	"encoding/base64"
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
	z := newCanonicalizer(c, &w)
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

// TestBodyEveryPair puts every two octets behind white space, where they decide on it.
func TestBodyEveryPair(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			body := "a  b" + strings.Repeat("c", (first+second)%wordSize) + " " + string([]byte{byte(first), byte(second)}) + "12345678 12345678"
			if got, want := inChunks(Relaxed, body), naiveBody(Relaxed, body); got != want {
				t.Fatalf("relaxed body of %q is %q, want %q", body, got, want)
			}
		}
	}
}

// FuzzBody compares with the reference. The body is repeated until it is longer than what the canonicaliser looks at
// before it hands something on, and cut into chunks of the lengths that cuts says, in turn.
func FuzzBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, piece string, cuts []byte, times byte) {
		const longest = 3 * blockSize
		body := strings.Repeat(piece, min(int(times)+1, longest/(len(piece)+1)+1))
		if len(cuts) == 0 {
			cuts = []byte{255}
		}
		var chunks []string
		for rest := body; rest != ""; {
			cut := int(cuts[len(chunks)%len(cuts)])
			n := min(1+cut*cut/4, len(rest))
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

// TestBodyEdges puts what matters before, on and behind the places where the canonicaliser changes how it looks at a
// body, behind each thing that may have led it there.
func TestBodyEdges(t *testing.T) {
	before := []string{"x", "ab ", "a  b", " ", "\r\n", "a\tb\r\n"}
	parts := []string{" ", "  ", "\t", "\r", "\r\n", " \r\n", "\r\n ", " \r", "\r\n\r\n", " \t\r\n\r\n\t"}
	for _, place := range []int{careful, plainRun, blockSize - careful, blockSize, blockSize + careful} {
		for _, filler := range before {
			long := strings.Repeat(filler, blockSize+2*careful)
			for _, part := range parts {
				for length := place - 2*wordSize; length < place+wordSize; length++ {
					body := long[:length] + part + "z" + part
					for _, c := range both {
						if got, want := inChunks(c, body), naiveBody(c, body); got != want {
							t.Fatalf("%v body of %d octets of %q and %q differs from the reference: %q, want %q", c, length, filler, part, got, want)
						}
					}
				}
			}
		}
	}
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
	"line ends":               "\r\n",
	"spaces":                  " ",
	"CRs":                     "\r",
	"LFs":                     "\n",
	"white space and CR":      " \r",
	"CR CR LF":                "\r\r\n",
	"line ends and CR":        "\r\n\r",
	"words and two spaces":    "a  ",
	"words and line ends":     "a\r\n\r\n",
	"lines of white space":    " \r\n",
	"words before white CRs":  "a \r",
	"octets and spaces":       "a b ",
	"tabs":                    "\t",
	"spaces before line ends": "word              \r\n",
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
