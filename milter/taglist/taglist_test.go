package taglist

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     string // names and values, as pairs prints them
		err      error
	}{
		{"one", "a=1", "a=1", nil},
		{"final semicolon", "a=1;", "a=1", nil},
		{"white space behind the final semicolon", "a=1; \t", "a=1", nil},
		{"a fold behind the final semicolon", "a=1;\r\n ", "a=1", nil},
		{"white space everywhere", " \tv\t= 1 ; a =\tx y\t", "v=1|a=x y", nil},
		{"folds everywhere", "\r\n v\r\n\t=\r\n 1\r\n ;\r\n a=x\r\n  y\r\n ", "v=1|a=x\r\n  y", nil},
		{"white space alone in a folded line", "a=1 \r\n \r\n 2", "a=1 \r\n \r\n 2", nil},
		{"empty values", "v=; a= \t;b=", "v=|a=|b=", nil},
		{"case counts", "b=1; B=2", "b=1|B=2", nil},
		{"equals signs in a value", "p=QUJD==; n=a=b", "p=QUJD==|n=a=b", nil},
		{"b= inside other values", "z=Subject:b=1|b=2; xb=3; b=4", "z=Subject:b=1|b=2|xb=3|b=4", nil},
		{"digits and underscores in a name", "a1_b=1", "a1_b=1", nil},
		{"all printable octets", "a=!~,./:<>?@[]^_`{|}\"'()\\", "a=!~,./:<>?@[]^_`{|}\"'()\\", nil},
		{"UTF-8", "d=bücher.example", "d=bücher.example", nil},

		{"empty", "", "", ErrSyntax},
		{"white space alone", " ", "", ErrSyntax},
		{"a semicolon alone", ";", "", ErrSyntax},
		{"an empty tag first", ";a=1", "", ErrSyntax},
		{"an empty tag between", "a=1;;b=2", "", ErrSyntax},
		{"an empty tag last", "a=1;;", "", ErrSyntax},
		{"no equals sign", "a=1; b", "", ErrSyntax},
		{"no name", "=1", "", ErrSyntax},
		{"a name that begins with a digit", "1a=1", "", ErrSyntax},
		{"a name that begins with an underscore", "_a=1", "", ErrSyntax},
		{"a hyphen in a name", "a-b=1", "", ErrSyntax},
		{"white space in a name", "a b=1", "", ErrSyntax},
		{"UTF-8 in a name", "ä=1", "", ErrSyntax},
		{"a bare LF", "a=1\n b", "", ErrSyntax},
		{"a bare CR", "a=1\rb", "", ErrSyntax},
		{"a line end that is no fold", "a=1\r\nb", "", ErrSyntax},
		{"a line end at the end", "a=1\r\n", "", ErrSyntax},
		{"a line end before a semicolon", "a=1\r\n;b=2", "", ErrSyntax},
		{"a line end before the equals sign", "a\r\n=1", "", ErrSyntax},
		{"a line end behind the final semicolon", "a=1;\r\n", "", ErrSyntax},
		{"NUL", "a=\x00", "", ErrSyntax},
		{"vertical tab", "a=\v1", "", ErrSyntax},
		{"DEL", "a=\x7f", "", ErrSyntax},
		{"Latin-1", "a=b\xfc", "", ErrSyntax},
		{"too many", tags(MaxTags + 1), "", ErrSyntax},

		{"twice the same", "a=1; b=2; a=1", "", ErrDuplicate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if pairs(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Parse(%.80q) = %q, %v, want %q, %v", tt.in, pairs(got), err, tt.want,
					tt.err)
			}
		})
	}
	if l, err := Parse(tags(MaxTags)); len(l) != MaxTags || err != nil {
		t.Errorf("Parse of %d tags = %d tags, %v", MaxTags, len(l), err)
	}
}

// tags returns a list of n tags.
func tags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d=%d;", i, i)
	}
	return b.String()
}

func pairs(l List) string {
	var all []string
	for _, t := range l {
		all = append(all, t.Name+"="+t.Value)
	}
	return strings.Join(all, "|")
}

// TestSpan cuts b= out of a field as DKIM does before it hashes its own signature.
func TestSpan(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"last", "v=1; b=abc", "v=1; b="},
		{"first", "b=abc; v=1", "b=; v=1"},
		{"between", "v=1;b=abc;d=x", "v=1;b=;d=x"},
		{"behind one that ends with b=", "z=a|b=x; b=abc", "z=a|b=x; b="},
		{"behind one whose name ends with b", "sub=x; b=abc;", "sub=x; b=;"},
		{"before B", "b=abc; B=x", "b=; B=x"},
		{"white space around it", "v=1; b \t= \r\n\tab\r\n\tc \r\n ; d=x", "v=1; b \t=; d=x"},
		{"white space at the end", "v=1; b=abc\r\n ", "v=1; b="},
		{"already empty", "v=1; b=; d=x", "v=1; b=; d=x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			b := l[l.index("b")]
			if got := tt.in[:b.Start] + tt.in[b.End:]; got != tt.want {
				t.Errorf("%q without b= is %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestValue(t *testing.T) {
	l, err := Parse("v=1; b=; B=x")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{{"v", "1", true}, {"b", "", true}, {"B", "x", true}, {"V", "", false}} {
		if got, ok := l.Value(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("Value(%q) = %q, %t, want %q, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParseLenient(t *testing.T) {
	tests := []struct {
		name, in, want string
		skipped        []string
	}{
		{"nothing wrong", "v=DMARC1; p=none;", "v=DMARC1|p=none", nil},
		{"empty", "", "", nil},
		{"empty tags", "v=DMARC1;; p=none; ;", "v=DMARC1|p=none", nil},
		{"no equals sign", "v=DMARC1; p; sp=none", "v=DMARC1|sp=none", []string{" p"}},
		{"names in upper case", "v=DMARC1; P=none; SP=reject", "v=DMARC1|p=none|sp=reject", nil},
		{"duplicates", "v=DMARC1; p=none; P=reject", "v=DMARC1|p=none", []string{" P=reject"}},
		{"a bad value", "v=DMARC1; p=no\x00ne; rua=x", "v=DMARC1|rua=x", []string{" p=no\x00ne"}},
		{"a bad name", "v=DMARC1; p-x=1", "v=DMARC1", []string{" p-x=1"}},
		{"too many", tags(MaxTags) + "b=1;c=2", pairs(must(Parse(tags(MaxTags)))), []string{"b=1;c=2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, skipped := ParseLenient(tt.in)
			if pairs(got) != tt.want || !slices.Equal(skipped, tt.skipped) {
				t.Errorf("ParseLenient(%q) = %q, %q, want %q, %q", tt.in, pairs(got), skipped,
					tt.want, tt.skipped)
			}
		})
	}
}

func must(l List, err error) List {
	if err != nil {
		panic(err)
	}
	return l
}

func TestCompact(t *testing.T) {
	for in, want := range map[string]string{"": "", "ab": "ab", " a\tb\r\n c ": "abc",
		"\xff b": "\xffb"} {
		if got := Compact(in); got != want {
			t.Errorf("Compact(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestLinear parses what would take minutes if any step were quadratic. It takes hundredths of a
// second.
func TestLinear(t *testing.T) {
	const size = 4 << 20
	for name, s := range map[string]string{
		"many tags":                "a=1;" + strings.Repeat("b;", size/2),
		"semicolons":               strings.Repeat(";", size),
		"white space":              strings.Repeat(" ", size),
		"tags before white space":  tags(MaxTags) + strings.Repeat(" ", size),
		"folds":                    "a=" + strings.Repeat("\r\n ", size/3) + "b",
		"equals signs":             "a" + strings.Repeat("=", size),
		"one name":                 strings.Repeat("a", size),
		"tags of one name":         strings.Repeat("a=;", size/3),
		"white space before names": strings.Repeat(strings.Repeat(" ", 1<<10)+"a=;", size>>10),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			Parse(s)
			ParseLenient(s)
			Compact(s)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d octets took %v", len(s), took)
			}
		})
	}
}

// FuzzParse holds that spans are what the values were cut from, and that a list written again is
// the same list.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		lenient, skipped := ParseLenient(s)
		list, err := Parse(s)
		if err != nil {
			if list != nil || !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrDuplicate) {
				t.Fatalf("Parse(%q) = %v, %v", s, list, err)
			}
			return
		}
		again := ""
		for _, tag := range list {
			if strings.Trim(s[tag.Start:tag.End], fws) != tag.Value || s[tag.Start-1] != '=' {
				t.Fatalf("Parse(%q): %+v does not stand there", s, tag)
			}
			if tag.End < len(s) && s[tag.End] != ';' {
				t.Fatalf("Parse(%q): %+v ends too early", s, tag)
			}
			again += tag.Name + "=" + tag.Value + ";"
		}
		if l, err := Parse(again); pairs(l) != pairs(list) {
			t.Fatalf("Parse(%q) = %q, but Parse(%q) = %q, %v", s, pairs(list), again, pairs(l), err)
		}
		if len(lenient)+len(skipped) < len(list) {
			t.Fatalf("ParseLenient(%q) = %q and %q: less than Parse", s, pairs(lenient), skipped)
		}
	})
}
