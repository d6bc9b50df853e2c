package canon

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// form is a canonical form of a body, and its reference.
type form struct {
	name      string
	body      func(io.Writer) Body
	reference func([]byte) []byte
}

var (
	simple  = form{"simple", SimpleBody, referenceSimple}
	relaxed = form{"relaxed", RelaxedBody, referenceRelaxed}
	forms   = []form{simple, relaxed}
)

// inChunks makes the canonical form of a body that comes in chunks.
func (f form) inChunks(chunks ...string) string {
	var out bytes.Buffer
	b := f.body(&out)
	for _, p := range chunks {
		b.Write([]byte(p))
	}
	b.Close()
	return out.String()
}

func (f form) want(body string) string { return string(f.reference([]byte(body))) }

func TestBody(t *testing.T) {
	tests := []struct{ name, in, simple, relaxed string }{
		// RFC 6376 section 3.4.5
		{"the RFC's example", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
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
		{"many empty lines inside", "a" + strings.Repeat("\r\n", 3000) + "b", "a" +
			strings.Repeat("\r\n", 3000) + "b\r\n", "a" + strings.Repeat("\r\n", 3000) + "b\r\n"},
		{"lines of white space inside", "a\r\n \r\n\t\r\nb", "a\r\n \r\n\t\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
		{"white space at the start of a line", " \ta\r\n\tb", " \ta\r\n\tb\r\n", " a\r\n b\r\n"},
		{"a tab between words", "a\tb", "a\tb\r\n", "a b\r\n"},
		{"one long line", strings.Repeat("ab  ", 9), strings.Repeat("ab  ", 9) + "\r\n",
			strings.Repeat("ab ", 8) + "ab\r\n"},
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
			for f, want := range map[*form]string{&simple: tt.simple, &relaxed: tt.relaxed} {
				if got := f.inChunks(tt.in); got != want {
					t.Errorf("%s body of %q is %q, want %q", f.name, tt.in, got, want)
				}
				if got := f.inChunks(tt.in[:len(tt.in)/2], tt.in[len(tt.in)/2:]); got != want {
					t.Errorf("%s body of %q in two chunks is %q, want %q", f.name, tt.in, got, want)
				}
				if got := f.want(tt.in); got != want {
					t.Errorf("the reference's %s body of %q is %q, want %q", f.name, tt.in, got,
						want)
				}
			}
		})
	}
}

// TestBodyEverySplit takes every body of up to five bytes that matter, cut at every set of places.
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
		for _, f := range forms {
			want := f.want(string(body[:n]))
			for cuts := range 1 << max(0, n-1) {
				if chunks := cutAt(string(body[:n]), cuts); f.inChunks(chunks...) != want {
					t.Fatalf("%s body of %q is %q, want %q", f.name, chunks, f.inChunks(chunks...),
						want)
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

// TestBodyEightAtOnce puts what matters at every place of the words that the canonicalizer looks
// at.
func TestBodyEightAtOnce(t *testing.T) {
	parts := []string{" ", "  ", "\t", " \t", "\r", "\r\n", " \r\n", "\r\n ", "\r\n\r\n", " \r",
		"\xa0", "\x89", "\x8d", "\x20\x0d\x0a\x09", "\n"}
	for _, part := range parts {
		for _, second := range parts {
			for at := range 17 {
				body := strings.Repeat("x", at) + part + strings.Repeat("y", 17-at) + second +
					"zzzzzzz"
				for _, f := range forms {
					want := f.want(body)
					if got := f.inChunks(body); got != want {
						t.Fatalf("%s body of %q is %q, want %q", f.name, body, got, want)
					}
				}
			}
		}
	}
}

// TestBodyEveryPair puts every two bytes after white space, where they decide whether it stays.
func TestBodyEveryPair(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			body := "a  b" + strings.Repeat("c", (first+second)%wordSize) + " " +
				string([]byte{byte(first), byte(second)}) + "12345678 12345678"
			if got, want := relaxed.inChunks(body), relaxed.want(body); got != want {
				t.Fatalf("relaxed body of %q is %q, want %q", body, got, want)
			}
		}
	}
}

// FuzzBody compares with the reference. The body is repeated until it is longer than what the
// canonicalizer looks at before it hands something on, and cut into chunks of the lengths that cuts
// says, in turn.
func FuzzBody(fuzz *testing.F) {
	fuzz.Fuzz(func(t *testing.T, piece string, cuts []byte, times byte) {
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
		for _, f := range forms {
			if got, want := f.inChunks(chunks...), f.want(body); got != want {
				t.Fatalf("%s body of %q is %q, want %q", f.name, chunks, got, want)
			}
		}
	})
}

// TestBodyEdges puts what matters before, on and behind the places where the canonicalizer changes
// how it looks at a body, behind each thing that may have led it there.
func TestBodyEdges(t *testing.T) {
	before := []string{"x", "ab ", "a  b", " ", "\r\n", "a\tb\r\n"}
	parts := []string{" ", "  ", "\t", "\r", "\r\n", " \r\n", "\r\n ", " \r", "\r\n\r\n",
		" \t\r\n\r\n\t"}
	for _, place := range []int{careful, plainRun, blockSize - careful, blockSize, blockSize +
		careful} {
		for _, filler := range before {
			long := strings.Repeat(filler, blockSize+2*careful)
			for _, part := range parts {
				for length := place - 2*wordSize; length < place+wordSize; length++ {
					body := long[:length] + part + "z" + part
					for _, f := range forms {
						if got, want := f.inChunks(body), f.want(body); got != want {
							t.Fatalf("%s body of %d bytes of %q and %q differs from the reference: %q, want %q",
								f.name, length, filler, part, got, want)
						}
					}
				}
			}
		}
	}
}

func TestBodyRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "word ", "  ", "\t", "\r\n", "\r\n\r\n", "\r", "\n", " \r\n",
		"longer words here", "\xff"}
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
		for _, f := range forms {
			if got, want := f.inChunks(chunks...), f.want(body.String()); got != want {
				t.Fatalf("%s body of %q is %q, want %q", f.name, chunks, got, want)
			}
		}
	}
}
