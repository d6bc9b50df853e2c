package reach_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/reach"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// secured says of com that it is signed, if it shall.
type secured struct {
	dns.Resolver
	isSigned bool
}

func (s secured) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if s.isSigned && name == "com" && t == dns.NS {
		return dns.Answer{Status: dns.Found, Names: []string{"a.gtld.example"}, Secure: true}, nil
	}
	return s.Resolver.Lookup(ctx, name, t)
}

// TestIsPublic holds which addresses are connected to.
func TestIsPublic(t *testing.T) {
	for _, public := range []string{"8.8.8.8", "9.9.9.9", "193.0.0.1", "2a00:1450:4001::1",
		"2606:4700::1111", "::ffff:8.8.8.8"} {
		if !reach.IsPublic(netip.MustParseAddr(public)) {
			t.Errorf("%s is not connected to", public)
		}
	}
	for _, inside := range []string{
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254",
		"172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1",
		"64:ff9b:1::1", "100::1", "2001:db8::1",
		"2001::1", "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1",
		"fe80::1%eth0",
	} {
		if reach.IsPublic(netip.MustParseAddr(inside)) {
			t.Errorf("%s is connected to", inside)
		}
	}
	if reach.IsPublic(netip.Addr{}) {
		t.Error("no address is connected to")
	}
}

// TestGuardKeepsOut connects to nothing inside, whatever names lead there, and says which it was.
func TestGuardKeepsOut(t *testing.T) {
	g := &reach.Guard{Resolver: dnstest.Must(`$ORIGIN .
loop.example. 60 IN A 127.0.0.1
loop.example. 60 IN AAAA ::1
mta-sts.loop.example. 60 IN CNAME inside.example.
inside.example. 60 IN A 169.254.169.254
mapped.example. 60 IN AAAA ::ffff:127.0.0.1
none.example. 60 IN TXT "x"
$SERVFAIL away.example.
`)}
	for host, want := range map[string]error{
		"loop.example": reach.ErrPrivate, "mapped.example": reach.ErrPrivate, "none.example": reach.ErrAbsent,
		"nowhere.example": reach.ErrAbsent, "away.example": dns.ErrFailure,
	} {
		if _, err := g.Exchange(t.Context(), host); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
	_, err := g.Fetch(t.Context(), "loop.example")
	var refused reach.Refusal
	if !errors.Is(err, reach.ErrPrivate) || !errors.As(err, &refused) {
		t.Errorf("a policy inside: %v", err)
	}
}

// TestBounds ends with a host that talks without end, and with one that says nothing.
func TestBounds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, endless{}) // until it is cut off
			}()
		}
	}()
	g := &reach.Guard{Resolver: dnstest.Must(
		"mx.example. A 198.51.100.1\nmute.example. A 198.51.100.2\n")}
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	at := map[string]string{"198.51.100.1": l.Addr().String(), "198.51.100.2": mute.Addr().String()}
	g.Route(func(a netip.Addr, _ int) string { return at[a.String()] }, nil)
	if _, err := g.Exchange(t.Context(), "mx.example"); err == nil ||
		!strings.Contains(err.Error(), "more than") {
		t.Errorf("without end: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := g.Exchange(ctx, "mute.example"); err == nil {
		t.Error("a host that says nothing is good")
	}
}

// endless is a greeting that goes on and on.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	line := "220-and on\r\n"
	n := 0
	for n+len(line) <= len(p) {
		n += copy(p[n:], line)
	}
	return n, nil
}

// TestParsePin refuses what is not a TLSA record.
func TestParsePin(t *testing.T) {
	for _, bad := range []string{"", "3 1 1", "3 1 300 aa", "x 1 1 aa", "3 1 1 a", "3 1 1 zz",
		"-1 1 1 aa"} {
		if _, err := reach.ParsePin(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	p, err := reach.ParsePin("3 1 1 aabb CC")
	if err != nil || !p.Counts() || len(p.Data) != 3 {
		t.Errorf("got %v, %v", p, err)
	}
	if p.Matches(nil, "mx.example", now) {
		t.Error("no certificate matches")
	}
}

// FuzzPolicy holds that no text makes the parser fail, and that what has no mistake is whole.
func FuzzPolicy(f *testing.F) {
	f.Add(goodPolicy)
	f.Add("version: STSv1\nmode: none\nmax_age: 0\n")
	f.Add("version: STSv1\nmode: testing\nmx: *.example.com\nmx: a.b.\nmax_age: 1\nx: y\n")
	f.Add("mx: \nversion:\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := reach.ParsePolicy(text)
		if len(p.Mistakes) > 0 {
			return
		}
		if p.Age < 0 || p.Mode == "" || p.Mode != "none" && len(p.MX) == 0 {
			t.Errorf("%q has no mistake: %+v", text, p)
		}
		for _, mx := range p.MX {
			if host := strings.Replace(mx, "*", "label", 1); !p.Covers(host) {
				t.Errorf("%q does not cover %q", text, host)
			}
		}
	})
}
