package domain

import (
	"errors"
	"testing"
)

func TestNamesOfOperators(t *testing.T) {
	tests := []struct{ name, named, mail string }{
		{"example.com", "", ""},
		{"Bücher.example.", "", ""},
		{"foo..bar", `"foo..bar" is not a domain name: a label is empty (a dot at the start, or two dots in a row)`,
			`"foo..bar" is not a domain name: a label is empty (a dot at the start, or two dots in a row); write a domain such as example.com`},
		{"exa mple.com", `"exa mple.com" is not a domain name: it contains ' '`,
			`"exa mple.com" is not a domain name: it contains ' '; write a domain such as example.com`},
		{"user@example.net", `"user@example.net" is not a domain name: it contains '@'`,
			`"user@example.net" is not a domain name: it contains '@'; write a domain such as example.net`},
		{"s1._domainkey.example.net", "", `"s1._domainkey.example.net" is the name of a record: the domain is "example.net", the selector "s1"`},
		{"foo", "", `"foo" is not a mail domain, such as example.com: it has one label`},
		{"exa_mple", "", `"exa_mple" is not a mail domain, such as example.com: it has one label`},
		{"_spf.example.net", "", `"_spf.example.net" is not a mail domain: _spf is the label of a DNS record; write a domain such as example.net`},
		{"exa_mple.example.com", "", ""},
	}
	for _, tt := range tests {
		for want, parse := range map[*string]func(string) (Name, error){
			&tt.named: ParseNamed, &tt.mail: ParseMail} {
			_, err := parse(tt.name)
			switch {
			case *want == "" && err != nil:
				t.Errorf("%s: %v", tt.name, err)
			case *want != "" && (err == nil || err.Error() != *want || !errors.Is(err, ErrInvalid)):
				t.Errorf("%s: got %v, want %s", tt.name, err, *want)
			}
		}
	}
}

func TestParseSelector(t *testing.T) {
	for _, tt := range []struct{ selector, want string }{
		{"Mail", "mail"}, {"2026", "2026"}, {"a.b", "a.b"}, {"s_1", "s_1"},
		{"a b", ""}, {"s..s", ""}, {"mail.", ""}, {"-s", ""}, {"s1._domainkey", ""}, {"", ""},
	} {
		got, err := ParseSelector(tt.selector)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %q, %v; want %q", tt.selector, got, err, tt.want)
		}
	}
}
