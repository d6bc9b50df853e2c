package keydns_test

import (
	"errors"
	"fmt"
	"testing"

	"mailseal/keys"
	"mailseal/keys/keydns"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// infrastructure is how the servers of example.com are found. That of news.example.com is nobody's.
const infrastructure = `
example.com. NS ns1.example.net.
example.com. NS ns2.example.net.
ns1.example.net. A 192.0.2.1
ns1.example.net. AAAA 2001:db8::1
ns2.example.net. A 192.0.2.2
`

func TestPanel(t *testing.T) {
	key := rsaKey(t)
	want, _ := key.Record(keys.RecordOptions{})
	good := map[string][]string{name: {want.Text}}
	revoked := map[string][]string{name: {"v=DKIM1; p="}}
	tests := []struct {
		name     string
		ns1, ns2 map[string][]string
		want     keys.Sight
	}{
		{"both show it", good, good, keys.SightKey},
		{"one is late", good, nil, keys.SightOther},
		{"one still has the other key", good, map[string][]string{name: {"v=DKIM1; p=MCowBQYDK2Vw"}}, keys.SightOther},
		{"none shows anything", nil, nil, keys.SightNothing},
		{"revoked at both", revoked, revoked, keys.SightRevoked},
		{"revoked, and gone at one", revoked, nil, keys.SightRevoked},
		{"revoked at one only", revoked, good, keys.SightOther},
		{"one is down", good, map[string][]string{name: {"!TIMEOUT"}}, keys.SightUnknown},
		{"two records at one", good, map[string][]string{name: {want.Text, want.Text + " "}}, keys.SightOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &keydns.Panel{Resolver: dnstest.Must(infrastructure), Open: func(addrs []string) (dns.Resolver, error) {
				switch fmt.Sprint(addrs) {
				case "[192.0.2.1 2001:db8::1]":
					return dnstest.FromMap(tt.ns1), nil
				case "[192.0.2.2]":
					return dnstest.FromMap(tt.ns2), nil
				}
				return nil, fmt.Errorf("addresses %v", addrs)
			}}
			seen, err := p.Look(t.Context(), want, key.Domain)
			if err != nil {
				t.Fatal(err)
			}
			if got := keydns.Sum(seen); got != tt.want || len(seen) != 2 || seen[0].Server != "ns1.example.net" {
				t.Errorf("got %s, want %s: %+v", got, tt.want, seen)
			}
		})
	}
}

func TestPanelFailures(t *testing.T) {
	key := rsaKey(t)
	want, _ := key.Record(keys.RecordOptions{})
	for name, zone := range map[string]string{
		"no servers":   "example.com. A 192.0.2.1\n",
		"servers fail": "$SERVFAIL news.example.com NS\nexample.com. NS ns1.example.net.\n",
	} {
		p := &keydns.Panel{Resolver: dnstest.Must(zone)}
		if _, err := p.Look(t.Context(), want, key.Domain); !errors.Is(err, dns.ErrFailure) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p := &keydns.Panel{Resolver: dnstest.Must("example.com. NS ns1.example.net.\n")}
	if seen, err := p.Look(t.Context(), want, key.Domain); err != nil || keydns.Sum(seen) != keys.SightUnknown {
		t.Errorf("server without address: got %+v, %v", seen, err)
	}
}

func TestPanelFollowsAlias(t *testing.T) {
	key := rsaKey(t)
	want, _ := key.Record(keys.RecordOptions{})
	host := dnstest.FromMap(map[string][]string{"s.vendor.example": {want.Text}})
	p := &keydns.Panel{Servers: []keydns.Server{{Name: "ns", Resolver: dnstest.Must(name + ". CNAME s.vendor.example.\n")}}, Resolver: host}
	seen, err := p.Look(t.Context(), want, key.Domain)
	if err != nil || keydns.Sum(seen) != keys.SightKey || len(seen[0].View.Aliases) != 1 {
		t.Errorf("got %+v, %v", seen, err)
	}
}
