package domain

import (
	"errors"
	"testing"
)

func TestNamesOfOperators(t *testing.T) {
	tests := []struct{ name, named, mail string }{
		{"example.com", "", ""},
		{"Bücher.example.", "", ""},
		{"foo..bar", `"foo..bar" is not a domain name: there is nothing between two dots, or before the first one`,
			`"foo..bar" is not a domain name: there is nothing between two dots, or before the first one`},
		{"exa mple.com", `"exa mple.com" is not a domain name: it contains ' '`,
			`"exa mple.com" is not a domain name: it contains ' '`},
		{"foo", "", `"foo" is not a mail domain, such as example.com: it has one label`},
		{"exa_mple", "", `"exa_mple" is not a mail domain, such as example.com: it has one label`},
		{"_spf.example.com", "", ""},
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
