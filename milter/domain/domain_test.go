package domain

import (
	"errors"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
)

func TestParse(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	name253 := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
	tests := []struct {
		name, in string
		want     Name // "" for ErrInvalid
	}{
		{"plain", "example.com", "example.com"},
		{"one label", "localhost", "localhost"},
		{"upper case", "Mail.EXAMPLE.Com", "mail.example.com"},
		{"final dot", "example.com.", "example.com"},
		{"underscores", "s1._domainkey.example_.com", "s1._domainkey.example_.com"},
		{"digits", "3com.163.com", "3com.163.com"},
		{"hyphens inside", "r3---sn-4g5.example.com", "r3---sn-4g5.example.com"},
		{"U-label", "bücher.example", "xn--bcher-kva.example"},
		{"U-label, upper case", "BÜCHER.Example", "xn--bcher-kva.example"},
		{"U-label below an underscore", "s1._domainkey.bücher.example", "s1._domainkey.xn--bcher-kva.example"},
		{"A-label, upper case", "XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"A-label of nothing", "xn--a.example", "xn--a.example"},
		{"sharp s is not ss", "straße.example", "xn--strae-oqa.example"},
		{"right to left", "דוגמה.example", "xn--6dbbec0c.example"},
		{"emoji", "i❤.example", "xn--i-7iq.example"},
		{"63 octets in a label", label63 + ".com", Name(label63 + ".com")},
		{"253 octets", name253, Name(name253)},
		{"253 octets and a final dot", name253 + ".", Name(name253)},

		{"empty", "", ""},
		{"a dot", ".", ""},
		{"two final dots", "example.com..", ""},
		{"an empty label", "example..com", ""},
		{"a leading dot", ".example.com", ""},
		{"64 octets in a label", label63 + "a.com", ""},
		{"254 octets", name253 + "b", ""},
		{"leading hyphen", "-a.example", ""},
		{"final hyphen", "a-.example", ""},
		{"space", "exam ple.com", ""},
		{"space at the end", "example.com ", ""},
		{"line end", "example.com\r\n", ""},
		{"NUL", "example.com\x00", ""},
		{"at", "a@example.com", ""},
		{"star", "*.example.com", ""},
		{"slash", "example.com/", ""},
		{"IPv4", "192.0.2.1", ""},
		{"IPv4 literal", "[192.0.2.1]", ""},
		{"IPv6", "2001:db8::1", ""},
		{"number at the end", "example.1", ""},
		{"Latin-1", "b\xfccher.example", ""},
		{"full-width letters", "ｅxample.com", ""},
		{"ideographic full stop", "example。com", ""},
		{"soft hyphen", "exam\u00adple.com", ""},
		{"zero-width space", "exam\u200bple.com", ""},
		{"zero-width joiner out of context", "exam\u200dple.com", ""},
		{"Kelvin sign", "\u212aelvin.example", ""},
		{"dotted I", "\u0130.example", ""},
		{"decomposed umlaut", "bu\u0308cher.example", ""},
		{"right to left among left to right", "דa.example", ""},
		{"U-label behind an A-label's prefix", "xn--ü.example", ""},
		{"U-label with a hyphen at its edge", "ü-.example", ""},
		{"U-label with an underscore", "ü_.example", ""},
		{"U-label longer than its A-label may be", strings.Repeat("ü", 62) + ".example", ""},
		{"U-label longer than any", strings.Repeat("ü", 1<<16), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") ||
				err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("Parse(%.80q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, s := range []string{"mail.example.com", "mail.example.com."} {
		allocations.Hold(t, "milter/domain: Parse", 100, func() { _, _ = Parse(s) })
	}
}

func TestUnicode(t *testing.T) {
	tests := []struct {
		name string
		in   Name
		want string
	}{
		{"plain", "example.com", "example.com"},
		{"A-label", "xn--bcher-kva.example", "bücher.example"},
		{"only one", "a.xn--bcher-kva.xn--strae-oqa", "a.bücher.straße"},
		{"no punycode", "xn--a.example", "xn--a.example"},
		{"of an upper-case letter", "xn--Bcher-kva.example", "xn--Bcher-kva.example"},
		{"of ASCII alone", "xn--example-.com", "xn--example-.com"},
		{"of a zero-width space", "xn--example-0m3c.com", "xn--example-0m3c.com"},
		{"zero", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Unicode(); got != tt.want {
				t.Errorf("Name(%q).Unicode() = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestParts(t *testing.T) {
	tests := []struct {
		in           Name
		labels       int
		parent       Name
		last1, last2 Name
	}{
		{"", 0, "", "", ""},
		{"com", 1, "", "com", "com"},
		{"example.com", 2, "com", "com", "example.com"},
		{"a.b.example.com", 4, "b.example.com", "com", "example.com"},
	}
	for _, tt := range tests {
		t.Run(string(tt.in), func(t *testing.T) {
			if got := tt.in.Labels(); got != tt.labels {
				t.Errorf("Labels() = %d, want %d", got, tt.labels)
			}
			if got := tt.in.Parent(); got != tt.parent {
				t.Errorf("Parent() = %q, want %q", got, tt.parent)
			}
			if got := tt.in.Last(1); got != tt.last1 {
				t.Errorf("Last(1) = %q, want %q", got, tt.last1)
			}
			if got := tt.in.Last(2); got != tt.last2 {
				t.Errorf("Last(2) = %q, want %q", got, tt.last2)
			}
			if got := tt.in.Last(9); got != tt.in {
				t.Errorf("Last(9) = %q, want all of it", got)
			}
			if got := tt.in.Last(0); got != "" {
				t.Errorf("Last(0) = %q, want none", got)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	tests := []struct {
		n, top Name
		want   bool
	}{
		{"example.com", "example.com", true},
		{"a.b.example.com", "example.com", true},
		{"badexample.com", "example.com", false},
		{"com", "example.com", false},
		{"example.com", "", false},
		{"", "example.com", false},
		{"", "", false},
	}
	for _, tt := range tests {
		t.Run(string(tt.n+" in "+tt.top), func(t *testing.T) {
			if got := tt.n.Within(tt.top); got != tt.want {
				t.Errorf("Name(%q).Within(%q) = %t, want %t", tt.n, tt.top, got, tt.want)
			}
		})
	}
}

// FuzzParse holds that a name is the same however it is written, and fits the DNS.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if n != "" || !errors.Is(err, ErrInvalid) {
				t.Fatalf("Parse(%q) = %q, %v", s, n, err)
			}
			return
		}
		if len(n) > maxName || strings.ToLower(string(n)) != string(n) || !isASCII(string(n)) {
			t.Fatalf("Parse(%q) = %q: not in canonical form", s, n)
		}
		for _, l := range strings.Split(string(n), ".") {
			if l == "" || len(l) > maxLabel {
				t.Fatalf("Parse(%q) = %q: label %q", s, n, l)
			}
		}
		for _, form := range []string{n.String(), n.Unicode(), strings.ToUpper(n.String()),
			n.String() + "."} {
			if again, err := Parse(form); again != n || err != nil {
				t.Fatalf("Parse(%q) = %q, but Parse(%q) = %q, %v", s, n, form, again, err)
			}
		}
	})
}
