package iprev_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/iprev"
)

const zone = `
$ORIGIN 2.0.192.in-addr.arpa.
1 PTR mail.example.com.
2 PTR other.example.com.
3 PTR first.example.com.
3 PTR mail3.example.com.
4 PTR nx.example.com.
5 PTR v6.example.com.
6 PTR slow.example.com.
6 PTR mail6.example.com.
7 PTR slow.example.com.
7 PTR other.example.com.
8 TXT "no name"
9 PTR alias.example.com.
$SERVFAIL 20
$TIMEOUT 21
22 CNAME 22.delegated.example.
22.delegated.example. PTR mail22.example.com.
$ORIGIN example.com.
mail A 192.0.2.1
other A 192.0.2.99
mail3 A 192.0.2.98
mail3 A 192.0.2.3
v6 AAAA 2001:db8::1
v6 AAAA ::ffff:192.0.2.5
mail6 A 192.0.2.6
alias CNAME real
real A 192.0.2.9
mail22 A 192.0.2.22
$TIMEOUT slow
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR v6.example.com.
`

func TestCheck(t *testing.T) {
	tests := []struct {
		name, addr string
		want       iprev.Value
		reason     string
		queries    int
	}{
		{"leads back", "192.0.2.1", "pass", "192.0.2.1 is an address of mail.example.com", 2},
		{"mapped into IPv6", "::ffff:192.0.2.1", "pass", "192.0.2.1 is an address of mail.example.com", 2},
		{"IPv6", "2001:db8::1", "pass", "2001:db8::1 is an address of v6.example.com", 2},
		{"leads elsewhere", "192.0.2.2", "fail", "192.0.2.2 is not an address of other.example.com", 2},
		{"the second name, its second address", "192.0.2.3", "pass", "192.0.2.3 is an address of mail3.example.com", 3},
		{"name does not exist", "192.0.2.4", "fail", "192.0.2.4 is not an address of nx.example.com", 2},
		{"name has other addresses", "192.0.2.5", "fail", "192.0.2.5 is not an address of v6.example.com", 2},
		{"first name unknown, second leads back", "192.0.2.6", "pass",
			"192.0.2.6 is an address of mail6.example.com", 3},
		{"first name unknown, second does not", "192.0.2.7", "temperror",
			"A slow.example.com: lookup failed: no answer in time", 3},
		{"no PTR", "192.0.2.8", "permerror", "192.0.2.8 has no name (no data)", 1},
		{"alias of the name", "192.0.2.9", "pass", "192.0.2.9 is an address of alias.example.com", 2},
		{"NXDOMAIN", "192.0.2.10", "permerror", "192.0.2.10 has no name (NXDOMAIN)", 1},
		{"SERVFAIL", "192.0.2.20", "temperror", "PTR 20.2.0.192.in-addr.arpa: lookup failed: SERVFAIL", 1},
		{"time-out", "192.0.2.21", "temperror",
			"PTR 21.2.0.192.in-addr.arpa: lookup failed: no answer in time", 1},
		{"classless delegation", "192.0.2.22", "pass", "192.0.2.22 is an address of mail22.example.com", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := dnstest.Must(zone)
			got := iprev.Check(t.Context(), z, netip.MustParseAddr(tt.addr))
			if got.Value != tt.want || got.Reason != tt.reason {
				t.Errorf("got %s (%s), want %s (%s)", got.Value, got.Reason, tt.want, tt.reason)
			}
			if named := got.Value == iprev.Pass ||
				got.Value == iprev.Fail; (got.Name != "") != named ||
				!strings.Contains(got.Reason, got.Name) {
				t.Errorf("name %q with %s (%s)", got.Name, got.Value, got.Reason)
			}
			if q := z.Queries(); len(q) != tt.queries {
				t.Errorf("asked %v, want %d queries", q, tt.queries)
			}
		})
	}
}

func TestCheckBounds(t *testing.T) {
	zone := "$ORIGIN 2.0.192.in-addr.arpa.\n"
	for i := range 1000 {
		zone += fmt.Sprintf("1 PTR n%d.example.com.\n", i)
	}
	z := dnstest.Must(zone + "n10.example.com. A 192.0.2.1\n")
	got := iprev.Check(t.Context(), z, netip.MustParseAddr("192.0.2.1"))
	if want := "192.0.2.1 is not an address of n0.example.com, nor of the next 9 names"; got.Value != iprev.Fail ||
		got.Reason != want {
		t.Errorf("got %+v, want fail: %s", got, want)
	}
	if q := z.Queries(); len(q) != 1+iprev.MaxNames {
		t.Errorf("asked %d queries, want %d", len(q), 1+iprev.MaxNames)
	}
}

func TestCheckWithoutAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := iprev.Check(ctx, dnstest.Must(zone),
		netip.MustParseAddr("192.0.2.1")); got.Value != iprev.Temperror {
		t.Errorf("context ended: got %+v", got)
	}
	if got := iprev.Check(t.Context(), dnstest.Must(zone),
		netip.Addr{}); got.Value != iprev.Permerror {
		t.Errorf("no address: got %+v", got)
	}
}
