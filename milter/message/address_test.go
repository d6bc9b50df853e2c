package message

import (
	"errors"
	"strings"
	"testing"

	"mailseal/milter/domain"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		name, in, local string
		domain          domain.Name
		err             error
	}{
		{"null sender", "", "", "", nil},
		{"null sender in brackets", "<>", "", "", nil},
		{"plain", "joe@example.com", "joe", "example.com", nil},
		{"in brackets", "<joe@Example.COM>", "joe", "example.com", nil},
		{"no domain", "root", "root", "", nil},
		{"quoted", `"a b"@example.com`, "a b", "example.com", nil},
		{"quoted pair", `"a\"b\\"@example.com`, `a"b\`, "example.com", nil},
		{"at in quotes", `"x@pass.example"@fail.example`, "x@pass.example", "fail.example", nil},
		{"at behind an escaped quote", `"x\"@pass.example"@fail.example`, `x"@pass.example`, "fail.example", nil},
		{"escaped at", `x\@pass.example@fail.example`, "x@pass.example", "fail.example", nil},
		{"two ats", "x@pass.example@fail.example", "x@pass.example", "fail.example", nil},
		{"source route", "@a.example,@b.example:joe@example.com", "joe", "example.com", nil},
		{"U-label", "jöe@bücher.example", "jöe", "xn--bcher-kva.example", nil},
		{"literal", "joe@[192.0.2.1]", "joe", "", nil},
		{"quote not closed", `"joe@example.com`, "joe@example.com", "", nil},
		{"no local part", "@example.com", "", "", ErrAddress},
		{"no domain behind the at", "joe@", "", "", ErrAddress},
		{"no domain name", "joe@exa mple.com", "", "", ErrAddress},
		{"IP address", "joe@192.0.2.1", "", "", ErrAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePath(tt.in)
			if want := (Address{Local: tt.local, Domain: tt.domain}); got != want ||
				!errors.Is(err, tt.err) {
				t.Errorf("ParsePath(%q) = %+v, %v, want %+v, %v", tt.in, got, err, want, tt.err)
			}
		})
	}
}

func TestAddressString(t *testing.T) {
	tests := []struct {
		name string
		in   Address
		want string
	}{
		{"zero", Address{}, ""},
		{"plain", Address{"joe", "example.com", "Joe"}, "joe@example.com"},
		{"dots", Address{"a.b", "example.com", ""}, "a.b@example.com"},
		{"dot at the edge", Address{".a", "example.com", ""}, `".a"@example.com`},
		{"two dots", Address{"a..b", "example.com", ""}, `"a..b"@example.com`},
		{"at", Address{"a@b", "example.com", ""}, `"a@b"@example.com`},
		{"quote and backslash", Address{`a"\`, "example.com", ""}, `"a\"\\"@example.com`},
		{"empty local part", Address{"", "example.com", ""}, `""@example.com`},
		{"UTF-8", Address{"jöe", "xn--bcher-kva.example", ""}, "jöe@xn--bcher-kva.example"},
		{"no domain", Address{"root", "", ""}, "root"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("%+v.String() = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

// FuzzParsePath holds that an address written is the address read.
func FuzzParsePath(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParsePath(s)
		if err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Fatal(err)
			}
			return
		}
		if a.Domain == "" {
			return
		}
		if again, err := ParsePath(a.String()); again != a || err != nil {
			t.Fatalf("ParsePath(%q) = %+v, but ParsePath(%q) = %+v, %v", s, a, a, again, err)
		}
		if from, err := parseFrom([]byte(a.String())); err == nil && (len(from) != 1 ||
			from[0] != a) {
			t.Fatalf("ParsePath(%q) = %+v, but From: %s is %+v", s, a, a, from)
		}
		if !strings.HasSuffix(a.String(), "@"+string(a.Domain)) {
			t.Fatalf("ParsePath(%q).String() = %q, which does not end with its domain", s, a)
		}
	})
}
