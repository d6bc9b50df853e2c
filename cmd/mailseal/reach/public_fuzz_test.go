package reach

import (
	"net/netip"
	"testing"
)

// FuzzIsPublic holds that no form of an address leads to this host or its network: what another
// library says is not global is not connected to, nor is an IPv6 address that stands for such an
// IPv4 address.
func FuzzIsPublic(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
		"2002:a00:1::", "2001:0:a00:1::", "::7f00:1", "fe80::1%eth0", "8.8.8.8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr, err := netip.ParseAddr(text)
		if err != nil || !IsPublic(addr) {
			return
		}
		isInside := func(a netip.Addr) bool {
			return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
				a.IsUnspecified() ||
				a.IsInterfaceLocalMulticast()
		}
		if addr.Zone() != "" || isInside(addr) || isInside(addr.Unmap()) {
			t.Errorf("%s is said to be public", text)
		}
		if b := addr.As16(); addr.Is6() {
			for _, at := range []int{2, 4, 12} { // 6to4, Teredo's server, mapped and NAT64
				v4 := netip.AddrFrom4([4]byte(b[at : at+4]))
				isForm := at == 2 && b[0] == 0x20 && b[1] == 0x02 || at == 4 && b[0] == 0x20 &&
					b[1] == 0x01 && b[2] == 0 && b[3] == 0 ||
					at == 12 && b[0] == 0
				if isForm && isInside(v4) {
					t.Errorf("%s is said to be public, and stands for %s", text, v4)
				}
			}
		}
	})
}
