package verify

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/message"
)

// spoof writes a message in the name of alice@example.com, whose domain wants forgeries rejected,
// that has as much looked up as it can: a chain of sets whose newest is good and whose older keys
// are below silent servers, and signatures that are there as well. i makes the names of one message
// differ from those of others.
func spoof(t testing.TB, i, sets, signatures int) string {
	t.Helper()
	raw := text
	for n := range signatures {
		raw = fmt.Sprintf("DKIM-Signature: v=1; a=ed25519-sha256; d=d%d.m%d.silent.test; "+
			"s=k;\r\n h=From; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA\r\n", n, i) +
			raw
	}
	for n := 1; n < sets; n++ {
		cv := "pass"
		if n == 1 {
			cv = "none"
		}
		tags := fmt.Sprintf("a=ed25519-sha256; d=a%d.m%d.silent.test; s=k; i=%d; b=AAAA", n, i, n)
		raw = fmt.Sprintf("ARC-Seal: cv=%s; %s\r\nARC-Message-Signature: h=From; "+
			"bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\r\n "+
			"%s\r\nARC-Authentication-Results: i=%d; x.test; none\r\n", cv, tags, tags, n) + raw
	}
	o := arc.SealOptions{Time: now}
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{o.BodyHash()} })
	if err != nil {
		t.Fatal(err)
	}
	chain := (&arc.Validator{}).Select(m.Header).Run(t.Context(), m) // for its sets
	chain.Value = arc.Pass
	fields, err := arc.Seal(m.Header, m.Body, chain, "x.test; none", dkim.Key{Domain: "example.net",
		Selector: "k", Signer: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(fields) - 1; n >= 0; n-- {
		raw = string(fields[n].Raw()) + "\r\n" + raw
	}
	return raw
}

// slowly answers from a zone, and leaves questions about silent.test without an answer for five
// seconds.
type slowly struct {
	zone  dns.Resolver
	asked atomic.Int64 // about silent.test
}

func (s *slowly) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if !strings.HasSuffix(name, "silent.test") {
		a, err := s.zone.Lookup(ctx, name, t)
		a.TTL = 0 // nothing is remembered: every message asks for all
		return a, err
	}
	s.asked.Add(1)
	select {
	case <-time.After(5 * time.Second):
		return dns.Answer{}, dns.ErrTimeout
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}

// Messages full of names below silent servers cost those who send them, and no one else: whatever
// comes from strangers, honest mail is judged at once, and a forgery is found out.
func TestAttackOnLookups(t *testing.T) {
	raw, honest := spoof(t, 0, 50, 10), signed(t, text, "example.com")
	for _, sessions := range []int{25, 100, 250} {
		for _, from := range []struct{ name, address string }{
			{"one network", "198.51.100.%d"},
			{"as many networks", "10.%d.0.1"},
			{"as many IPv6 networks", "2001:db8:%x::1"},
		} {
			t.Run(fmt.Sprintf("%d sessions from %s", sessions, from.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v, zone := newVerifier(t)
					if err := zone.Add("k._domainkey.example.net TXT \"" + keyRecord +
						"\""); err != nil {
						t.Fatal(err)
					}
					v.ARC = &arc.Validator{Now: clock}
					slow := &slowly{zone: zone}
					gate := dns.NewGate(dns.NewCache(slow, dns.CacheOptions{Failures: -1}),
						dns.GateOptions{})
					v.Resolver = gate
					var all sync.WaitGroup
					for i := range sessions {
						client := netip.MustParseAddr(fmt.Sprintf(from.address, i)).String()
						hostile := strings.ReplaceAll(raw, ".m0.", fmt.Sprintf(".m%d.", i))
						all.Go(func() {
							for range 3 {
								r := judged(t, t.Context(), v, envelope(client, "h.m.silent.test",
									fmt.Sprintf("a@m%d.silent.test", i)), false, hostile)
								if r.DMARC.Value != dmarc.Fail && !r.Short {
									t.Errorf("spoof from %s: dmarc=%s (%s)", client, r.DMARC.Value,
										r.DMARC.Reason)
								}
							}
						})
					}
					for range 10 {
						// of the bubble's clock: the attack is at its height
						time.Sleep(time.Second)
						synctest.Wait()
						began, waiting := time.Now(), gate.Counters.Waited.Load()
						r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com",
							"alice@example.com"), false, honest)
						if r.DMARC.Value != dmarc.Pass || r.SPF.Value != "pass" ||
							r.BestDKIM() != "pass" || r.Short {
							t.Errorf("honest mail: %s, short %v", r, r.Short)
						}
						if time.Since(began) != 0 || gate.Counters.Waited.Load() != waiting {
							t.Errorf("honest mail was judged after %v", time.Since(began))
						}
					}
					all.Wait()
					if n := slow.asked.Load(); n < int64(sessions)*3*5 {
						t.Errorf("%d lookups below silent servers: this is no attack", n)
					}
				})
			})
		}
	}
}
