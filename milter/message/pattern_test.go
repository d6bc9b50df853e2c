package message

import (
	"errors"
	"testing"

	"mailseal/milter/domain"
)

func TestParsePattern(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"user@example.com", "user@example.com"},
		{"User@Example.COM", "user@example.com"},
		{"*@example.com", "*@example.com"},
		{"example.com", "*@example.com"},
		{"*@*.example.com", "*@*.example.com"},
		{".example.com", "*@*.example.com"},
		{"*.example.com", "*@*.example.com"},
		{"user@*", "user@*"},
		{"user@*.example.com", "user@*.example.com"},
		{"*", "*@*"},
		{"*@*", "*@*"},
		{"bücher.example", "*@xn--bcher-kva.example"},
		{`a@b@example.com`, "a@b@example.com"},
		{"U*r@example.com", "u*r@example.com"},
		{"**-bounces***@*.example.com", "*-bounces*@*.example.com"},
		{"**", ""}, {"**@example.com", "*@example.com"},
		{"", ""}, {"@example.com", ""}, {"user@", ""}, {"ex ample.com", ""},
		{"*@ex*mple.com", ""},
	} {
		p, err := ParsePattern(tc.in)
		got := ""
		if err == nil {
			got = p.String()
		}
		if got != tc.want {
			t.Errorf("ParsePattern(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, ErrPattern) {
			t.Errorf("ParsePattern(%q): %v does not wrap ErrPattern", tc.in, err)
		}
	}
}

func TestPatternsMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"user@example.com", "USER@Example.com", true},
		{"user@example.com", "user@sub.example.com", false},
		{"example.com", "anyone@example.com", true},
		{".example.com", "anyone@example.com", false},
		{".example.com", "anyone@a.b.example.com", true},
		{".example.com", "anyone@notexample.com", false},
		{"user@*", "user@anywhere.example", true},
		{"user@*", "other@anywhere.example", false},
		{"*", "anyone@anywhere.example", true},
		{"*", "", false},
		{`"a b"@example.com`, "ab@example.com", false},
		{"example.com", "a@[192.0.2.1]", false},
		{"info*@example.com", "INFO@example.com", true},
		{"info*@example.com", "info-desk@example.com", true},
		{"info*@example.com", "myinfo@example.com", false},
		{"info*@example.com", "info@example.org", false},
		{"*-bounces@*.example.com", "list-Bounces@a.example.com", true},
		{"*-bounces@*.example.com", "-bounces@a.example.com", true},
		{"*-bounces@*.example.com", "list-bounces-x@a.example.com", false},
		{"user+*@*", "user+@example.com", true},
		{"user+*@*", "user@example.com", false},
		{"a*b*c@example.com", "abc@example.com", true},
		{"a*b*c@example.com", "a-b-b-c@example.com", true},
		{"a*b*c@example.com", "acb@example.com", false},
		{"a*bc@example.com", "abcbc@example.com", true},
		{"ab*ba@example.com", "aba@example.com", false},
		{"*a*@example.com", "xay@example.com", true},
		{"*a*@example.com", "xy@example.com", false},
	} {
		ps, err := ParsePatterns([]string{tc.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := ps.MatchPath(tc.path); got != tc.want {
			t.Errorf("%q on %q: %v, want %v", tc.pattern, tc.path, got, tc.want)
		}
	}
}

func TestPatternsMatchDomain(t *testing.T) {
	ps, err := ParsePatterns([]string{"example.com", ".example.net", "user@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"example.com": true, "sub.example.com": false,
		"sub.example.net": true, "example.net": false, "example.org": false, "": false} {
		if got := ps.MatchDomain(domain.Name(name)); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
