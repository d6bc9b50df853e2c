package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// defaultListener works with a chrooted Postfix without changes.
const defaultListener = "inet:8891@127.0.0.1"

// checkListeners reads the addresses.
func (c *checker) checkListeners() {
	if len(c.Listen) == 0 {
		l := c.prototypes["listen[]"].Interface().(Listener)
		l.Address, l.placed = defaultListener, placed{at: place{c.main, "listen"}}
		c.Listen = []Listener{l}
	}
	before := map[string]place{}
	for i := range c.Listen {
		l := &c.Listen[i]
		if l.Address == "" {
			if !l.has("address") {
				c.problem(l.at, "needs address")
			}
			continue
		}
		var err error
		if l.Network, l.Target, err = parseListener(l.Address); err != nil {
			c.problem(l.at.key("address"), "%s", err)
			continue
		}
		if other, ok := before[l.Target]; ok {
			c.problem(l.at.key("address"), "%s is already used by %s, line %d", l.Target,
				other.path,
				other.file.line(other.path))
		}
		before[l.Target] = l.at
		if c.Metrics.Address != "" && meets(l.Network, l.Target, c.Metrics.Address) {
			c.problem(c.place("metrics.address"),
				"the socket %s of [[listen]] has that port; choose another one", l.Address)
		}
		c.checkListener(l)
	}
}

func (c *checker) checkListener(l *Listener) {
	if l.Network == "unix" {
		return
	}
	for _, name := range []string{"mode", "user", "group"} {
		if l.has(name) {
			c.problem(l.at.key(name), "has an effect only for a unix socket")
		}
	}
	if strings.HasPrefix(l.Target, ":") {
		c.warn(l.at.key("address"), "every client that reaches port %s of this host can have "+
			"mail signed; %s is for this host only", l.Target[1:], loopback(l))
	}
}

// meets reports whether a listener and an address, host and port, exclude each other.
func meets(network, target, address string) bool {
	host, port, err1 := net.SplitHostPort(target)
	otherHost, otherPort, err2 := net.SplitHostPort(address)
	if network != "tcp4" && network != "tcp6" || err1 != nil || err2 != nil || port != otherPort {
		return false
	}
	isAny := func(h string) bool {
		a, err := netip.ParseAddr(h)
		return h == "" || err == nil && a.IsUnspecified()
	}
	return host == otherHost || isAny(host) || isAny(otherHost)
}

// loopback is the address for this host alone in place of one that is open on all addresses.
func loopback(l *Listener) string {
	host := "127.0.0.1"
	if l.Network == "tcp6" {
		host = "::1"
	}
	return strings.TrimSuffix(l.Address, "@") + "@" + host
}

// parseListener reads an address as libmilter and OpenDKIM write it, for net.Listen. A listener
// that systemd hands over has the network "fd".
func parseListener(s string) (network, target string, err error) {
	kind, rest, ok := strings.Cut(s, ":")
	switch kind {
	case "inet", "inet6":
		return parsePort(kind, rest)
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("%q: the path of a socket must begin with /", s)
		}
		if len(rest) > 103 { // sun_path, with room for the BSDs
			return "", "", fmt.Errorf("%q: the path of a socket may have 103 bytes at most", s)
		}
		return "unix", rest, nil
	case "fd":
		if rest == "" || strings.ContainsAny(rest, ": \t\r\n") {
			return "", "", fmt.Errorf("%q: write fd:NAME as FileDescriptorName says, or fd:3", s)
		}
		return "fd", rest, nil
	}
	if strings.HasPrefix(s, "/") {
		return "", "", fmt.Errorf("%q: write unix:%s", s, s)
	}
	if host, port, err := net.SplitHostPort(s); ok && err == nil &&
		strings.ContainsAny(host, ".:") {
		return "", "", fmt.Errorf("%q: write inet:%s@%s", s, port, strings.TrimSuffix(s, ":"+port))
	}
	return "", "", fmt.Errorf(`%q is not an address such as "inet:8891@127.0.0.1" or `+
		`"unix:/run/mailseal/mailseal.sock"`, s)
}

func parsePort(kind, s string) (network, target string, err error) {
	port, host, _ := strings.Cut(s, "@")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		if h, p, err := net.SplitHostPort(s); err == nil { // as Postfix writes it
			return "", "", fmt.Errorf(`"%s:%s": the port comes first here; write %s:%s@%s`, kind, s,
				kind, p, h)
		}
		return "", "", fmt.Errorf(`"%s:%s": %q is not a port`, kind, s, port)
	}
	network = map[string]string{"inet": "tcp4", "inet6": "tcp6"}[kind]
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Is4() != (kind == "inet") {
			return "", "", fmt.Errorf(`"%s:%s": inet is for IPv4, inet6 for IPv6`, kind, s)
		}
	} else if _, err := parseDomain(host); err != nil && host != "" {
		return "", "", fmt.Errorf(`"%s:%s": %q is not a host`, kind, s, host)
	}
	return network, net.JoinHostPort(host, port), nil
}
