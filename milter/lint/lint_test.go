package lint

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	for _, tc := range []struct{ word, want string }{
		{"inlcude", "include"},
		{"INCLUD", "include"},
		{"includes", "include"},
		{"inc", ""},
		{"al", "all"},
		{"lal", "all"},
		{"al1", "all"},
		{"ab", ""},
		{"", ""},
		{"include", "include"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""},
	} {
		if got := Nearest(tc.word, "include", "all"); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.word, got, tc.want)
		}
	}
}

// TestCleanOfLongText holds that a text of many bad characters takes no longer per byte than a
// short one: it ends.
func TestCleanOfLongText(t *testing.T) {
	if got := Clean(strings.Repeat("\u201c\xff", 1<<20) + "x"); got != "x" {
		t.Errorf("got %.20q", got)
	}
}

// FuzzClean holds that Clean leaves nothing that Pasted finds, and that what Pasted marks is in the
// text.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"v=spf1\u00a0mx", "\"v=DMARC1\\; p=none\"", "\xff\x00",
		"\u201cx\u201d \u2013", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		clause, start, end := Pasted(text)
		if clause != "" && (start < 0 || start >= end || end > len(text)) {
			t.Errorf("%q: %q at %d-%d", text, clause, start, end)
		}
		if clause, _, _ := Pasted(Clean(text)); clause != "" {
			t.Errorf("%q: Clean leaves %s", text, clause)
		}
	})
}

// TestForeignLetters holds that domains are written in A-labels, and that letters elsewhere are not
// guessed away.
func TestForeignLetters(t *testing.T) {
	for _, tc := range []struct {
		text, want string
		loses      bool
	}{
		{"rua=mailto:a@b\u00fccher.example", "rua=mailto:a@xn--bcher-kva.example", false},
		{"include:B\u00dcCHER.example ~all", "include:xn--bcher-kva.example ~all", false},
		{"include:_spf.b\u00fccher.example", "include:_spf.xn--bcher-kva.example", false},
		{"rua=mailto:j\u00f6rg@example.com", "rua=mailto:jrg@example.com", true},
		{"rua=mailto:j\u00f6rg.m@example.com", "rua=mailto:jrg.m@example.com", true},
		{"v=spf1 \u201ca:example.com\u201d", "v=spf1 a:example.com", false},
		{"plain", "plain", false},
	} {
		if got := Clean(tc.text); got != tc.want || Loses(tc.text) != tc.loses {
			t.Errorf("%q: got %q, loses %v", tc.text, got, Loses(tc.text))
		}
	}
}
