package guard

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
)

// Family is the address family of the SMTP client's connection to the MTA.
type Family byte

// The families of the protocol.
const (
	FamilyNone    Family = 0   // the MTA has not sent it yet
	FamilyInet    Family = '4' // TCP over IPv4
	FamilyInet6   Family = '6' // TCP over IPv6
	FamilyUnix    Family = 'L' // a socket in the file system
	FamilyUnknown Family = 'U' // no socket: a process of the MTA's host (sendmail -bs)
)

// Client is the SMTP client as CONNECT shows it.
type Client struct {
	Host   string // the client's verified name, or its address in brackets
	Family Family
	// valid for FamilyInet and FamilyInet6 only; an IPv4 address is never written as IPv6
	Addr netip.Addr
	Port uint16 // 0 when the MTA does not know
	Path string // the socket's path, for FamilyUnix
}

// ipv6Prefix is how Sendmail writes an IPv6 address; RFC 5321 section 4.1.3 has it in address
// literals.
const ipv6Prefix = "IPv6:"

// parseClient reads the data of a CONNECT packet: a name, a family, and for all families but
// FamilyUnknown a port and an address.
func parseClient(data []byte) (Client, error) {
	host, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 {
		return Client{}, malformed("a CONNECT without a family")
	}
	c := Client{Host: string(host), Family: Family(rest[0])}
	rest = rest[1:]
	if c.Family == FamilyUnknown {
		if len(rest) > 0 {
			return Client{}, malformed("a CONNECT of unknown family with an address")
		}
		return c, nil
	}
	if len(rest) < 3 || bytes.IndexByte(rest[2:], 0) != len(rest)-3 {
		return Client{}, malformed("a CONNECT without one port and one address")
	}
	c.Port = binary.BigEndian.Uint16(rest)
	return c, c.address(string(rest[2 : len(rest)-1]))
}

// address reads the client's address as its family writes it.
func (c *Client) address(s string) error {
	if c.Family == FamilyUnix {
		c.Path = s
		return nil
	}
	addr, err := netip.ParseAddr(strings.TrimPrefix(s, ipv6Prefix))
	isFamily := c.Family == FamilyInet && addr.Is4() || c.Family == FamilyInet6 && addr.Is6()
	if err != nil || !isFamily {
		return malformed("a CONNECT of family %q with the address %.60q", rune(c.Family), s)
	}
	c.Addr = addr.WithZone("").Unmap()
	return nil
}

// appendTo appends the CONNECT data that go-milter understands: it takes "IPv6:" for no address at
// all.
func (c Client) appendTo(dst []byte) []byte {
	dst = append(dst, c.Host...)
	dst = append(dst, 0, byte(c.Family))
	if c.Family == FamilyUnknown {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, c.Port)
	if c.Family == FamilyUnix {
		dst = append(dst, c.Path...)
	} else {
		dst = c.Addr.AppendTo(dst)
	}
	return append(dst, 0)
}

// Path is the address of MAIL FROM or RCPT TO with its arguments, as the client wrote them.
type Path struct {
	Raw  string   // usually in angle brackets; mail of the MTA's own host comes without
	Args []string // ESMTP arguments: "SIZE=1000", "BODY=8BITMIME"
}

// Address returns the path without its angle brackets; "" is the null sender.
func (p Path) Address() string {
	if inner, ok := strings.CutPrefix(p.Raw, "<"); ok {
		if inner, ok = strings.CutSuffix(inner, ">"); ok {
			return inner
		}
	}
	return p.Raw
}
