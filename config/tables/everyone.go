package tables

import "net/netip"

// IsEveryone reports whether a network is so large that it can only mean all clients of its family:
// the prefixes of a set that leaves out only one host are of that size, too.
func IsEveryone(n netip.Prefix) bool {
	if n.Addr().Is4() {
		return n.Bits() <= 4
	}
	return n.Bits() <= 3 // 2000::/3 is all that is given to anyone
}
