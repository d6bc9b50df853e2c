package authres

import (
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
)

func TestClaims(t *testing.T) {
	ours := []string{"mx.example.com", "mx.xn--bcher-kva.example"}
	tests := []struct {
		name, value string
		want        bool
	}{
		{"plain", " mx.example.com; dkim=pass", true},
		{"no space before", "mx.example.com; dkim=pass", true},
		{"nothing after", " mx.example.com", true},
		{"none", " mx.example.com; none", true},
		{"any case", " MX.Example.COM; dkim=pass", true},
		{"version", " mx.example.com 1; dkim=pass", true},
		{"any case and version", " MX.Example.COM 1; dkim=pass", true},
		{"our name, unknown version", " mx.example.com 2; dkim=pass", true},
		{"version without a space", " mx.example.com(c)1; dkim=pass", true},
		{"comment before", " (c) mx.example.com; dkim=pass", true},
		{"comment before and quotes", ` (c) "mx.example.com"; dkim=pass`, true},
		{"comment with a semicolon before", " (a;b) mx.example.com; dkim=pass", true},
		{"nested comment before", " (a(b;c)d) mx.example.com; dkim=pass", true},
		{"comment with another's name before", " (other.example) mx.example.com; dkim=pass", true},
		{"escaped parenthesis in the comment", ` (a\)b) mx.example.com; dkim=pass`, true},
		{"quote in the comment", ` (a"b) mx.example.com; dkim=pass`, true},
		{"comment after", " mx.example.com (x); dkim=pass", true},
		{"comment glued to it", " mx.example.com(x); dkim=pass", true},
		{"comment inside a label", " mx.exam(x)ple.com; dkim=pass", true},
		{"comment at the dot", " mx.(x)example.com 1; dkim=pass", true},
		{"white space at the dots", " mx . example . com; dkim=pass", true},
		{"fold before", "\r\n mx.example.com; dkim=pass", true},
		{"bare line feed before", "\n\tmx.example.com; dkim=pass", true},
		{"fold inside", " mx.exam\r\n ple.com; dkim=pass", true},
		{"tab after", " mx.example.com\t; dkim=pass", true},
		{"quotes", ` "mx.example.com"; dkim=pass`, true},
		{"quotes and version", ` "mx.example.com" 1; dkim=pass`, true},
		{"quotes with spaces", ` " mx.example.com "; dkim=pass`, true},
		{"quoted pairs", ` "mx\.exampl\e.com"; dkim=pass`, true},
		{"part in quotes", ` mx."example".com; dkim=pass`, true},
		{"single quotes", " 'mx.example.com'; dkim=pass", true},
		{"quote that does not end", ` "mx.example.com; dkim=pass`, true},
		{"comment that does not end", " (mx.example.com; dkim=pass", true},
		{"comment that ends for those who do not nest", " m(a(b)x.example.com (c)); dkim=pass", true},
		{"comment that ends for those who do not escape", ` m(a\)x.example.com (c)); dkim=pass`, true},
		{"name in a comment only", " (mx.example.com); dkim=pass", true},
		{"parentheses around a dot", " mx.example(.)com; dkim=pass", true},
		{"nobody's, in a comment that does not end", " (other.example; dkim=pass", true},
		{"nobody's, in a quote that does not end", ` "other.example; dkim=pass`, true},
		{"nobody's, not UTF-8", " \xff\xfe.example; dkim=pass", true},
		{"trailing slash and job", " mx.example.com/20210; dkim=pass", true},
		{"final dot", " mx.example.com.; dkim=pass", true},
		{"final dot and version", " mx.example.com. 1; dkim=pass", true},
		{"port", " mx.example.com:25; dkim=pass", true},
		{"angle brackets", " <mx.example.com>; dkim=pass", true},
		{"comma", " mx.example.com, dkim=pass", true},
		{"no semicolon", " mx.example.com dkim=pass", true},
		{"unreadable rest", " mx.example.com; ((((\"", true},
		{"unreadable before the semicolon", " mx.example.com = ) 7 x; dkim=pass", true},
		{"NUL inside", " mx.exa\x00mple.com; dkim=pass", true},
		{"NUL after", " mx.example.com\x00other; dkim=pass", true},
		{"DEL inside", " mx.example\x7f.com; dkim=pass", true},
		{"bare CR inside", " mx.exam\rple.com; dkim=pass", true},
		{"invalid UTF-8 inside", " mx.exam\xffple.com; dkim=pass", true},
		{"zero width space inside", " mx.exam\u200bple.com; dkim=pass", true},
		{"full-width letters", " ｍｘ.example.com; dkim=pass", true},
		{"full-width letters and a fold", " ｍｘ.exam\r\n ple.com; dkim=pass", true},
		{"ideographic dot", " mx。example。com; dkim=pass", true},
		{"A-label", " mx.xn--bcher-kva.example; dkim=pass", true},
		{"A-label in capitals", " mx.XN--BCHER-KVA.example; dkim=pass", true},
		{"U-label", " mx.bücher.example; dkim=pass", true},
		{"U-label in capitals, quotes", ` "MX.BÜCHER.example" 1; dkim=pass`, true},
		{"encoded word", " =?utf-8?q?mx.example.com?=; dkim=pass", true},
		{"encoded word inside", " mx.=?utf-8?q?example?=.com; dkim=pass", true},
		{"empty", "", true},
		{"white space", " \r\n\t", true},
		{"no name", " ; dkim=pass", true},
		{"name after the semicolon", " ; mx.example.com; dkim=pass", true},
		{"comment instead of a name", " (c); dkim=pass", true},
		{"empty quotes", ` ""; dkim=pass`, true},
		{"another's unknown version", " other.example 2; dkim=pass", true},
		{"another's unknown version after a comment", " other.example (c) 99; dkim=pass", true},

		{"another", " other.example; dkim=pass", false},
		{"another's version 1", " other.example 1; dkim=pass", false},
		{"another's version 01", " other.example 01; dkim=pass", false},
		{"another in quotes", ` "other.example"; dkim=pass`, false},
		{"another with us in a comment", " other.example (for mx.example.com); dkim=pass", false},
		{"another with us in a result", " other.example; dkim=pass header.d=mx.example.com", false},
		{"another with us after the semicolon", " other.example; mx.example.com; dkim=pass", false},
		{"another, unreadable rest", ` other.example; dkim=pass ("`, false},
		{"host below", " a.mx.example.com; dkim=pass", false},
		{"domain above", " example.com; dkim=pass", false},
		{"we are its beginning", " mx.example.com.evil.example; dkim=pass", false},
		{"we are its beginning, hyphen", " mx.example.com-evil.example; dkim=pass", false},
		{"we are its beginning, letter", " mx.example.community; dkim=pass", false},
		{"we are its end", " notmx.example.com; dkim=pass", false},
		{"another's U-label", " mx.bäcker.example; dkim=pass", false},
		{"result first", " spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=none", false},
		{"job of another", " other.example/mx.example.com; dkim=pass", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Claims([]byte(tt.value), ours); got != tt.want {
				t.Errorf("Claims(%q) = %v, want %v", tt.value, got, tt.want)
			}
		})
	}
}

func TestClaimsOddIDs(t *testing.T) {
	tests := []struct {
		name, value string
		ids         []string
		want        bool
	}{
		{"no ids", " mx.example.com; dkim=pass", nil, false},
		{"empty id is no id", " mx.example.com; dkim=pass", []string{""}, false},
		{"no ids, no name", " ; dkim=pass", nil, true},
		{"single word", " example-auth; dkim=pass", []string{"example-auth"}, true},
		{"id with spaces", ` "My Mail Server"; dkim=pass`, []string{"my mail server"}, true},
		{"id with a slash", " mx/1; dkim=pass", []string{"mx/1"}, true},
		{"id with a final dot", " mx.example.com; dkim=pass", []string{"mx.example.com."}, true},
		{"id in U-labels", " mx.xn--bcher-kva.example; dkim=pass", []string{"mx.Bücher.example"}, true},
		{"sharp s to those who know IDNA2003", " mx.straße.example; dkim=pass", []string{"mx.strasse.example"}, true},
		{"second id", " b.example; dkim=pass", []string{"a.example", "b.example"}, true},
		{"long id", " " + strings.Repeat("a", 2000) + "; dkim=pass", []string{strings.Repeat("a", 2000)}, true},
		{"longer than the id", " " + strings.Repeat("a", 2001) + "; dkim=pass",
			[]string{strings.Repeat("a", 2000)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Claims([]byte(tt.value), tt.ids); got != tt.want {
				t.Errorf("Claims(%q, %q) = %v, want %v", tt.value, tt.ids, got, tt.want)
			}
		})
	}
}

// A megabyte of anything is read a fixed number of times, and nothing of it is kept.
func TestClaimsIsBounded(t *testing.T) {
	for _, unit := range []string{"(", "()", `"`, `\`, "a", "a.", "\xff", "=?", "é", ";", "(a;",
		" "} {
		value := []byte(strings.Repeat(unit, 1<<20/len(unit)))
		allocations.Hold(t, "milter/authres: Claims of 1 MiB", 1,
			func() { Claims(value, []string{"mx.example.com"}) })
	}
}
