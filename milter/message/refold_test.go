package message

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestRefold(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name, raw string
		want      string // "" when it cannot be
	}{
		{"short", "A: one", "A: one"},
		{"at the limit", "A: " + x(17), "A: " + x(17)},
		{"two words", "A: " + x(10) + " " + x(10), "A: " + x(10) + "\r\n " + x(10)},
		{"tab", "A: " + x(10) + "\t" + x(10), "A: " + x(10) + "\r\n\t" + x(10)},
		{"only the long line", "A: a b\r\n " + x(10) + " " + x(10) + "\r\n c d", "A: a b\r\n " +
			x(10) + "\r\n " + x(10) + "\r\n c d"},
		{"behind the colon", "A: " + x(19), "A:\r\n " + x(19)},
		{"no white space behind the colon", "A:" + x(19), ""},
		{"a word of a whole line", "A: " + x(20), ""},
		{"a word of a whole line further on", "A: a b " + x(20) + " c", ""},
		{"several blanks", "A: " + x(10) + "    " + x(10), "A: " + x(10) + "\r\n    " + x(10)},
		{"more blanks than a line with the word has room for", "A: " + x(10) + strings.Repeat(" ",
			8) + x(15), "A: " + x(10) + strings.Repeat(" ", 7) + "\r\n " + x(15)},
		{"blanks alone", "A: " + strings.Repeat(" ", 40), ""},
		{"blanks at the end", "A: a" + strings.Repeat(" ", 40), ""},
		{"a NUL", "A: a\x00" + x(10) + " " + x(10), ""},
		{"a bare CR", "A: a\rb" + x(10) + " " + x(10), ""},
		{"UTF-8", "A: äöüäöü äöüäöü", "A: äöüäöü\r\n äöüäöü"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := ParseField([]byte(tc.raw))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := f.Refold(20)
			if ok != (tc.want != "") || ok && got.String() != tc.want {
				t.Errorf("got %q, %v; want %q", got.String(), ok, tc.want)
			}
		})
	}
	large := NewField("A", []byte(" "+strings.Repeat("word ", 13000)+"end"))
	if _, ok := large.Refold(900); ok {
		t.Error("a field that is larger than a packet of Sendmail's was folded")
	}
}

// TestRefoldIsRelaxed holds, over fields made at random, that a refolded field has the same relaxed
// form, no line over the limit and none of white space alone.
func TestRefoldIsRelaxed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{" ", "\t", "  ", "word", "<id@example.com>", ",", `"a`, `b"`, "\\ ", "\r\n ",
		"\r\n\t", "=?utf-8?q?a?=", "ü"}
	done := 0
	for range 20000 {
		value := " w"
		for range r.IntN(40) {
			value += pieces[r.IntN(len(pieces))]
		}
		f := NewField("Subject", []byte(value))
		got, ok := f.Refold(30)
		if !ok {
			continue
		}
		done++
		if a, b := Relaxed.AppendField(nil, f), Relaxed.AppendField(nil, got); !bytes.Equal(a, b) {
			t.Fatalf("%q became %q: relaxed %q and %q", f.String(), got.String(), a, b)
		}
		if got.LongestLine() > 30 {
			t.Fatalf("%q: a line of %d bytes", got.String(), got.LongestLine())
		}
		was := map[string]bool{}
		for _, line := range strings.Split(f.String(), "\r\n") {
			was[line] = true
		}
		for _, line := range strings.Split(got.String(), "\r\n") {
			if strings.Trim(line, " \t") == "" && !was[line] {
				t.Fatalf("%q became %q: a blank line", f.String(), got.String())
			}
		}
	}
	if done < 1000 {
		t.Errorf("only %d fields were folded", done)
	}
}

func TestChange(t *testing.T) {
	h := Header{NewField("A", []byte(" 1")), NewField("B", []byte(" 2")),
		NewField("C", []byte(" 3"))}
	e := Edits{
		Change: []Change{{At: 1, Field: NewField("B", []byte(" two"))}, {At: 9, Field: NewField("X", nil)}},
		Remove: []int{0},
		Insert: []Field{NewField("Z", []byte(" 0"))},
	}
	if got, want := text(h.With(e)), "Z: 0|B: two|C: 3"; strings.Join(strings.Fields(got),
		"") != strings.Join(strings.Fields(want), "") {
		t.Errorf("got %q, want %q", got, want)
	}
	if text(h) != text(h.With(Edits{})) {
		t.Error("the header itself was changed")
	}
}

func TestIsEightBit(t *testing.T) {
	for n := range 40 {
		p := bytes.Repeat([]byte{0x7f}, n)
		if IsEightBit(p) {
			t.Errorf("%d bytes of 7 bits", n)
		}
		for i := range p {
			p[i] = 0x80
			d := NewDigests(nil)
			d.Write([]byte("plain"))
			d.Write(p)
			if !IsEightBit(p) || !d.IsEightBit() {
				t.Errorf("byte %d of %d is not seen", i, n)
			}
			p[i] = 0x7f
		}
	}
}
