package domains

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/spf"
)

// front is a name server on loopback that answers from a zone, but for the names that it answers
// otherwise.
type front struct {
	addr     string
	oddly    map[string]oddity // by name without final dot
	asked    atomic.Int32      // over TCP
	refuses  bool              // TCP connections are closed at once
	patience time.Duration     // of the caller; 0 is long enough for any machine
}

// oddity changes the reply to a question; nil sends none. isTCP is how the question came.
type oddity func(q, reply *wire.Msg, isTCP bool) *wire.Msg

// serveOddly starts a front of a zone, until the test ends.
func serveOddly(t *testing.T, z *dnstest.Zone, f *front) dns.Resolver {
	t.Helper()
	behind, err := dnstest.Serve(z, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { behind.Close() })
	packets, listener := samePort(t)
	f.addr = packets.LocalAddr().String()
	if f.refuses {
		listener.Close()
	}
	answer := wire.HandlerFunc(func(w wire.ResponseWriter, q *wire.Msg) {
		_, isTCP := w.RemoteAddr().(*net.TCPAddr)
		if isTCP {
			f.asked.Add(1)
		}
		reply, _, err := (&wire.Client{Net: "tcp", Timeout: time.Minute}).Exchange(q.Copy(),
			behind.Addr())
		if err != nil {
			return // a name that times out
		}
		if odd := f.oddly[strings.ToLower(strings.TrimSuffix(q.Question[0].Name,
			"."))]; odd != nil {
			if reply = odd(q, reply, isTCP); reply == nil {
				return
			}
		}
		_ = w.WriteMsg(reply) // the client went away
	})
	for _, s := range []*wire.Server{{PacketConn: packets, Handler: answer},
		{Listener: listener, Handler: answer}} {
		if s.Listener != nil && f.refuses {
			continue
		}
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe() // returns when the test ends
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	client, err := dns.New(dns.Options{Servers: []string{f.addr},
		Timeout: cmp.Or(f.patience, time.Minute), Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// samePort listens to UDP and TCP on one port. The one that UDP got may be taken for TCP.
func samePort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		packets.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func rcode(code int) oddity {
	return func(q, _ *wire.Msg, _ bool) *wire.Msg { return new(wire.Msg).SetRcode(q, code) }
}

// referral is what the server of the zone above says: who to ask, and nothing else.
func referral(q, _ *wire.Msg, _ bool) *wire.Msg {
	m := new(wire.Msg).SetReply(q)
	m.Ns = []wire.RR{&wire.NS{
		Hdr: wire.RR_Header{Name: "com.", Rrtype: wire.TypeNS, Class: wire.ClassINET, Ttl: 60},
		Ns:  "a.gtld.example.",
	}}
	return m
}

// cut leaves the answer to TCP.
func cut(_, reply *wire.Msg, isTCP bool) *wire.Msg {
	if !isTCP {
		reply.Answer, reply.Truncated = nil, true
	}
	return reply
}

// TestFailuresOnTheWire holds that no name server that fails makes a record missing, whichever name
// it fails for and however.
func TestFailuresOnTheWire(t *testing.T) {
	for name, odd := range map[string]oddity{
		"SERVFAIL":  rcode(wire.RcodeServerFailure),
		"REFUSED":   rcode(wire.RcodeRefused),
		"NOTIMP":    rcode(wire.RcodeNotImplemented),
		"referral":  referral,
		"silence":   func(_, _ *wire.Msg, _ bool) *wire.Msg { return nil },
		"truncated": cut, // and TCP is refused
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []string{
				"example.com", "_dmarc.example.com", "_domainkey.example.com",
				"s1._domainkey.example.com",
				"mx.example.com", "_spf.example.net", "_mta-sts.example.com",
				"_smtp._tls.example.com",
				"25.100.51.198.in-addr.arpa",
			} {
				f := &front{oddly: map[string]oddity{at: odd}, refuses: true}
				if name == "silence" {
					f.patience = 250 * time.Millisecond
				}
				o := Options{Resolver: serveOddly(t, zoneOf(t, zoneCase{}), f),
					Selectors: []string{"s1"}}
				r := Check(t.Context(), "example.com", o)
				if got := codesOf(r); !slices.Equal(got, []string{string(NoAnswer)}) {
					t.Errorf("%s: the findings are %q", at, r.Findings)
				}
				if r.Worst() != check.Unknown {
					t.Errorf("%s: the worst is %s", at, r.Worst())
				}
			}
		})
	}
}

// TestAnswersOnTheWire holds that what is awkward on the wire, and right, draws no word: answers
// over TCP, aliases whose targets a server leaves out, names moved by a DNAME, wildcards,
// delegations.
func TestAnswersOnTheWire(t *testing.T) {
	half := func(_, reply *wire.Msg, _ bool) *wire.Msg {
		reply.Answer = slices.DeleteFunc(reply.Answer,
			func(rr wire.RR) bool { return rr.Header().Rrtype != wire.TypeCNAME })
		reply.Ns, reply.Rcode = nil, wire.RcodeSuccess
		return reply
	}
	// A DNAME at d.example.net moves the names below it to moved.example.net. The CNAME that it
	// stands for is left out.
	moved := func(q, _ *wire.Msg, _ bool) *wire.Msg {
		m := new(wire.Msg).SetReply(q)
		m.RecursionAvailable = true
		m.Answer = []wire.RR{&wire.DNAME{
			Hdr:    wire.RR_Header{Name: "d.example.net.", Rrtype: wire.TypeDNAME, Class: wire.ClassINET, Ttl: 3600},
			Target: "moved.example.net.",
		}}
		return m
	}
	dmarc := `"v=DMARC1; p=reject; rua=mailto:dmarc@example.com"`
	for _, tc := range []struct {
		name  string
		zone  zoneCase
		oddly map[string]oddity
		other string
		tcp   bool
	}{
		{name: "all over TCP", tcp: true, oddly: map[string]oddity{
			"example.com": cut, "_dmarc.example.com": cut, "s1._domainkey.example.com": cut, "mx.example.com": cut,
		}},
		{name: "half an answer", oddly: map[string]oddity{"_dmarc.example.com": half},
			zone: zoneCase{
				drop: at, add: at + " CNAME dmarc.example.net.\ndmarc.example.net. TXT " + dmarc + "\n",
			}},
		{name: "DNAME", oddly: map[string]oddity{"x.d.example.net": moved}, zone: zoneCase{
			drop: at, add: at + " CNAME x.d.example.net.\nx.moved.example.net. TXT " + dmarc + "\n",
		}},
		{name: "a wildcard of keys that are revoked",
			zone: zoneCase{add: txt("*._domainkey.example.com.", "v=DKIM1; p=")}},
		{name: "a name server of its own", zone: zoneCase{
			add: "_domainkey.example.com. NS ns.elsewhere.example.\nns.elsewhere.example. A 198.51.100.53\n",
		}},
	} {
		f := &front{oddly: tc.oddly}
		o := Options{
			Resolver: serveOddly(t, zoneOf(t, tc.zone), f), Selectors: []string{"s1"}, Random: "nosuchselector",
		}
		if r := Check(t.Context(), "example.com", o); len(r.Findings) > 0 {
			t.Errorf("%s: the findings are %q", tc.name, r.Findings)
		}
		if got := f.asked.Load() > 0; got != tc.tcp {
			t.Errorf("%s: %d questions over TCP", tc.name, f.asked.Load())
		}
	}
}

// TestServersOnTheWire asks each authoritative server of a delegated domain on loopback. One serves
// the zone, one knows nothing of it, as after a change of providers: that it does not answer is
// said of that server, and of no record.
func TestServersOnTheWire(t *testing.T) {
	z := zoneOf(t, zoneCase{drop: root + " NS",
		add: "example.com. NS ns1.example.net.\nexample.com. NS ns2.example.net.\n" +
			"ns1.example.net. A 127.0.0.1\nns2.example.net. A 127.0.0.2\n"})
	good := &front{}
	lame := &front{oddly: map[string]oddity{
		"example.com": rcode(wire.RcodeRefused), "_dmarc.example.com": rcode(wire.RcodeRefused),
	}}
	resolver := serveOddly(t, z, good)
	serveOddly(t, z, lame)
	at := map[string]string{"127.0.0.1": good.addr, "127.0.0.2": lame.addr}
	p := &keydns.Panel{Resolver: resolver, Open: func(addresses []string) (dns.Resolver, error) {
		return dns.New(dns.Options{Servers: []string{at[addresses[0]]}, Timeout: time.Minute,
			Tries: 1})
	}}
	r := Check(t.Context(), "example.com", Options{Resolver: resolver, Selectors: []string{"s1"},
		Panel: p})
	if got := codesOf(r); !slices.Equal(got, []string{string(ServerSilent)}) ||
		r.Findings[0].Setting != "ns2.example.net" {
		t.Errorf("findings %q", r.Findings)
	}
}

// TestTrusts holds whose word on DNSSEC is repeated.
func TestTrusts(t *testing.T) {
	for _, tc := range []struct {
		servers string
		want    bool
	}{
		{"", false},
		{"127.0.0.1:53", true},
		{"127.0.0.53:53 [::1]:5353", true},
		{"192.0.2.1:53", false},
		{"127.0.0.1:53 192.0.2.1:53", false},
		{"[2001:db8::1]:53", false},
		{"[::ffff:127.0.0.1]:53", true},
		{"localhost:53", false},
		{"10.0.0.1:53", false},
	} {
		var list []dns.ServerStatus
		for _, s := range strings.Fields(tc.servers) {
			list = append(list, dns.ServerStatus{Address: s})
		}
		if got := Trusts(list); got != tc.want {
			t.Errorf("%q: %v, want %v", tc.servers, got, tc.want)
		}
	}
}

// TestSecureIsRepeatedWhereTrusted holds that the bit of a validating resolver is in the answers
// only where no one on the way could have set it, and that a resolver that does not validate proves
// nothing.
func TestSecureIsRepeatedWhereTrusted(t *testing.T) {
	for _, tc := range []struct {
		name              string
		secure, isTrusted bool
		want              bool
	}{
		{"validated on this host", true, true, true},
		{"validated elsewhere", true, false, false},
		{"not validated", false, true, false},
	} {
		z := zoneOf(t, zoneCase{add: "com. NS a.gtld.example.\n"})
		z.SetSecure(tc.secure)
		r := Check(t.Context(), "example.com", Options{
			Resolver: serveOddly(t, z, &front{}), Selectors: []string{"s1"}, Trusted: tc.isTrusted,
		})
		if len(r.Findings) > 0 || len(r.Records) == 0 {
			t.Errorf("%s: findings %q, %d records", tc.name, r.Findings, len(r.Records))
		}
		for _, seen := range r.Records {
			if seen.Status == dns.Found.String() && seen.Secure != tc.want {
				t.Errorf("%s: %s %s: secure is %v", tc.name, seen.Type, seen.Name, seen.Secure)
			}
		}
	}
}

// TestDeadline ends with the context, and says of nothing that it is missing.
func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Check(ctx, "example.com", Options{Resolver: zoneOf(t, zoneCase{})})
	for _, f := range r.Findings {
		if f.Code != NoAnswer {
			t.Errorf("%s: %s", f.Code, f.Text)
		}
	}
	q := Request{Names: []string{"example.com"}, Options: Options{Resolver: zoneOf(t, zoneCase{})}}
	var out strings.Builder
	if err := q.Run(ctx, &out); !errors.Is(err, context.Canceled) || out.Len() > 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
}

// failing is a resolver that has no answer to one question.
type failing struct {
	dns.Resolver
	to question
}

func (f failing) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if (question{strings.ToLower(strings.TrimSuffix(name, ".")), t}) == f.to {
		return dns.Answer{}, dns.ErrTimeout
	}
	return f.Resolver.Lookup(ctx, name, t)
}

// lessKnown are findings that are true all the same when a lookup failed by which more could be
// said: that a record is absent, without where it went.
var lessKnown = map[check.Code][]check.Code{
	NoDomain:    {NoMX, NoDMARC, NoSelector, spf.FlawNone},
	Misplaced:   {NoDMARC, spf.FlawNone, KeyMissing},
	Misspelled:  {NoDMARC, STSNone, TLSNone, KeyMissing},
	DMARCAtRoot: {NoDMARC},
	ParkedDMARC: {OlderPolicy},
}

// isGuess reports whether a question is for a name, or a type, that a domain needs not have: no one
// is told that it could not be checked.
func isGuess(q question, name string) bool {
	if q.kind == type99 {
		return true
	}
	if q.kind != dns.TXT || strings.HasSuffix(q.name, name+"."+name) {
		return q.kind == dns.TXT
	}
	labels := []string{"s1", "s7", "mail", "gone"}
	for _, l := range leftovers {
		labels = append(labels, l.label)
	}
	for _, list := range slips {
		labels = append(labels, list...)
	}
	return slices.ContainsFunc(labels, func(label string) bool {
		return label != "" && (q.name == label+"."+name ||
			label[0] != '_' && strings.HasSuffix(q.name, "."+label+"."+name) ||
			strings.HasPrefix(label, "_do") && strings.HasSuffix(q.name, "."+label+"."+name))
	})
}

// TestNoFailureAddsAFinding lets each lookup of each zone of TestCodes fail in turn: nothing is
// then found that was not found before, but that it could not be checked.
func TestNoFailureAddsAFinding(t *testing.T) {
	for _, c := range append(cases(t), zoneCase{}) {
		o := c.options(t)
		o.Resolver, o.Random = liar{zoneOf(t, c), c.lie, c.signed}, "nosuchselector"
		name := domain.Name(cmp.Or(c.other, "example.com"))
		whole := Check(t.Context(), name, o)
		had := codesOf(whole)
		before := newMemory(o.Resolver)
		o.Resolver = before
		Check(t.Context(), name, o)
		for _, q := range before.questions() {
			o.Resolver = failing{before, q}
			if before.known[q].err != nil {
				continue
			}
			r := Check(t.Context(), name, o)
			for _, got := range codesOf(r) {
				isKnown := slices.Contains(had, got) ||
					slices.Contains(lessKnown[c.code], check.Code(got))
				if got != string(NoAnswer) && !isKnown {
					t.Errorf("%s, no answer for %s %s: %s", c.code, q.kind, q.name, got)
				}
			}
			if slices.Contains(had, string(NoAnswer)) {
				continue // another lookup fails all the time
			}
			if says := slices.Contains(codesOf(r), string(NoAnswer)); says == isGuess(q,
				string(name)) {
				t.Errorf("%s, no answer for %s %s: it is said: %t", c.code, q.kind, q.name, says)
			}
		}
	}
}
