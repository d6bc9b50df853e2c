package domain

import (
	"strings"
	"testing"
)

func TestGuess(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	tests := []struct {
		name, in string
		want     Name
		part     bool // labels were left out
	}{
		{"what Parse takes", "Mail.Example.COM.", "mail.example.com", false},
		{"U-label", "bücher.example", "xn--bcher-kva.example", false},
		{"hyphen at the end of a label", "mail-.bank.example", "mail-.bank.example", false},
		{"hyphen at the start", "-x.Bank.example", "-x.bank.example", false},
		{"hyphen alone", "-.bank.example", "-.bank.example", false},
		{"underscore and hyphen", "_-.bank.example", "_-.bank.example", false},
		{"other characters of an atom", "a!b.bank.example", "a!b.bank.example", false},
		{"final dots", "bank.example..", "bank.example", false},
		{"leading dot", ".bank.example", "bank.example", false},
		{"empty label", "mail..bank.example", "mail.bank.example", false},
		{"full-width letters", "ｂank.example", "bank.example", false},
		{"ideographic full stop", "bank。example", "bank.example", false},
		{"zero-width space", "ba\u200bnk.example", "bank.example", false},
		{"soft hyphen at the end", "bank.example\u00ad", "bank.example", false},
		{"Kelvin sign", "ban\u212a.example", "bank.example", false},
		{"decomposed umlaut", "bu\u0308cher.example", "xn--bcher-kva.example", false},

		{"label too long", label63 + "a.bank.example", "bank.example", true},
		{"labels before one too long", "x." + label63 + "a.bank.example", "bank.example", true},
		{"name too long", strings.Repeat("abc.", 80) + "bank.example",
			Name(strings.Repeat("abc.", 60) + "bank.example"), true},
		{"U-label with a hyphen at its edge", "ü-.bank.example", "bank.example", true},
		{"Latin-1", "b\xfccher.bank.example", "bank.example", true},
		{"control character", "a\x00b.bank.example", "bank.example", true},
		{"space", "a b.bank.example", "bank.example", true},
		{"huge label", strings.Repeat("ü", 1<<16) + ".bank.example", "bank.example", true},

		{"empty", "", "", false},
		{"dots", "...", "", false},
		{"Latin-1 below a top-level domain", "b\xfccher.example", "", true},
		{"IPv4", "192.0.2.1", "", false},
		{"top level with a hyphen", "bank.example-", "", false},
		{"quote behind", "bank.example\u201d", "", false},
		{"sign in a label", "x\u201d.bank.example", "xn--x-rhn.bank.example", false},
		{"rest of an encoded word", "bank.example?=", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, whole := Guess(tt.in)
			if got != tt.want || whole == tt.part {
				t.Errorf("Guess(%.80q) = %q, %t, want %q, %t", tt.in, got, whole, tt.want, !tt.part)
			}
		})
	}
}

// FuzzGuess holds that a guess can be asked for in the DNS and agrees with Parse.
func FuzzGuess(f *testing.F) {
	for _, s := range []string{"mail-.bank.example", "a!b..example.", "ｂank。example",
		"b\xfc.x.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, _ := Guess(s)
		if strict, err := Parse(s); err == nil && n != strict && isWord(s) {
			t.Fatalf("Guess(%q) = %q, Parse says %q", s, n, strict)
		}
		if n == "" {
			return
		}
		if len(n) > maxName || strings.ToLower(string(n)) != string(n) || !fits(string(n)) {
			t.Fatalf("Guess(%q) = %q: not in canonical form", s, n)
		}
		if again, whole := Guess(string(n)); again != n || !whole {
			t.Fatalf("Guess(%q) = %q, but Guess of that is %q", s, n, again)
		}
	})
}
