package domains

import (
	"context"
	"slices"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/keydns"
)

// Clock returns the current time, and waits.
type Clock interface {
	Now() time.Time
	Wait(ctx context.Context, d time.Duration) error
}

// hostClock is the host's.
type hostClock struct{}

func (hostClock) Now() time.Time { return time.Now() }

func (hostClock) Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacer lets one question after the other pass, no more often than a rate allows. Not for
// concurrent use.
type pacer struct {
	clock Clock
	every time.Duration
	next  time.Time
}

// newPacer lets rate questions a second pass. A nil clock is the host's.
func newPacer(rate float64, clock Clock) *pacer {
	if clock == nil {
		clock = hostClock{}
	}
	return &pacer{clock: clock, every: time.Duration(float64(time.Second) / rate)}
}

// Paced returns a resolver that makes at most rate queries a second; rate is above 0. A nil clock
// is the host's. It is not for concurrent use.
func Paced(r dns.Resolver, rate float64, clock Clock) dns.Resolver {
	return paced{r, newPacer(rate, clock)}
}

func (p *pacer) wait(ctx context.Context) error {
	if wait := p.next.Sub(p.clock.Now()); wait > 0 {
		if err := p.clock.Wait(ctx, wait); err != nil {
			return err
		}
	}
	p.next = p.clock.Now().Add(p.every)
	return nil
}

// paced is a resolver whose questions a pacer lets pass.
type paced struct {
	dns.Resolver
	*pacer
}

// Lookup implements dns.Resolver.
func (p paced) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if err := p.wait(ctx); err != nil {
		return dns.Answer{}, err
	}
	return p.Resolver.Lookup(ctx, name, t)
}

// pacedPanel finds servers whose questions a pacer lets pass.
type pacedPanel struct {
	Panel
	*pacer
}

// Of implements Panel.
func (p pacedPanel) Of(ctx context.Context, name string) ([]keydns.Server, error) {
	servers, err := p.Panel.Of(ctx, name)
	servers = slices.Clone(servers)
	for i := range servers {
		servers[i].Resolver = paced{servers[i].Resolver, p.pacer}
	}
	return servers, err
}

// pace puts a cache before the resolver, and holds all questions of the run to the rate: those to
// the authoritative name servers count like the others.
func (q *Request) pace() {
	var shared *pacer
	if q.Rate > 0 {
		shared = newPacer(q.Rate, q.Pace)
		q.Resolver = paced{q.Resolver, shared}
		if q.Unchecked != nil {
			q.Unchecked = paced{q.Unchecked, shared}
		}
	}
	q.Resolver = dns.NewCache(q.Resolver, dns.CacheOptions{})
	if p, ok := q.Panel.(*keydns.Panel); ok { // finds the servers by the host's resolver
		own := *p
		own.Resolver = q.Resolver
		q.Panel = &own
	}
	if shared != nil && q.Panel != nil {
		q.Panel = pacedPanel{q.Panel, shared}
	}
}
