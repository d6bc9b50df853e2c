package message

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
)

func TestAppendField(t *testing.T) {
	tests := []struct{ name, raw, relaxed string }{ // simple is raw
		{"the RFC's first example", "A: X", "a:X"}, // RFC 6376 section 3.4.5
		{"the RFC's second example", "B : Y\t\r\n\tZ  ", "b:Y Z"},
		{"name in mixed case", "SubJect: Hello World", "subject:Hello World"},
		{"name beyond letters", "X-[A]@Z: v", "x-[a]@z:v"},
		{"empty value", "X-F:", "x-f:"},
		{"value of white space", "X-F:   \t ", "x-f:"},
		{"folded value of white space", "X-F: \r\n \r\n\t", "x-f:"},
		{"no space", "X-F:a", "x-f:a"},
		{"fold first", "X-F:\r\n a", "x-f:a"},
		{"line of white space inside", "X-F: a\r\n \t \r\n b", "x-f:a b"},
		{"white space before a fold", "X-F: a \t\r\n\t b", "x-f:a b"},
		{"colons", "X-F: a:b::c : d", "x-f:a:b::c : d"},
		{"white space before the colon", "X-F \t : a", "x-f:a"},
		{"vertical tab and form feed", "X-F: a\v\f b", "x-f:a\v\f b"},
		{"NUL, 8-bit, no-break space", "X-F: \x00\xff \u00a0 \u0085 ", "x-f:\x00\xff \u00a0 \u0085"},
		{"bare CR", "X-F: a \r b\r", "x-f:a \r b\r"},
		{"CR CR LF", "X-F: a\r\r\n b", "x-f:a\r b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ParseField([]byte(tt.raw + "\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			for c, want := range map[Canonicalization]string{Simple: tt.raw + "\r\n",
				Relaxed: tt.relaxed + "\r\n"} {
				if got := string(c.AppendField([]byte("before "), f)); got != "before "+want {
					t.Errorf("%v form of %q is %q, want %q", c, tt.raw, got, want)
				}
			}
		})
	}
}

// TestAppendFieldOdd takes values that an MTA may hand over but no file can hold.
func TestAppendFieldOdd(t *testing.T) {
	f := NewField("A", []byte(" a\nb\n\n c\n"))
	if got := string(Relaxed.AppendField(nil, f)); got != "a:ab c\r\n" {
		t.Errorf("relaxed form of %q is %q", f.Raw(), got)
	}
}

func TestAppendFieldAllocatesNothing(t *testing.T) {
	f := NewField("Subject", []byte(" a  b\n\tc"))
	buf := make([]byte, 0, 100)
	for _, c := range both {
		allocations.Hold(t, "milter/message: AppendField", 100, func() { c.AppendField(buf, f) })
	}
}

var (
	foldEnd = regexp.MustCompile(`\r\n`)
	wspRun  = regexp.MustCompile(`[ \t]+`)
)

// naiveField is RFC 6376 section 3.4.2 step by step.
func naiveField(f Field) string {
	name, value, _ := strings.Cut(f.String(), ":")
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	value = foldEnd.ReplaceAllString(value, "")
	value = wspRun.ReplaceAllString(value, " ")
	return name + ":" + strings.Trim(value, " ") + "\r\n"
}

func FuzzAppendField(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw string) {
		field, err := ParseField([]byte(raw))
		if err != nil {
			return
		}
		if got, want := string(Relaxed.AppendField(nil, field)), naiveField(field); got != want {
			t.Fatalf("relaxed form of %q is %q, want %q", field, got, want)
		}
		name, value, _ := strings.Cut(field.String(), ":")
		if again := NewField(name, []byte(value)); again.String() != field.String() ||
			again.Name() != field.Name() {
			t.Fatalf("NewField makes %q of %q", again, field)
		}
	})
}

// TestAppendBody holds that each name means its form; package canon tests the forms themselves.
func TestAppendBody(t *testing.T) {
	const body = " C \r\nD \t E\r\n\r\n\r\n" // RFC 6376 section 3.4.5
	for c, want := range map[Canonicalization]string{Simple: " C \r\nD \t E\r\n",
		Relaxed: " C\r\nD E\r\n"} {
		if got := string(c.AppendBody([]byte("before"), []byte(body))); got != "before"+want {
			t.Errorf("%v body of %q is %q, want %q", c, body, got, "before"+want)
		}
	}
}

func TestParseCanonicalization(t *testing.T) {
	tests := []struct {
		in           string
		header, body Canonicalization
		err          error
	}{
		{"simple/simple", Simple, Simple, nil},
		{"simple/relaxed", Simple, Relaxed, nil},
		{"relaxed/simple", Relaxed, Simple, nil},
		{"relaxed/relaxed", Relaxed, Relaxed, nil},
		{"Relaxed/RELAXED", Relaxed, Relaxed, nil},
		{"simple", Simple, Simple, nil},
		{"relaxed", Relaxed, Simple, nil},
		{"", 0, 0, ErrCanonicalization},
		{"relaxed/", 0, 0, ErrCanonicalization},
		{"/relaxed", 0, 0, ErrCanonicalization},
		{"relaxed/relaxed/relaxed", 0, 0, ErrCanonicalization},
		{"relaxed / relaxed", 0, 0, ErrCanonicalization},
		{"nofws/simple", 0, 0, ErrCanonicalization},
		{"simple/nofws", 0, 0, ErrCanonicalization},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			header, body, err := ParseCanonicalization(tt.in)
			if header != tt.header || body != tt.body || !errors.Is(err, tt.err) {
				t.Errorf("ParseCanonicalization(%q) = %v, %v, %v, want %v, %v, %v", tt.in, header,
					body, err, tt.header, tt.body, tt.err)
			}
		})
	}
}
