package message

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/allocations"
)

// both is every canonicalization.
var both = []Canonicalization{Simple, Relaxed}

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

func TestDigests(t *testing.T) {
	const body = "a  b\r\n\r\nc \t\r\n\r\n\r\n"
	canonical := map[Canonicalization]string{Simple: "a  b\r\n\r\nc \t\r\n",
		Relaxed: "a b\r\n\r\nc\r\n"}
	for _, c := range both {
		want := canonical[c]
		var wanted []BodyHash
		for l := Whole; l <= int64(len(want))+2; l++ {
			wanted = append(wanted, BodyHash{c, l}, BodyHash{c, l})
		}
		for size := 1; size <= len(body); size++ {
			d := NewDigests(wanted)
			for rest := body; rest != ""; {
				n := min(size, len(rest))
				d.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			d.Close()
			for _, w := range wanted {
				hashed := want
				if 0 <= w.Limit && w.Limit < int64(len(want)) {
					hashed = want[:w.Limit]
				}
				expected := Sum{sha256.Sum256([]byte(hashed)), int64(len(want))}
				if got, ok := d.Sum(w); got != expected || !ok {
					t.Fatalf("chunks of %d: Sum(%v) = %v, %t, want %v", size, w, got, ok, expected)
				}
			}
			if d.Size() != int64(len(body)) {
				t.Fatalf("Size() = %d, want %d", d.Size(), len(body))
			}
		}
	}
}

func TestSumNotWanted(t *testing.T) {
	d := NewDigests([]BodyHash{{Relaxed, Whole}, {Relaxed, 3}})
	d.Write([]byte("abcdef"))
	if _, ok := d.Sum(BodyHash{Relaxed, Whole}); ok {
		t.Error("there is a sum before the body is closed")
	}
	d.Close()
	for w, want := range map[BodyHash]bool{
		{Relaxed, Whole}: true, {Relaxed, 3}: true, {Relaxed, 2}: false, {Relaxed, 4}: false, {Relaxed, 0}: false,
		{Simple, Whole}: false, {Simple, 3}: false,
	} {
		if _, ok := d.Sum(w); ok != want {
			t.Errorf("Sum(%v) is known: %t, want %t", w, ok, want)
		}
	}
}

func TestClose(t *testing.T) {
	w := BodyHash{Simple, Whole}
	d := NewDigests([]BodyHash{w})
	d.Write([]byte("a"))
	d.Close()
	before, _ := d.Sum(w)
	if n, err := d.Write([]byte("b")); n != 0 || err == nil {
		t.Errorf("Write after Close = %d, %v, want an error", n, err)
	}
	d.Close()
	if after, _ := d.Sum(w); after != before || d.Size() != 1 {
		t.Errorf("Close and Write after Close changed the sum to %v, the size to %d", after,
			d.Size())
	}
}

func TestLimitsAreBounded(t *testing.T) {
	var wanted []BodyHash
	for i := range int64(10 * MaxLimits) {
		wanted = append(wanted, BodyHash{Simple, i}, BodyHash{Simple, i})
	}
	d := NewDigests(append(wanted, BodyHash{Simple, Whole}))
	d.Write([]byte(strings.Repeat("a", 20*MaxLimits)))
	d.Close()
	for _, w := range wanted {
		if _, ok := d.Sum(w); ok != (w.Limit < MaxLimits) {
			t.Errorf("Sum(%v) is known: %t", w, ok)
		}
	}
	if sum, ok := d.Sum(BodyHash{Simple, Whole}); !ok || sum.Length != 20*MaxLimits+2 {
		t.Errorf("Sum of the whole body = %v, %t", sum, ok)
	}
}

// TestChunksAreNotKept overwrites each chunk as the guard does, which reads every packet into the
// same memory.
func TestChunksAreNotKept(t *testing.T) {
	body := letter(10000)
	for _, c := range both {
		w := BodyHash{c, Whole}
		d := NewDigests([]BodyHash{w})
		buf := make([]byte, 7)
		for rest := body; len(rest) > 0; {
			n := copy(buf, rest)
			d.Write(buf[:n])
			clear(buf)
			rest = rest[n:]
		}
		d.Close()
		want := sha256.Sum256(c.AppendBody(nil, body))
		if got, _ := d.Sum(w); got.SHA256 != want {
			t.Errorf("%v hash is %x, want %x", c, got.SHA256, want)
		}
	}
}

// TestDigestsAllocateNothing holds what keeps a message of any size within the memory of a small
// one.
func TestDigestsAllocateNothing(t *testing.T) {
	d := NewDigests([]BodyHash{{Simple, Whole}, {Relaxed, Whole}, {Relaxed, 1 << 16},
		{Relaxed, 1 << 20}})
	chunk := append(letter(1<<16), "a  b\t\r\n\r\n \r\n\r"...)
	allocations.Hold(t, "milter/message: digests of 64 KiB", 100, func() { _, _ = d.Write(chunk) })
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

// TestBodyLinear digests 8 MB of each hostile body in small chunks. It takes a tenth of a second; a
// quadratic step took others half a minute.
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
		"> as the others are back from Paris.\r\nThey are, and here is what they brought. It is " +
		"less than we thought, but not\r\n" +
		"by much; and whoever takes two of them gets the third at half the price.\r\n\r\n" +
		"  * one in blue\r\n  * two in red, which nobody " +
		"wants\r\n\r\nname\tprice\tleft\r\nblue\t12.50\t3\r\n\r\n-- \r\nJoe\r\n\r\n"
	return []byte(strings.Repeat(text, size/len(text)+1)[:size])
}
