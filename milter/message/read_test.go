package message

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const noLimit = 1 << 30

func TestReadHeader(t *testing.T) {
	long := strings.Repeat("x", 10000)
	tests := []struct{ name, in, want, rest string }{ // want: the fields, parted by |
		{"plain", "A: b\r\nC: d\r\n\r\nbody\r\n", "A: b|C: d", "body\r\n"},
		{"LF", "A: b\nC: d\n\nbody\n", "A: b|C: d", "body\n"},
		{"folds", "A: b\r\n\tc\r\n  d\r\nE: f\r\n\r\n", "A: b\r\n\tc\r\n  d|E: f", ""},
		{"LF folds", "A: b\n\tc\n  d\nE: f\n\n", "A: b\r\n\tc\r\n  d|E: f", ""},
		{"lines of white space", "A: b\r\n \t\r\n c\r\n \r\n\r\nbody", "A: b\r\n \t\r\n c\r\n ", "body"},
		{"both line ends", "A: b\r\nC: d\nE: f\r\n\nbody", "A: b|C: d|E: f", "body"},
		{"no body", "A: b\r\n\r\n", "A: b", ""},
		{"no empty line", "A: b\r\n", "A: b", ""},
		{"no line end", "A: b", "A: b", ""},
		{"CR at the end", "A: b\r", "A: b\r", ""},
		{"fold at the end", "A: b\r\n ", "A: b\r\n ", ""},
		{"nothing", "", "", ""},
		{"empty line first", "\r\nA: b\r\n", "", "A: b\r\n"},
		{"LF first", "\nA: b\n", "", "A: b\n"},
		{"empty line of the body kept", "A: b\r\n\r\n\r\nx", "A: b", "\r\nx"},
		{"value kept", "A:  b \t\r\nC:\r\nD:d\r\nE:\t\x00\xff\r\n\r\n", "A:  b \t|C:|D:d|E:\t\x00\xff", ""},
		{"bare CR kept", "A: b\rc\r\r\n\r\n", "A: b\rc\r", ""},
		{"white space before the colon", "A \t: b\r\n\r\n", "A \t: b", ""},
		{"long", "A: " + long + "\r\n " + long + "\r\nB: c\r\n\r\nbody", "A: " + long + "\r\n " +
			long + "|B: c", "body"},
		{"long name", strings.Repeat("a", 4000) + ": b\r\n\r\n", strings.Repeat("a", 4000) + ": b", ""},

		{"mbox", "From joe Fri Jul 11 21:00:37 2003\r\nA: b\r\n\r\nbody", "A: b", "body"},
		{"quoted mbox", "From joe Fri Jul 11\n>From ann Fri Jul 11\nA: b\n\nbody", "A: b", "body"},
		{"mbox line later", "A: b\r\nFrom joe\r\nC: d\r\n\r\n", "A: b", "From joe\r\nC: d\r\n\r\n"},
		{"no mbox", "From : a@b\r\n\r\n", "From : a@b", ""},

		{"no field", "A: b\r\nno field\r\nC: d\r\n\r\n", "A: b", "no field\r\nC: d\r\n\r\n"},
		{"no name", "A: b\r\n: c\r\n\r\n", "A: b", ": c\r\n\r\n"},
		{"8-bit name", "A: b\r\nX-\xc3\x89: c\r\n", "A: b", "X-\xc3\x89: c\r\n"},
		{"white space first", " a\r\nA: b\r\n", "", " a\r\nA: b\r\n"},
		{"CR CR LF", "A: b\r\n\r\r\nx", "A: b", "\r\r\nx"},
		{"CR", "A: b\r\n\rC: d\r\n", "A: b", "\rC: d\r\n"},
		{"name without an end", "A: b\r\n" + long, "A: b", long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for reader, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "octet by octet": iotest.OneByteReader(strings.NewReader(tt.in)),
				"with EOF": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				br := bufio.NewReader(r)
				h, err := ReadHeader(br, noLimit)
				rest, _ := io.ReadAll(br)
				if text(h) != tt.want || string(rest) != tt.rest || err != nil {
					t.Errorf("%s: ReadHeader(%.99q) = %.99q, %v, and leaves %.99q; want %.99q and %.99q",
						reader, tt.in, text(h), err, rest, tt.want, tt.rest)
				}
				for _, f := range h {
					if again, err := ParseField(f.Raw()); err != nil || again.Name() != f.Name() ||
						!bytes.Equal(again.Value(), f.Value()) {
						t.Errorf("%s: field %q called %q is not what ParseField reads: %q, %v",
							reader, f, f.Name(), again, err)
					}
				}
			}
		})
	}
}

func TestReadHeaderLimit(t *testing.T) {
	const in = "A: b\r\n\tc\r\nD: e\r\n\r\n"
	exact := len(in) - 2 + 2*fieldCost
	tests := []struct {
		name, in string
		limit    int
		err      error
	}{
		{"exact", in, exact, nil},
		{"exact with LF", strings.ReplaceAll(in, "\r", ""), exact, nil},
		{"one less", in, exact - 1, ErrHeaderTooLarge},
		{"one less with LF", strings.ReplaceAll(in, "\r", ""), exact - 1, ErrHeaderTooLarge},
		{"a line without an end", "A: " + strings.Repeat("b", 1<<20), 1000, ErrHeaderTooLarge},
		{"a field without an end", "A: b" + strings.Repeat("\n c", 1<<20), 1000, ErrHeaderTooLarge},
		{"fields without an end", strings.Repeat("A:\n", 1<<20), 1 << 20, ErrHeaderTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.NewReader(tt.in)
			h, err := ReadHeader(bufio.NewReader(in), tt.limit)
			if !errors.Is(err, tt.err) || (h != nil) != (tt.err == nil) {
				t.Errorf("ReadHeader = %v, %v, want %v", h, err, tt.err)
			}
			if read := len(tt.in) - in.Len(); read > tt.limit+2*4096 {
				t.Errorf("%d octets were read, the limit is %d", read, tt.limit)
			}
		})
	}
}

func TestReadHeaderErrors(t *testing.T) {
	broken := errors.New("broken")
	const in = "From x\r\nA: b\r\n c\r\nD: e\r\n\r\n"
	for i := range in {
		r := io.MultiReader(strings.NewReader(in[:i]), iotest.ErrReader(broken))
		if h, err := ReadHeader(bufio.NewReader(r), noLimit); !errors.Is(err, broken) || h != nil {
			t.Errorf("after %q: ReadHeader = %v, %v, want %v", in[:i], h, err, broken)
		}
	}
	r := io.MultiReader(strings.NewReader(in+"body"), iotest.ErrReader(broken))
	if m, err := Read(r, noLimit, nil); !errors.Is(err, broken) || m != nil {
		t.Errorf("Read = %v, %v, want %v", m, err, broken)
	}
}

// TestReadHeaderLinear reads headers of 1 MB on which others spend a minute.
func TestReadHeaderLinear(t *testing.T) {
	const size = 1 << 20
	for name, in := range map[string]string{
		"one folded field": "A: b" + strings.Repeat("\r\n c", size/4),
		"empty folds":      "A: b" + strings.Repeat("\r\n ", size/3),
		"one line":         "A: " + strings.Repeat("b", size),
		"one name":         strings.Repeat("b", size),
		"small fields":     strings.Repeat("A:\r\n", size/4),
		"CRs":              "A: " + strings.Repeat("\r", size),
		"mbox lines":       strings.Repeat("From \n", size/6),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			h, err := ReadHeader(bufio.NewReader(iotest.HalfReader(strings.NewReader(in))), noLimit)
			for _, f := range h {
				Relaxed.AppendField(nil, f)
			}
			if took := time.Since(start); took > 10*time.Second || err != nil {
				t.Errorf("%d octets took %v, %v", len(in), took, err)
			}
		})
	}
}

func TestRead(t *testing.T) {
	tests := []struct{ name, in, body string }{ // body: as it is to be digested
		{"CRLF", "A: b\r\n\r\nx\r\ny\r\n", "x\r\ny\r\n"},
		{"LF", "A: b\n\nx\ny\n", "x\r\ny\r\n"},
		{"LF and no line end", "A: b\n\nx\n\n\ny", "x\r\n\r\n\r\ny"},
		{"LF and CRLF in the body", "A: b\n\nx\r\ny\n\r\n", "x\r\ny\r\n\r\n"},
		{"LF and CR in the body", "A: b\n\nx\ry\r\r\n\r", "x\ry\r\r\n\r"},
		{"CRLF and LF in the body", "A: b\r\n\r\nx\ny\r\n", "x\ny\r\n"},
		{"CRLF and LF in the header", "A: b\r\nC: d\n\r\nx\ny\r\n", "x\ny\r\n"},
		{"CRLF and then LF", "A: b\r\nC: d\n\nx\ny\r\n", "x\ny\r\n"},
		{"LF and then CRLF", "A: b\nC: d\r\n\r\nx\ny\r\n", "x\r\ny\r\n"},
		{"mbox with LF", "From a\nA: b\n\nx\n", "x\r\n"},
		{"no body", "A: b\r\n", ""},
		{"no header", "\nx\n", "x\r\n"},
		{"nothing", "", ""},
		{"no field first", "x\ny\n", "x\r\ny\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for reader, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "octet by octet": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				wanted := BodyHash{Simple, Whole}
				m, err := Read(r, noLimit, func(Header) []BodyHash { return []BodyHash{wanted} })
				if err != nil {
					t.Fatal(err)
				}
				sum, ok := m.Body.Sum(wanted)
				if want := sha256.Sum256(Simple.AppendBody(nil,
					[]byte(tt.body))); sum.SHA256 != want || !ok {
					t.Errorf("%s: the hash of %q is not that of %q", reader, tt.in, tt.body)
				}
				if m.Body.Size() != int64(len(tt.body)) {
					t.Errorf("%s: size is %d, want %d", reader, m.Body.Size(), len(tt.body))
				}
			}
		})
	}
}

func TestReadWantsNothing(t *testing.T) {
	m, err := Read(strings.NewReader("A: b\r\n\r\nx"), noLimit, nil)
	if err != nil || text(m.Header) != "A: b" || m.Body.Size() != 1 {
		t.Errorf("Read = %v, %v", m, err)
	}
}

// awkward is the shared collection of messages that others got wrong.
const awkward = "../../../shared/vectors/awkward"

// TestAwkward reads each awkward message with CRLF and with LF, and holds that its parts are the
// file.
func TestAwkward(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(awkward, "*.eml"))
	if len(files) == 0 {
		t.Skip("no messages in " + awkward)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := mustRead(t, raw)
			top, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
			if got := strings.ReplaceAll(text(m.Header), "|", "\r\n"); got != string(top) {
				t.Errorf("header is %q, want %q", got, top)
			}
			for _, c := range both {
				sum, _ := m.Body.Sum(BodyHash{c, Whole})
				want := string(c.AppendBody(nil, body))
				if sum != (Sum{sha256.Sum256([]byte(want)), int64(len(want))}) {
					t.Errorf("%v digest is not that of %.99q", c, want)
				}
			}
			if a, err := m.Header.Author(); a.String() != "joe@example.com" || err != nil {
				t.Errorf("author is %v, %v", a, err)
			}
			withLF := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
			if bytes.Count(withLF, []byte("\n")) > bytes.Count(raw, []byte("\r\n")) ||
				bytes.Contains(withLF, []byte("\r\n")) {
				return // a LF or CR of its own in it would become part of a line end
			}
			if lf := mustRead(t, withLF); !slices.EqualFunc(m.Header, lf.Header, sameField) ||
				lf.sum(Relaxed) != m.sum(Relaxed) {
				t.Error("the message is another with LF")
			}
		})
	}
}

func sameField(a, b Field) bool { return bytes.Equal(a.Raw(), b.Raw()) && a.Name() == b.Name() }

func (m *Message) sum(c Canonicalization) Sum {
	s, _ := m.Body.Sum(BodyHash{c, Whole})
	return s
}

func mustRead(t *testing.T, raw []byte) *Message {
	t.Helper()
	m, err := Read(bytes.NewReader(raw), noLimit, func(Header) []BodyHash {
		return []BodyHash{{Simple, Whole}, {Relaxed, Whole}}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mboxLines is "From " lines at the start, but no field.
var mboxLines = regexp.MustCompile(
	`^((From [ \t]*([^: \t\n][^\n]*)?|>From [ \t]*([^: \t\n][^\n]*)?)(\n|$))*`)

// FuzzReadHeader holds that nothing is lost: the fields and what is left are the input, that
// reading does not depend on how the octets arrive, and that a header written is the header read.
func FuzzReadHeader(f *testing.F) {
	f.Fuzz(func(t *testing.T, in string) {
		br := bufio.NewReader(strings.NewReader(in))
		h, err := ReadHeader(br, 1<<20)
		if err != nil {
			if !errors.Is(err, ErrHeaderTooLarge) {
				t.Fatal(err)
			}
			return
		}
		rest, _ := io.ReadAll(br)
		slow := bufio.NewReader(iotest.OneByteReader(strings.NewReader(in)))
		again, err := ReadHeader(slow, 1<<20)
		slowRest, _ := io.ReadAll(slow)
		if !slices.EqualFunc(h, again, sameField) || !bytes.Equal(rest, slowRest) || err != nil {
			t.Fatalf("%q is %q and %q, but %q and %q octet by octet, %v", in, text(h), rest,
				text(again), slowRest, err)
		}
		var written bytes.Buffer
		for _, f := range h {
			if f.Name() == "" || !f.Is(strings.ToUpper(f.Name())) {
				t.Fatalf("%q has a field called %q", in, f.Name())
			}
			written.Write(f.Raw())
			written.WriteString("\r\n")
		}
		taken, isEnd := strings.CutSuffix(in, string(rest))
		taken = string(appendLines(nil, mboxLines.ReplaceAllString(taken, "")))
		if want := written.String(); !isEnd || taken != want && taken != want+crlf && taken+
			crlf != want {
			t.Fatalf("%q: fields are %q and %q is left", in, want, rest)
		}
		if back, err := ReadHeader(bufio.NewReader(&written), 1<<20); !slices.EqualFunc(h, back,
			sameField) || err != nil {
			t.Fatalf("%q is %q, but written and read again %q, %v", in, text(h), text(back), err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	raw := append([]byte(strings.Repeat("Received: from a by b\r\n\twith ESMTP; Fri, 11 Jul 2003 "+
		"21:00:30 -0700\r\n", 20)+"\r\n"), letter(4096)...)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Read(bytes.NewReader(raw), noLimit,
			func(Header) []BodyHash { return []BodyHash{{Relaxed, Whole}} })
	}
}
