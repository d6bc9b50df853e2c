package dns_test

import (
	"testing"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// TestPretend holds that one text takes the place of the TXT records of its name, however the name
// is written, and that all else is as the DNS has it.
func TestPretend(t *testing.T) {
	p := dns.Pretend{Resolver: dnstest.FromMap(map[string][]string{
		"example.com": {"old", "older"}, "www.example.com": {"www"}}), Name: "example.com",
		Text: "new"}
	for _, tc := range []struct{ name, want string }{
		{"example.com", "new"}, {"EXAMPLE.com.", "new"}, {"www.example.com", "www"},
	} {
		a, err := p.Lookup(t.Context(), tc.name, dns.TXT)
		if err != nil || len(a.Texts) != 1 || a.Texts[0] != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.name, a.Texts, err, tc.want)
		}
	}
	if a, err := p.Lookup(t.Context(), "example.com", dns.MX); err != nil || len(a.Texts) > 0 {
		t.Errorf("MX: got %+v, %v", a, err)
	}
}
