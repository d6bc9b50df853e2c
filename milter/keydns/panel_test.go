package keydns_test

import (
	"errors"
	"fmt"
	"testing"

	"mailseal/keys"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
)

// infrastructure is how the servers of example.com are found. That of news.example.com is no one's.
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
			p := &keydns.Panel{Resolver: dnstest.Must(infrastructure),
				Open: func(addrs []string) (dns.Resolver, error) {
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
			if got := keydns.Sum(seen, 0); got != tt.want || len(seen) != 2 ||
				seen[0].Server != "ns1.example.net" {
				t.Errorf("got %s, want %s: %+v", got, tt.want, seen)
			}
		})
	}
}

// Silence of as many servers as may be silent does not matter; that of all does.
func TestSum(t *testing.T) {
	seen := func(states ...keydns.State) (out []keydns.Sighting) {
		for _, s := range states {
			out = append(out, keydns.Sighting{View: keydns.View{State: s}})
		}
		return out
	}
	const yes, none, gone, silent = keydns.Shown, keydns.Absent, keydns.Revoked, keydns.Unreached
	for _, tt := range []struct {
		name   string
		seen   []keydns.Sighting
		silent int
		want   keys.Sight
	}{
		{"one is silent", seen(yes, silent), 0, keys.SightUnknown},
		{"and may be", seen(yes, silent), 1, keys.SightKey},
		{"more than may be", seen(yes, silent, silent), 1, keys.SightUnknown},
		{"all are", seen(silent, silent), 2, keys.SightUnknown},
		{"one disagrees", seen(yes, none, silent), 1, keys.SightOther},
		{"the others show nothing", seen(none, silent), 1, keys.SightNothing},
		{"the others show it revoked", seen(gone, none, silent), 1, keys.SightRevoked},
		{"no servers", nil, 1, keys.SightUnknown},
	} {
		if got := keydns.Sum(tt.seen, tt.silent); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTell(t *testing.T) {
	silent := keydns.View{Name: name, State: keydns.Unreached,
		Findings: []keydns.Finding{{Cause: keydns.NoAnswer, Text: "could not find out: " +
			dns.ErrFailure.Error() + ": TXT " + name + ": 192.0.2.2:53: no answer in time"}}}
	other := keydns.View{State: keydns.Shown, Findings: []keydns.Finding{{Cause: keydns.Testing,
		Text: "t=y"}, {Cause: keydns.Several, Harms: true, Text: "there are 2 TXT records"}}}
	got := keydns.Describe([]keydns.Sighting{{"ns1", keydns.View{State: keydns.Shown}},
		{"ns2", silent}, {"ns3", keydns.View{State: keydns.Shown}},
		{"ns4", keydns.View{State: keydns.Absent}}, {"ns5", other},
		{"ns6", keydns.View{State: keydns.Revoked}}})
	if want := "ns1 and ns3: the key; ns2: no answer, 192.0.2.2:53: no answer in time; ns4: no " +
		"record; ns5: something else, there are 2 TXT records; ns6: revoked"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPanelNamed(t *testing.T) {
	var opened []string
	p := &keydns.Panel{Resolver: dnstest.Must(infrastructure),
		Open: func(addrs []string) (dns.Resolver, error) {
			opened = addrs
			return dnstest.Must(""), nil
		}}
	if s, err := p.Named(t.Context(), "ns1.example.net"); err != nil ||
		s.Name != "ns1.example.net" || len(opened) != 2 {
		t.Errorf("got %v, %v, opened %v", s, err, opened)
	}
	if s, err := p.Named(t.Context(), "ns9.example.net"); !errors.Is(err, dns.ErrFailure) {
		t.Errorf("without an address: got %v, %v", s, err)
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
	if seen, err := p.Look(t.Context(), want, key.Domain); err != nil ||
		keydns.Sum(seen, 0) != keys.SightUnknown {
		t.Errorf("server without address: got %+v, %v", seen, err)
	}
}

func TestPanelFollowsAlias(t *testing.T) {
	key := rsaKey(t)
	want, _ := key.Record(keys.RecordOptions{})
	host := dnstest.FromMap(map[string][]string{"s.vendor.example": {want.Text}})
	p := &keydns.Panel{Servers: []keydns.Server{{Name: "ns",
		Resolver: dnstest.Must(name + ". CNAME s.vendor.example.\n")}}, Resolver: host}
	seen, err := p.Look(t.Context(), want, key.Domain)
	if err != nil || keydns.Sum(seen, 0) != keys.SightKey || len(seen[0].View.Aliases) != 1 {
		t.Errorf("got %+v, %v", seen, err)
	}
}
