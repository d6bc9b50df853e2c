package dns_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// TestClientAgrees asks a zone over the network and directly.
func TestClientAgrees(t *testing.T) {
	z := dnstest.Must(`
$TTL 60
example.com SOA ns.example.com. h.example.com. 1 2 3 4 30
example.com A 192.0.2.1
example.com AAAA 2001:db8::1
example.com MX 10 mail.example.com.
example.com TXT "one" " two" "\"\\\000\200"
alias.example.com CNAME example.com.
gone.example.com CNAME nowhere.example.com.
*.wild.example.com TXT "wild"
we\032ird.example.com TXT "odd"
1.2.0.192.in-addr.arpa PTR Mail.Example.com.
$SERVFAIL broken.example.com
`)
	c := client(t, dns.Options{Servers: []string{serve(t, z)}})
	names := []string{
		"example.com", "EXAMPLE.com.", "alias.example.com", "gone.example.com",
		"a.wild.example.com", "wild.example.com",
		"nx.example.com", "broken.example.com", "1.2.0.192.in-addr.arpa", "we ird.example.com",
		"a..b", "",
	}
	for _, name := range names {
		for _, typ := range []dns.Type{dns.A, dns.AAAA, dns.MX, dns.TXT, dns.PTR} {
			got, gotErr := c.Lookup(t.Context(), name, typ)
			want, wantErr := z.Lookup(t.Context(), name, typ)
			if fmt.Sprint(got) != fmt.Sprint(want) ||
				errors.Is(gotErr, dns.ErrFailure) != errors.Is(wantErr, dns.ErrFailure) {
				t.Errorf("%v %s: got %+v, %v; the zone says %+v, %v", typ, name, got, gotErr, want,
					wantErr)
			}
		}
	}
}

// TestAcceptance60 is the lookup of standards.md, check 60, as far as it is the resolver's.
func TestAcceptance60(t *testing.T) {
	key := "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 700)
	z := dnstest.Must(fmt.Sprintf(`
sel._domainkey.example.com 60 CNAME key.provider.example.
key.provider.example 60 TXT "%s" "%s" "%s"
key.provider.example 60 TXT "%s" "%s" "%s"
example.com 60 SOA a. b. 1 1 1 1 60
example.com 60 A 192.0.2.1
$SERVFAIL broken.example.com
`, key[:250], key[250:500], key[500:], key[:250], key[250:500], key[500:]))
	z.SetSecure(true)
	c := client(t, dns.Options{Servers: []string{serve(t, z)}})
	a, err := c.Lookup(t.Context(), "sel._domainkey.example.com", dns.TXT)
	if err != nil || len(a.Texts) != 2 || a.Texts[0] != key {
		t.Fatalf("key: got %+v, %v", a, err)
	}
	if n := c.Counters.Truncated.Load(); n != 1 {
		t.Errorf("%d replies were truncated, want 1: the key did not come over TCP", n)
	}
	if !a.Secure {
		t.Error("the AD bit was lost")
	}
	cache := dns.NewCache(c, dns.CacheOptions{})
	z.Reset()
	for range 2 {
		for name, want := range map[string]dns.Status{"nx.example.com": dns.NXDomain,
			"example.com": dns.NoData} {
			if a, err := cache.Lookup(t.Context(), name, dns.TXT); err != nil || a.Status != want {
				t.Errorf("%s: got %v, %v; want %v", name, a.Status, err, want)
			}
		}
		if _, err := cache.Lookup(t.Context(), "broken.example.com", dns.TXT); !errors.Is(err,
			dns.ErrFailure) {
			t.Errorf("SERVFAIL: got %v", err)
		}
	}
	if q := z.Queries(); len(q) != 3 {
		t.Errorf("the server was asked %v, want each name once", q)
	}
}

func TestClientAsks(t *testing.T) {
	var seen atomic.Pointer[wire.Msg]
	addr := serveRaw(t, func(q *wire.Msg) [][]byte {
		seen.Store(q)
		return [][]byte{pack(new(wire.Msg).SetRcode(q, wire.RcodeNameError))}
	})
	ids := map[uint16]bool{}
	c := client(t, dns.Options{Servers: []string{addr}})
	for range 20 {
		if _, err := c.Lookup(t.Context(), "Example.com", dns.TXT); err != nil {
			t.Fatal(err)
		}
		q := seen.Load()
		ids[q.Id] = true
		opt := q.IsEdns0()
		if !q.RecursionDesired || !q.AuthenticatedData || opt == nil || opt.UDPSize() != 1232 ||
			opt.Do() || q.Question[0].Name != "example.com." {
			t.Fatalf("asked %v", q)
		}
	}
	if len(ids) < 18 {
		t.Errorf("20 queries had %d ids", len(ids))
	}
}

// TestClientReplies lets a server send what it should not.
func TestClientReplies(t *testing.T) {
	good := func(q *wire.Msg, text string) *wire.Msg {
		m := new(wire.Msg).SetReply(q)
		m.RecursionAvailable = true
		m.Answer = []wire.RR{&wire.TXT{Hdr: wire.RR_Header{Name: q.Question[0].Name,
			Rrtype: wire.TypeTXT, Class: wire.ClassINET}, Txt: []string{text}}}
		return m
	}
	changed := func(q *wire.Msg, change func(m *wire.Msg)) []byte {
		m := good(q, "bad")
		change(m)
		return pack(m)
	}
	tests := []struct {
		name  string
		reply func(q *wire.Msg) [][]byte
		want  string // the text found, or what the error says
	}{
		{"good", func(q *wire.Msg) [][]byte { return [][]byte{pack(good(q, "good"))} }, "good"},
		{"guesses before it", func(q *wire.Msg) [][]byte {
			return [][]byte{
				{}, {1, 2, 3},
				changed(q, func(m *wire.Msg) { m.Id++ }),
				changed(q, func(m *wire.Msg) { m.Response = false }),
				changed(q, func(m *wire.Msg) { m.Opcode = wire.OpcodeNotify }),
				changed(q, func(m *wire.Msg) { m.Question = nil }),
				changed(q, func(m *wire.Msg) { m.Question[0].Name = "other.example." }),
				changed(q, func(m *wire.Msg) { m.Question[0].Qtype = wire.TypeA }),
				changed(q, func(m *wire.Msg) { m.Question[0].Qclass = wire.ClassCHAOS }),
				changed(q, func(m *wire.Msg) { m.Question = append(m.Question, m.Question[0]) }),
				pack(good(q, "good")),
			}
		}, "good"},
		{"question in capitals", func(q *wire.Msg) [][]byte {
			m := good(q, "good")
			m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
			return [][]byte{pack(m)}
		}, "good"},
		{"no EDNS", func(q *wire.Msg) [][]byte {
			if q.IsEdns0() != nil {
				m := new(wire.Msg).SetRcode(q, wire.RcodeFormatError)
				m.Question = nil
				return [][]byte{pack(m)}
			}
			return [][]byte{pack(good(q, "good"))}
		}, "good"},
		{"no EDNS, nor anything else", func(q *wire.Msg) [][]byte {
			return [][]byte{pack(new(wire.Msg).SetRcode(q, wire.RcodeFormatError))}
		}, "FORMERR"},
		{"cut short", func(q *wire.Msg) [][]byte {
			p := pack(good(q, "good"))
			return [][]byte{p[:len(p)-3]}
		}, "the reply cannot be read"},
		{"truncated, and no TCP", func(q *wire.Msg) [][]byte {
			return [][]byte{changed(q, func(m *wire.Msg) { m.Truncated = true })}
		}, "connection refused"},
		{"lame", func(q *wire.Msg) [][]byte { return [][]byte{pack(new(wire.Msg).SetReply(q))} },
			"refuses to resolve names for this host"},
		{"silent", func(*wire.Msg) [][]byte { return nil }, "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := serveRaw(t, tt.reply)
			o := dns.Options{Servers: []string{addr}}
			if tt.name == "silent" {
				o.Timeout = 50 * time.Millisecond
			}
			c := client(t, o)
			a, err := c.Lookup(t.Context(), "example.com", dns.TXT)
			if err != nil {
				if !errors.Is(err, dns.ErrFailure) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error: got %v, want %s", err, tt.want)
				}
				if errors.Is(err, dns.ErrTimeout) != (tt.name == "silent") {
					t.Errorf("ErrTimeout: %v", err)
				}
				return
			}
			if fmt.Sprint(a.Texts) != "["+tt.want+"]" {
				t.Errorf("got %q, want %s", a.Texts, tt.want)
			}
		})
	}
}

// TestClientFailsOver asks three times. Only a server that keeps silent is dead.
func TestClientFailsOver(t *testing.T) {
	silent := serveRaw(t, func(*wire.Msg) [][]byte { return nil })
	var refusals, ends atomic.Int32
	refuser := serveRaw(t, func(q *wire.Msg) [][]byte {
		refusals.Add(1)
		return [][]byte{pack(new(wire.Msg).SetRcode(q, wire.RcodeRefused))}
	})
	broken := serveRaw(t, func(q *wire.Msg) [][]byte {
		ends.Add(1)
		m := new(wire.Msg).SetReply(q)
		m.Ns = []wire.RR{&wire.NS{Hdr: wire.RR_Header{Name: ".", Rrtype: wire.TypeNS,
			Class: wire.ClassINET}, Ns: "a.example."}}
		p := pack(m)
		return [][]byte{p[:len(p)-1]}
	})
	z := dnstest.Must("example.com A 192.0.2.1")
	c := client(t, dns.Options{Servers: []string{silent, refuser, broken, serve(t, z)},
		Timeout: time.Second})
	for range 3 {
		if a, err := c.Lookup(t.Context(), "example.com", dns.A); err != nil || len(a.Addrs) != 1 {
			t.Fatalf("got %+v, %v", a, err)
		}
	}
	if n := c.Counters.Timeouts.Load(); n != 1 {
		t.Errorf("%d queries went to the dead server, want 1", n)
	}
	if r, e := refusals.Load(), ends.Load(); r != 3 || e != 3 {
		t.Errorf("the servers that refuse and cut short got %d and %d queries, want 3: they are alive", r, e)
	}
}

func TestClientForgives(t *testing.T) {
	t.Parallel()
	var queries, refusals atomic.Int32
	late := serveRaw(t, func(q *wire.Msg) [][]byte {
		if queries.Add(1) == 1 {
			return nil
		}
		m := new(wire.Msg).SetReply(q)
		m.RecursionAvailable = true
		return [][]byte{pack(m)}
	})
	refuser := serveRaw(t, func(q *wire.Msg) [][]byte {
		refusals.Add(1)
		return [][]byte{pack(new(wire.Msg).SetRcode(q, wire.RcodeRefused))}
	})
	c := client(t, dns.Options{
		Servers: []string{late, refuser},
		Timeout: 3 * time.Second, // that of the first query passes; the second has it to spare
		Resend:  time.Hour,
	})
	for range 2 {
		if a, err := c.Lookup(t.Context(), "example.com", dns.A); err != nil ||
			a.Status != dns.NoData {
			t.Fatalf("got %+v, %v", a, err)
		}
	}
	if n := refusals.Load(); n != 1 {
		t.Errorf("the second server got %d queries, want 1: the first had answered again", n)
	}
}

func TestClientFailureText(t *testing.T) {
	silent := serveRaw(t, func(*wire.Msg) [][]byte { return nil })
	refuser := serveRaw(t, func(q *wire.Msg) [][]byte {
		return [][]byte{pack(new(wire.Msg).SetRcode(q, wire.RcodeRefused))}
	})
	tests := []struct {
		name    string
		servers []string
		want    string
		queries uint64
		timeout bool
	}{
		{"refused: not asked again", []string{refuser}, refuser + ": REFUSED", 1, false},
		{"silent: asked again", []string{silent}, silent + ": no answer in time", 2, true},
		{"both", []string{silent, refuser}, silent + ": no answer in time; " + refuser +
			": REFUSED; " + silent + ": no answer in time", 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, dns.Options{Servers: tt.servers, Timeout: 2 * time.Second})
			_, err := c.Lookup(t.Context(), "Example.com", dns.TXT)
			want := "lookup failed: TXT example.com: " + tt.want
			if err == nil || err.Error() != want || errors.Is(err, dns.ErrTimeout) != tt.timeout ||
				!errors.Is(err, dns.ErrFailure) {
				t.Errorf("got %v, want %s", err, want)
			}
			if n := c.Counters.Queries.Load(); n != tt.queries {
				t.Errorf("%d queries, want %d", n, tt.queries)
			}
		})
	}
}

func TestClientObeysContext(t *testing.T) {
	silent := serveRaw(t, func(*wire.Msg) [][]byte { return nil })
	tests := []struct {
		name    string
		limit   func(ctx context.Context) (context.Context, context.CancelFunc)
		options dns.Options
		want    error
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, dns.Options{}, context.DeadlineExceeded},
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(20*time.Millisecond, cancel)
			return ctx, cancel
		}, dns.Options{}, context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Servers = []string{silent}
			tt.options.Timeout = time.Minute
			c := client(t, tt.options)
			ctx, cancel := tt.limit(t.Context())
			defer cancel()
			other := make(chan error)
			go func() { _, err := c.Lookup(ctx, "other.example", dns.TXT); other <- err }()
			if _, err := c.Lookup(ctx, "example.com", dns.TXT); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err := <-other; !errors.Is(err, tt.want) {
				t.Errorf("other: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestServerKeepsSilent(t *testing.T) {
	z := dnstest.Must("$TIMEOUT slow.example TXT\nslow.example A 192.0.2.1")
	addr := serve(t, z)
	impatient := client(t, dns.Options{Servers: []string{addr}, Timeout: 100 * time.Millisecond})
	if _, err := impatient.Lookup(t.Context(), "slow.example", dns.TXT); !errors.Is(err,
		dns.ErrTimeout) {
		t.Errorf("TXT: got %v, want a time-out", err)
	}
	c := client(t, dns.Options{Servers: []string{addr}})
	if a, err := c.Lookup(t.Context(), "slow.example", dns.A); err != nil || len(a.Addrs) != 1 {
		t.Errorf("A: got %v, %v", a, err)
	}
	if err := z.Add("slow.example TXT late"); err != nil {
		t.Fatal(err)
	}
	z.Replace(dnstest.FromMap(map[string][]string{"slow.example": {"new"}}))
	if a, err := c.Lookup(t.Context(), "slow.example", dns.TXT); err != nil ||
		fmt.Sprint(a.Texts) != "[new]" {
		t.Errorf("after Replace: got %v, %v", a, err)
	}
}
