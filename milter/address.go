package milter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrAddress means that a text is not a socket address. ParseAddress wraps it with the
// reason.
var ErrAddress = errors.New("not a socket's address")

// Address is the address of the socket on which a filter serves MTAs.
type Address struct {
	Network string // "tcp4", "tcp6", "unix", or "fd" for a socket that systemd hands over
	Target  string // "127.0.0.1:8891", the socket's path; for "fd" its name or number
}

// addressHelp is what follows each complaint.
const addressHelp = `"inet:PORT@HOST", "inet6:PORT@HOST", "unix:/PATH" or "fd:NAME" is expected`

// ParseAddress reads an address as milters write them: "inet:8891@127.0.0.1", "inet6:8891@::1",
// "unix:/path", "local:/path", and "fd:NAME" or "fd:NUMBER" for a socket that systemd hands over.
// Without "@HOST" it is any address of the host. The error wraps ErrAddress.
func ParseAddress(s string) (Address, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" {
		return Address{}, fmt.Errorf("%w: %q: %s", ErrAddress, s, addressHelp)
	}
	switch strings.ToLower(kind) {
	case "inet":
		return inetAddress("tcp4", s, rest)
	case "inet6":
		return inetAddress("tcp6", s, rest)
	case "unix", "local":
		return unixAddress(s, rest)
	case "fd":
		return Address{"fd", rest}, nil
	}
	return Address{}, fmt.Errorf("%w: %q: %s", ErrAddress, s, addressHelp)
}

func inetAddress(network, s, rest string) (Address, error) {
	port, host, _ := strings.Cut(rest, "@")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && port != "0" {
		return Address{}, fmt.Errorf("%w: %q has no port from 1 to 65535 before the %q%s",
			ErrAddress, s, "@", turned(rest))
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip := net.ParseIP(host)
	if isV4 := ip.To4() != nil; ip != nil && isV4 != (network == "tcp4") {
		return Address{}, fmt.Errorf("%w: %q: inet is for IPv4 addresses, inet6 for IPv6",
			ErrAddress, s)
	}
	if ip == nil && strings.Trim(host, hostLetters) != "" {
		return Address{}, fmt.Errorf("%w: %q has no address and no name of a host after the %q",
			ErrAddress, s, "@")
	}
	return Address{network, net.JoinHostPort(host, port)}, nil
}

// hostLetters are those of which the name of a host is made; a zone (fe80::1%eth0) needs the last
// two.
const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%"

// turned suggests the form of the milter library to those who wrote Postfix's.
func turned(rest string) string {
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", "inet:"+port+"@"+host)
}

// maxSocketPath is what the kernel's sockaddr_un takes.
const maxSocketPath = 107

func unixAddress(s, path string) (Address, error) {
	if !filepath.IsAbs(path) {
		return Address{}, fmt.Errorf("%w: %q: the path of a socket begins with a slash", ErrAddress,
			s)
	}
	if len(path) > maxSocketPath {
		return Address{}, fmt.Errorf("%w: %q is longer than the %d octets of a socket's path",
			ErrAddress, s, maxSocketPath)
	}
	return Address{"unix", filepath.Clean(path)}, nil
}

// String returns the address as ParseAddress reads it.
func (a Address) String() string {
	host, port, err := net.SplitHostPort(a.Target)
	switch {
	case a.Network == "unix" || a.Network == "fd" || err != nil:
		return a.Network + ":" + a.Target
	case host != "":
		port += "@" + host
	}
	if a.Network == "tcp6" {
		return "inet6:" + port
	}
	return "inet:" + port
}

// Meets reports whether a connection to another address would reach a listener on a: the same
// socket under any name, or the same port of this host.
func (a Address) Meets(to Address) bool {
	if a.Network == "unix" || to.Network == "unix" {
		return a.Network == to.Network && resolved(a.Target) == resolved(to.Target)
	}
	host, port, err1 := net.SplitHostPort(a.Target)
	toHost, toPort, err2 := net.SplitHostPort(to.Target)
	if err1 != nil || err2 != nil || port != toPort {
		return false
	}
	listening, called := addresses(host), addresses(toHost)
	for _, l := range listening {
		for _, c := range called {
			if l == c || l.IsUnspecified() && (c.IsUnspecified() || isHosts(c)) ||
				c.IsUnspecified() && l.IsLoopback() {
				return true
			}
		}
	}
	return false
}

// resolved is a path without symbolic links, as far as it is there.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path
	}
	return filepath.Join(dir, filepath.Base(path))
}

// addresses are those of a host; "" is any.
func addresses(host string) []netip.Addr {
	if host == "" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	var out []netip.Addr
	names, _ := net.LookupHost(host) // a host without an address is nothing to meet
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// isHosts reports whether an address is one of this host's.
func isHosts(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	all, _ := net.InterfaceAddrs()
	for _, have := range all {
		if p, err := netip.ParsePrefix(have.String()); err == nil && p.Addr() == a {
			return true
		}
	}
	return false
}
