// Package reach connects to hosts that the records of a domain name: to MX hosts, for STARTTLS and
// its certificates, and to the web server of an MTA-STS policy. The author of the records chooses
// the hosts, so that only public addresses are connected to, no redirect is followed, and
// time and size are bounded.
package reach

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"mailseal/milter/dns"
)

// Bounds of one connection: how long all of it takes, and how many bytes are read.
const (
	patience  = 10 * time.Second
	maxRead   = 256 << 10 // of a conversation, TLS included
	maxPolicy = 64 << 10  // of an MTA-STS policy
)

// Errors of a connection that was not tried.
var (
	// ErrPrivate reports a host that has no public address.
	ErrPrivate = errors.New("the host has no public address, and is not connected to")
	// ErrAbsent reports a host that has no address at all.
	ErrAbsent = errors.New("the host has no address")
)

// Guard connects to hosts at their public addresses.
type Guard struct {
	Resolver dns.Resolver
	Name     string    // of this host, for EHLO; "" is the kernel's
	Now      time.Time // by which certificates are judged; zero is the time of the host

	// Tests alone set these: route says where on loopback an address is served, "" for nowhere, and
	// roots are the authorities of the certificates there.
	route func(addr netip.Addr, port int) string
	roots *x509.CertPool
}

// Time is the time by which certificates are judged.
func (g *Guard) Time() time.Time {
	if g.Now.IsZero() {
		return time.Now()
	}
	return g.Now
}

// dial connects to one of a host's public addresses. It is connected to by address, so that the
// name cannot lead elsewhere between its check and the connection.
func (g *Guard) dial(ctx context.Context, host string, port int) (net.Conn, error) {
	addrs, err := g.addresses(ctx, host, port)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, addr := range addrs {
		at := net.JoinHostPort(addr.String(), strconv.Itoa(port))
		if g.route != nil {
			at = g.route(addr, port)
		}
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err == nil {
			return &bounded{Conn: c, left: maxRead}, nil
		}
		failed = err
	}
	return nil, failed
}

// maxAddresses bounds how many addresses of a host are tried, of each family.
const maxAddresses = 2

// addresses are the first public addresses of a host, IPv4 first.
func (g *Guard) addresses(ctx context.Context, host string, port int) ([]netip.Addr, error) {
	var out []netip.Addr
	hasAny := false
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := g.Resolver.Lookup(ctx, host, t)
		if err != nil {
			return nil, fmt.Errorf("the address of %s: %w", host, err)
		}
		hasAny = hasAny || len(a.Addrs) > 0
		n := 0
		for _, addr := range a.Addrs {
			if n < maxAddresses && g.isAllowed(addr, port) {
				out = append(out, addr)
				n++
			}
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case hasAny:
		return nil, fmt.Errorf("%s: %w", host, ErrPrivate)
	}
	return nil, fmt.Errorf("%s: %w", host, ErrAbsent)
}

func (g *Guard) isAllowed(addr netip.Addr, port int) bool {
	if g.route != nil {
		return g.route(addr, port) != ""
	}
	return IsPublic(addr)
}

// special are the networks of the registries of special-purpose addresses (RFC 6890 and its
// updates), and those through which an IPv4 address can be reached that is in one of them: NAT64,
// 6to4, Teredo.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/8", "2001::/23", "2001:db8::/32", "2002::/16",
	"2620:4f:8000::/48",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// IsPublic reports whether an address is one of a host on the Internet, and of nothing else.
func IsPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// errTooMuch ends a conversation with a peer that talks too much.
var errTooMuch = fmt.Errorf("the host sent more than %d bytes", maxRead)

// bounded is a connection of which no more than so many bytes are read.
type bounded struct {
	net.Conn
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

var _ io.Reader = &bounded{}

// helloName is what this host calls itself.
func (g *Guard) helloName() string {
	if g.Name != "" {
		return g.Name
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
