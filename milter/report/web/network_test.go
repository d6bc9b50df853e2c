package web

import (
	"net/netip"
	"testing"

	"mailseal/milter/report/advice"
)

// TestNetworkOf holds that the newest verdict on an address decides what source it belongs to.
func TestNetworkOf(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.77")
	net := Rule{Net: netip.MustParsePrefix("192.0.2.0/24"), Class: advice.Ours}
	wide := Rule{Net: netip.MustParsePrefix("192.0.0.0/16"), Class: advice.NotOurs}
	single := Rule{Net: netip.PrefixFrom(ip, 32), Class: advice.NotOurs}
	named := Rule{Source: "esp.example", Addresses: []netip.Addr{ip}, Class: advice.Service}
	undone, elsewhere, accepts := net, net, net
	undone.Undone, elsewhere.Domain, accepts.Class = true, "other.example", advice.AcceptsSPF
	for name, c := range map[string]struct {
		rules []Rule
		want  string
	}{
		"none":               {nil, ""},
		"a network":          {[]Rule{net}, "192.0.2.0/24"},
		"the newer of two":   {[]Rule{wide, net}, "192.0.0.0/16"},
		"a newer address":    {[]Rule{single, net}, ""},
		"an older address":   {[]Rule{net, single}, "192.0.2.0/24"},
		"a newer service":    {[]Rule{named, net}, ""},
		"undone":             {[]Rule{undone, wide}, "192.0.0.0/16"},
		"of another domain":  {[]Rule{elsewhere}, ""},
		"accepts SPF, class": {[]Rule{accepts, net}, "192.0.2.0/24"},
	} {
		got, ok := networkOf(c.rules, "shop.example", ip)
		if !ok {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
