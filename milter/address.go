package milter

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrAddress says that a text is not the address of a socket. ParseAddress wraps it with the reason.
var ErrAddress = errors.New("milter: not a socket's address")

// Address is where MTAs and a filter meet.
type Address struct {
	Network string // "tcp4", "tcp6", "unix", or "fd" for a socket that systemd hands over
	Target  string // "127.0.0.1:8891", the socket's path; for "fd" its name or number
}

// addressHelp is what follows each complaint.
const addressHelp = `"inet:PORT@HOST", "inet6:PORT@HOST", "unix:/PATH" or "fd:NAME" is expected`

// ParseAddress reads an address as milters write them: "inet:8891@127.0.0.1", "inet6:8891@::1", "unix:/path",
// "local:/path", and "fd:NAME" or "fd:NUMBER" for a socket that systemd hands over. Without "@HOST" it is any address
// of the host. The error wraps ErrAddress.
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
		return Address{}, fmt.Errorf("%w: %q has no port from 1 to 65535 before the %q%s", ErrAddress, s, "@", turned(rest))
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip := net.ParseIP(host)
	if isV4 := ip.To4() != nil; ip != nil && isV4 != (network == "tcp4") {
		return Address{}, fmt.Errorf("%w: %q: inet is for IPv4 addresses, inet6 for IPv6", ErrAddress, s)
	}
	if ip == nil && strings.Trim(host, hostLetters) != "" {
		return Address{}, fmt.Errorf("%w: %q has no address and no name of a host after the %q", ErrAddress, s, "@")
	}
	return Address{network, net.JoinHostPort(host, port)}, nil
}

// hostLetters are those of which the name of a host is made; a zone (fe80::1%eth0) needs the last two.
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
		return Address{}, fmt.Errorf("%w: %q: the path of a socket begins with a slash", ErrAddress, s)
	}
	if len(path) > maxSocketPath {
		return Address{}, fmt.Errorf("%w: %q is longer than the %d octets of a socket's path", ErrAddress, s, maxSocketPath)
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
