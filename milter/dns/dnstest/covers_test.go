package dnstest

import "testing"

// TestCovers holds of which names a zone can say that they do not exist.
func TestCovers(t *testing.T) {
	const soa = "example.com. 60 IN SOA ns.example.com. h.example.com. 1 2 3 4 5\n"
	for _, tt := range []struct {
		zone, name string
		want       bool
	}{
		{soa, "example.com", true},
		{soa, "_dmarc.Example.COM.", true},
		{soa, "com", false},
		{soa, "_dmarc.com", false},
		{soa, "badexample.com", false},
		{soa, "example.net", false},
		{soa + "mx.example.net. 60 IN A 192.0.2.1\n", "a.mx.example.net", true},
		{soa + "mx.example.net. 60 IN A 192.0.2.1\n", "example.net", false},
		{"s._domainkey.example.com. 60 IN TXT \"x\"\n", "example.com", true},
		{"a.example._report._dmarc.example.net. 60 IN TXT \"x\"\n", "mx.example.net", true},
		{"a.example._report._dmarc.example.net. 60 IN TXT \"x\"\n", "a.example", false},
		{"*.example.com. 60 IN TXT \"x\"\n", "example.com", true},
		{"$SERVFAIL slow.example.\n", "slow.example", true},
		{"", "example.com", false},
	} {
		if got := Must("$ORIGIN .\n" + tt.zone).Covers(tt.name); got != tt.want {
			t.Errorf("%q covers %s: %v", tt.zone, tt.name, got)
		}
	}
}
