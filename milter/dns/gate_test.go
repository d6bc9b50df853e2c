package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// servers answer names below "good." at once; those below "silent." they leave without an answer
// for five seconds.
type servers struct {
	mu       sync.Mutex
	underWay int
	most     int
}

func (s *servers) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	s.mu.Lock()
	s.underWay++
	s.most = max(s.most, s.underWay)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.underWay--
		s.mu.Unlock()
	}()
	if strings.HasSuffix(name, ".good") {
		return dns.Answer{Status: dns.Found, Texts: []string{"yes"}, TTL: time.Hour}, nil
	}
	select {
	case <-time.After(5 * time.Second):
		return dns.Answer{}, dns.ErrTimeout
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}

// flood begins so many lookups below silent servers for each of so many askers, and returns when
// all of them are in progress or wait. Those of one asker come together, as those of a message do.
func flood(ctx context.Context, g *dns.Gate, class dns.Class, askers []dns.Asker,
	each int) (wait func()) {
	var all sync.WaitGroup
	for i, who := range askers {
		mine := dns.InClass(dns.ForAsker(ctx, who), class)
		for j := range each {
			all.Go(func() { _, _ = g.Lookup(mine, fmt.Sprintf("k%d.m%d.silent", j, i), dns.TXT) })
		}
	}
	synctest.Wait()
	return all.Wait
}

func networks(t *testing.T, n int, format string) []dns.Asker {
	t.Helper()
	out := make([]dns.Asker, n)
	for i := range out {
		out[i].Network = dns.NetworkOf(netip.MustParseAddr(fmt.Sprintf(format, i)))
	}
	return out
}

// Whatever strangers ask for, an honest message waits for no one: it has places of its own.
func TestGateIsFair(t *testing.T) {
	// all are of the zero network
	one := func(t *testing.T, n int) []dns.Asker { return make([]dns.Asker, n) }
	for _, sessions := range []int{25, 100, 250} {
		for _, tt := range []struct {
			name   string
			askers []dns.Asker
			most   int
		}{
			{"one network", one(t, sessions), 2 + 256 + 1},
			{"as many networks, IPv4", networks(t, sessions, "10.0.%d.7"), 1024},
			{"as many networks, IPv6", networks(t, sessions, "2001:db8:%x::7"), 1024},
		} {
			for class := range dns.DMARC + 1 {
				t.Run(fmt.Sprintf("%d sessions of %s, class %d", sessions, tt.name, class),
					func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							s := &servers{}
							g := dns.NewGate(dns.NewCache(s, dns.CacheOptions{}), dns.GateOptions{})
							ctx, stop := context.WithCancel(t.Context())
							wait := flood(ctx, g, class, tt.askers, 8)
							honest := dns.InClass(dns.ForAsker(t.Context(),
								networks(t, 1, "203.0.113.%d")[0]), class)
							granted, began := g.Counters.Granted.Load(), time.Now()
							for i := range 10 {
								a, err := g.Lookup(honest, fmt.Sprintf("n%d.good", i), dns.TXT)
								if err != nil || a.Status != dns.Found {
									t.Errorf("honest lookup %d: got %v, %v", i, a.Status, err)
								}
							}
							if n := g.Counters.Granted.Load() - granted; n != 10 ||
								time.Since(began) != 0 {
								t.Errorf("%d places were granted in %v while ten lookups were made: they waited",
									n, time.Since(began))
							}
							if s.most > tt.most {
								t.Errorf("%d lookups at once, want %d at most", s.most, tt.most)
							}
							stop()
							wait()
						})
					})
			}
		}
	}
}

// With more askers than there are places the one with the fewest goes first, and of those the one
// that came first.
func TestGateOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &servers{}
		g := dns.NewGate(dns.NewCache(s, dns.CacheOptions{}),
			dns.GateOptions{Own: 1, Shared: 2, Most: 4})
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		ask := func(who, name string) {
			ctx := dns.ForAsker(t.Context(), dns.Asker{Message: who})
			all.Go(func() {
				_, _ = g.Lookup(ctx, name, dns.TXT)
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
			})
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		for i := range 6 {
			ask("greedy", fmt.Sprintf("g%d.silent", i)) // three get a place
		}
		ask("first", "f0.silent") // the fourth
		ask("second", "s0.silent")
		ask("third", "t0.silent")
		ask("second", "s1.silent")
		all.Wait()
		got := strings.ReplaceAll(strings.Join(order, " "), ".silent", "")
		if want := "g0 g1 g2 f0 s0 t0 g3 g4 s1 g5"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if waited, waiting := g.Counters.Waited.Load(), g.Counters.Waiting.Load(); waited != 6 ||
			waiting != 0 {
			t.Errorf("%d waited and %d wait, want 6 and 0", waited, waiting)
		}
	})
}

// A message whose time is over while it waits, or soon after, has met a shortage of ours and no
// failure of the DNS.
func TestGateShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &servers{}
		g := dns.NewGate(dns.NewCache(s, dns.CacheOptions{}),
			dns.GateOptions{Own: 1, Shared: 1, Most: 2})
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() { _, _ = g.Lookup(t.Context(), fmt.Sprintf("%d.silent", i), dns.TXT) })
		}
		synctest.Wait()
		for _, tt := range []struct {
			name string
			time time.Duration
		}{{"never-asked.silent", time.Second}, {"asked-too-late.silent", 6 * time.Second}} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.time)
			budget := dns.WithBudget(g, 5)
			_, err := budget.Lookup(ctx, tt.name, dns.TXT)
			if !errors.Is(err, dns.ErrShortage) || errors.Is(err, dns.ErrFailure) ||
				!budget.WasShort() {
				t.Errorf("%s: got %v, short %v", tt.name, err, budget.WasShort())
			}
			cancel()
		}
		all.Wait()
		if _, err := g.Lookup(t.Context(), "never-asked.silent", dns.TXT); !errors.Is(err,
			dns.ErrTimeout) {
			t.Errorf("later: got %v, want the failure itself: a shortage is not remembered", err)
		}
	})
}

// Who asks for a name that a stranger has asked for does not wait in the stranger's queue.
func TestGateJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &servers{}
		g := dns.NewGate(dns.NewCache(s, dns.CacheOptions{}),
			dns.GateOptions{Own: 1, Shared: 1, Most: 1024})
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() { _, _ = g.Lookup(ctx, fmt.Sprintf("%d.silent", i), dns.TXT) })
		}
		synctest.Wait()
		all.Go(func() { _, _ = g.Lookup(ctx, "_dmarc.bank.good", dns.TXT) })
		synctest.Wait()
		began := time.Now()
		honest := dns.ForAsker(t.Context(), dns.Asker{Message: "honest"})
		if a, err := g.Lookup(honest, "_dmarc.bank.good", dns.TXT); err != nil ||
			a.Status != dns.Found || time.Since(began) != 0 {
			t.Errorf("got %v, %v after %v", a.Status, err, time.Since(began))
		}
		stop()
		all.Wait()
	})
}

// Descriptors that have run out are ours to mend, and no server is blamed for them.
func TestClientDescriptors(t *testing.T) {
	z := serve(t, dnstest.Must("example.com TXT x"))
	c := client(t, dns.Options{Servers: []string{z}, Tries: 1})
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE,
		&syscall.Rlimit{Cur: 3, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Lookup(t.Context(), "example.com", dns.TXT)
	if restored := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, dns.ErrShortage) || errors.Is(err, dns.ErrFailure) {
		t.Errorf("got %v, want a shortage", err)
	}
	if _, err := c.Lookup(t.Context(), "example.com", dns.TXT); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
