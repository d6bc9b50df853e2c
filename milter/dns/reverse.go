package dns

import (
	"net/netip"
	"strconv"
	"strings"
)

// Reverse returns the name under which an address has its PTR records: below in-addr.arpa for an
// IPv4 address and for one mapped into IPv6, below ip6.arpa for the others (RFC 1035 section 3.5,
// RFC 3596 section 2.5). "" for the zero address.
func Reverse(a netip.Addr) string {
	a = a.Unmap()
	var b strings.Builder
	switch octets := a.AsSlice(); len(octets) {
	case 4:
		for i := 3; i >= 0; i-- {
			b.WriteString(strconv.Itoa(int(octets[i])))
			b.WriteByte('.')
		}
		b.WriteString("in-addr.arpa")
	case 16:
		const digits = "0123456789abcdef"
		for i := 15; i >= 0; i-- {
			b.Write([]byte{digits[octets[i]&15], '.', digits[octets[i]>>4], '.'})
		}
		b.WriteString("ip6.arpa")
	}
	return b.String()
}
