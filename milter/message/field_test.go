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
			for from, f := range map[string]Field{"NewField": NewField(tt.field, []byte(tt.value)), "Collector": c.Header()[0]} {
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
				t.Errorf("ParseField(%q) = %q called %q, %v, want %q called %q", tt.in, f.Raw(), f.Name(), err, tt.raw, tt.field)
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

func TestCollectorLimit(t *testing.T) {
	cost := len("A: 12\r\n") + fieldCost
	tests := []struct {
		name  string
		limit int
		kept  int
	}{
		{"room for all", 3 * cost, 3},
		{"one octet short", 3*cost - 1, 2},
		{"room for one", cost, 1},
		{"room for none", cost - 1, 0},
		{"no room", 0, 0},
		{"negative", -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCollector(tt.limit)
			for range 3 {
				c.Add("A", " 12")
			}
			if got := len(c.Header()); got != tt.kept || c.Overflow() != (tt.kept < 3) {
				t.Errorf("%d fields kept, overflow %t, want %d", got, c.Overflow(), tt.kept)
			}
		})
	}
}

// TestCollectorStops holds that nothing is kept after a field that was too large, however small it is.
func TestCollectorStops(t *testing.T) {
	c := NewCollector(200)
	if !c.Add("A", " 1") || c.Add("B", strings.Repeat("x", 200)) || c.Add("C", " 3") {
		t.Error("a field was kept after one that was too large")
	}
	if !c.Overflow() || text(c.Header()) != "A: 1" {
		t.Errorf("kept %s, overflow %t", text(c.Header()), c.Overflow())
	}
}

// TestCollectorKeeps holds that fields do not grow into one another, nor a header into one given away before.
func TestCollectorKeeps(t *testing.T) {
	c := NewCollector(1 << 20)
	var early Header
	for i := range 2000 {
		c.Add("A", strings.Repeat("x\n", i%300))
		if i == 10 {
			early = c.Header()
		}
	}
	_ = append(early, NewField("B", nil))
	for i, f := range c.Header() {
		if want := "A:" + strings.Repeat("x\r\n", i%300); string(f.Raw()) != want {
			t.Fatalf("field %d is %.40q…, want %.40q…", i, f.Raw(), want)
		}
		if len(f.Raw()) != cap(f.Raw()) {
			t.Fatalf("field %d has room for its neighbour's octets", i)
		}
	}
}

func TestCollectorAllocatesLittle(t *testing.T) {
	value := strings.Repeat("x", 60) + "\n\t" + strings.Repeat("y", 60)
	const fields = 2000
	n := testing.AllocsPerRun(10, func() {
		c := NewCollector(1 << 20)
		for range fields {
			c.Add("Received", value)
		}
		c.Header()
	})
	if n > fields/50 {
		t.Errorf("%d fields take %v allocations, want at most %d", fields, n, fields/50)
	}
}
