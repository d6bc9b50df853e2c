package domain

import (
	"strings"
	"testing"
)

func TestCheckSelectorAndDomain(t *testing.T) {
	// what the errors say, "" for none
	for _, tt := range []struct{ name, selector, domain string }{
		{"mail", "", ""},
		{"mail.example.com", "", ""},
		{"domainkey", "", ""},
		{"my_domainkey", "", ""},
		{"mail._domainkey", `write "mail"`, "not part of a domain"},
		{"mail._DomainKey.", `write "mail"`, "not part of a domain"},
		{"mail._domainkey.example.com", `write "mail"`, `the domain is "example.com", the selector "mail"`},
		{"a.b._domainkey.example.com", `write "a.b"`, `the domain is "example.com", the selector "a.b"`},
		{"_domainkey.example.com", "only the part before it", "not part of a domain"},
		{"_domainkey", "only the part before it", "not part of a domain"},
	} {
		for _, c := range []struct {
			what string
			err  error
			want string
		}{{"selector", CheckSelector(tt.name), tt.selector},
			{"domain", CheckDomain(tt.name), tt.domain}} {
			if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(),
				c.want) {
				t.Errorf("%s as a %s: got %v, want %q", tt.name, c.what, c.err, c.want)
			}
		}
	}
}
