package dns_test

import (
	"net"
	"testing"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// serve answers from the zone on loopback until the test ends.
func serve(t *testing.T, z *dnstest.Zone) string {
	t.Helper()
	s, err := dnstest.Serve(z, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr()
}

// serveRaw answers each packet over UDP with the packets that reply makes of it.
func serveRaw(t *testing.T, reply func(q *wire.Msg) [][]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(wire.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, p := range reply(q) {
				conn.WriteTo(p, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func client(t *testing.T, o dns.Options) *dns.Client {
	t.Helper()
	c, err := dns.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pack(m *wire.Msg) []byte {
	p, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return p
}
