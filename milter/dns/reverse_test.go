package dns_test

import (
	"net/netip"
	"testing"

	"mailseal/milter/dns"
)

func TestReverse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"v4", "192.0.2.10", "10.2.0.192.in-addr.arpa"},
		{"v4 in v6", "::ffff:192.0.2.10", "10.2.0.192.in-addr.arpa"},
		{"v6", "2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
		{"v6 with a zone", "fe80::1%eth0", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dns.Reverse(netip.MustParseAddr(tt.in)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if got := dns.Reverse(netip.Addr{}); got != "" {
		t.Errorf("no address: got %s", got)
	}
}
