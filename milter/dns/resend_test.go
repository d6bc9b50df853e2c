package dns_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
)

// lossy is a name server that the network loses most queries to: of each, so many packets.
type lossy struct {
	loses int

	mu     sync.Mutex
	came   map[string]string // by name: who asked for it, and the packet
	counts map[string]int
}

// serve answers on loopback until the test ends.
func (l *lossy) serve(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l.came, l.counts = map[string]string{}, map[string]int{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := l.reply(t, from.String(), buf[:n]); reply != nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// reply loses a packet, or answers it. What comes again has to be the same packet from the same
// port: a new one would be one more question that a forger could guess the id of.
func (l *lossy) reply(t *testing.T, from string, packet []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := new(wire.Msg)
	if err := q.Unpack(packet); err != nil {
		t.Error(err)
		return nil
	}
	name := q.Question[0].Name // of one lookup; its port may be another one's later
	now := from + " " + string(packet)
	if before := l.came[name]; before != "" && before != now {
		t.Errorf("the query came again as %q, before as %q", now, before)
	}
	l.came[name] = now
	l.counts[name]++
	if l.counts[name] <= l.loses {
		return nil
	}
	m := new(wire.Msg).SetReply(q)
	m.Answer = []wire.RR{&wire.TXT{
		Hdr: wire.RR_Header{Name: q.Question[0].Name, Rrtype: wire.TypeTXT, Class: wire.ClassINET, Ttl: 60},
		Txt: []string{"found"},
	}}
	return pack(m)
}

// TestClientSendsAgain asks for many names at once, as when messages of many strangers begin at the
// same moment and the buffer of the server's socket overflows: a lost packet must cost no lookup
// its whole time, nor make a failure of it.
func TestClientSendsAgain(t *testing.T) {
	const lookups = 250
	server := &lossy{loses: 2}
	// a Timeout that no test lives to see: without another packet there is no answer
	c := client(t, dns.Options{
		Servers: []string{server.serve(t)},
		Timeout: time.Hour,
		Tries:   1,
		Resend:  time.Millisecond,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range lookups {
		all.Go(func() {
			a, err := c.Lookup(ctx, fmt.Sprintf("n%d.example.com", i), dns.TXT)
			if err != nil || len(a.Texts) != 1 || a.Texts[0] != "found" {
				t.Errorf("lookup %d: got %+v, %v", i, a, err)
			}
		})
	}
	all.Wait()
	if n := c.Counters.Queries.Load(); n != lookups {
		t.Errorf("%d queries are counted, want %d: one that is sent again is the same query", n,
			lookups)
	}
	if n := c.Counters.Resent.Load(); n < uint64(server.loses*lookups) {
		t.Errorf("%d packets are counted as sent again, want at least %d", n, server.loses*lookups)
	}
}
