package reach

import (
	"crypto/x509"
	"net/netip"
)

// Route lets a test serve addresses on loopback, with certificates of its own authority.
func (g *Guard) Route(route func(addr netip.Addr, port int) string, roots *x509.CertPool) {
	g.route, g.roots = route, roots
}

// MaxPolicy is the size of the largest policy.
const MaxPolicy = maxPolicy
