package message

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestNewField(t *testing.T) {
	tests := []struct{ name, field, value, raw string }{
		{"plain", "Subject", " hello", "Subject: hello"},
		{"no space", "Subject", "hello", "Subject:hello"},
		{"spaces", "Subject", "  hello \t", "Subject:  hello \t"},
		{"empty", "Subject", "", "Subject:"},
		{"LF folds", "Subject", " a\n\tb\n  c", "Subject: a\r\n\tb\r\n  c"},
		{"CRLF folds", "Subject", " a\r\n\tb\r\n  c", "Subject: a\r\n\tb\r\n  c"},
		{"fold first", "Message-ID", "\n <x>", "Message-ID:\r\n <x>"},
		{"line of white space", "Subject", " a\n \t\n b", "Subject: a\r\n \t\r\n b"},
		{"line ends in a row", "Subject", " a\n\n\n b", "Subject: a\r\n\r\n\r\n b"},
		{"bare CR", "Subject", " a\rb\r", "Subject: a\rb\r"},
		{"CR CR LF", "Subject", " a\r\r\n b", "Subject: a\r\r\n b"},
		{"NUL and 8-bit", "Subject", " a\x00\xff", "Subject: a\x00\xff"},
		{"colons", "Subject", " a:b::c", "Subject: a:b::c"},
		{"white space before the colon", "Subject \t", " a", "Subject \t: a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCollector(1000)
			c.Add(tt.field, tt.value)
			for from, f := range map[string]Field{"NewField": NewField(tt.field, []byte(tt.value)),
				"Collector": c.Header()[0]} {
				if string(f.Raw()) != tt.raw || f.String() != tt.raw {
					t.Errorf("%s: raw is %q, want %q", from, f.Raw(), tt.raw)
				}
				if want := strings.TrimRight(tt.field, " \t"); f.Name() != want {
					t.Errorf("%s: name is %q, want %q", from, f.Name(), want)
				}
				if want := tt.raw[len(tt.field)+1:]; string(f.Value()) != want {
					t.Errorf("%s: value is %q, want %q", from, f.Value(), want)
				}
			}
		})
	}
}

func TestParseField(t *testing.T) {
	tests := []struct{ name, in, field, raw string }{ // field is "" for ErrField
		{"plain", "Subject: hello", "Subject", "Subject: hello"},
		{"line end", "Subject: hello\r\n", "Subject", "Subject: hello"},
		{"LF", "Subject: a\n b\n", "Subject", "Subject: a\r\n b"},
		{"white space before the colon", "Subject \t: a", "Subject", "Subject \t: a"},
		{"empty value", "X-F:", "X-F", "X-F:"},
		{"odd name", "X-A_b.c+d!e#f: v", "X-A_b.c+d!e#f", "X-A_b.c+d!e#f: v"},
		{"last line of white space", "A: b\r\n \r\n", "A", "A: b\r\n "},
		{"empty", "", "", ""},
		{"no colon", "Subject", "", ""},
		{"no name", ": x", "", ""},
		{"white space first", " Subject: x", "", ""},
		{"white space inside the name", "Sub ject: x", "", ""},
		{"fold before the colon", "Subject\r\n : x", "", ""},
		{"control character in the name", "Sub\x01ject: x", "", ""},
		{"8-bit name", "X-\xc3\x89: a", "", ""},
		{"two fields", "A: b\r\nB: c", "", ""},
		{"two line ends", "A: b\r\n\r\n", "", ""},
		{"empty line inside", "A: b\r\n\r\n c", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			f, err := ParseField(in)
			if tt.field == "" {
				if !errors.Is(err, ErrField) {
					t.Errorf("ParseField(%q) = %q, %v, want ErrField", tt.in, f.Raw(), err)
				}
				return
			}
			clear(in) // the field is a copy
			if f.Name() != tt.field || string(f.Raw()) != tt.raw || err != nil {
				t.Errorf("ParseField(%q) = %q called %q, %v, want %q called %q", tt.in, f.Raw(),
					f.Name(), err, tt.raw, tt.field)
			}
		})
	}
}

func TestIs(t *testing.T) {
	f := NewField("DKIM-Signature ", []byte(" x"))
	for name, want := range map[string]bool{
		"DKIM-Signature": true, "dkim-signature": true, "DKIM-SIGNATURE": true,
		"DKIM-Signature ": false, "DKIM-Signatur": false, "DKIM_Signature": false, "DKIM\rSignature": false, "": false,
	} {
		if got := f.Is(name); got != want {
			t.Errorf("Is(%q) = %t, want %t", name, got, want)
		}
	}
	// @ and ` differ by the bit that parts A from a.
	if NewField("A@", nil).Is("a`") {
		t.Error("A@ is taken for a`")
	}
	var zero Field
	if zero.Name() != "" || zero.Value() != nil || !zero.Is("") {
		t.Error("the zero field is not empty")
	}
}

func header(names ...string) Header {
	var h Header
	for i, n := range names {
		h = append(h, NewField(n, []byte{' ', byte('0' + i)}))
	}
	return h
}

func text(h Header) string {
	var lines []string
	for _, f := range h {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "|")
}

func TestOrdinal(t *testing.T) {
	h := header("A", "B", "a", "A ", "C")
	want := []int{1, 1, 2, 3, 1}
	for i := range h {
		if got := h.Ordinal(i); got != want[i] {
			t.Errorf("Ordinal(%d) = %d, want %d", i, got, want[i])
		}
	}
	if got := h.Ordinals([]int{3, 0, 4, 2}); !slices.Equal(got, []int{3, 1, 1, 2}) {
		t.Errorf("Ordinals(3, 0, 4, 2) = %d, want 3, 1, 1, 2", got)
	}
	if got := h.Fields("A"); !slices.Equal(got, []int{0, 2, 3}) {
		t.Errorf("Fields(A) = %d, want 0, 2, 3", got)
	}
}

func TestWith(t *testing.T) {
	h := header("A", "B", "C")
	tests := []struct {
		name string
		e    Edits
		want string
	}{
		{"nothing", Edits{}, "A: 0|B: 1|C: 2"},
		{"removed", Edits{Remove: []int{2, 0}}, "B: 1"},
		{"removed twice", Edits{Remove: []int{1, 1}}, "A: 0|C: 2"},
		{"removed out of range", Edits{Remove: []int{-1, 3}}, "A: 0|B: 1|C: 2"},
		{"inserted", Edits{Insert: header("X", "Y")}, "X: 0|Y: 1|A: 0|B: 1|C: 2"},
		{"both", Edits{Remove: []int{0}, Insert: header("X")}, "X: 0|B: 1|C: 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := text(h.With(tt.e)); got != tt.want {
				t.Errorf("With(%v) = %s, want %s", tt.e, got, tt.want)
			}
			if text(h) != "A: 0|B: 1|C: 2" {
				t.Errorf("With(%v) changed the header to %s", tt.e, text(h))
			}
		})
	}
}
