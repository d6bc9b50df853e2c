package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
)

// ErrShortage means that this host lacked the resources for a lookup: no place at the Gate
// became free in the caller's time, or there was no file descriptor or no memory. It implies
// nothing about the name or its servers, does not wrap ErrFailure and is never cached: it must not
// be treated as a failure of the DNS.
var ErrShortage = errors.New("this host is too busy to look names up")

// Class divides the lookups of a message into groups, so that one method cannot take the
// places of another: a sender that adds many signatures below unresponsive servers must not
// delay the lookup of its own DMARC policy.
type Class uint8

// The classes. Each has separate places at the Gate.
const (
	// keys of DKIM and ARC, reverse names, and whatever else belongs to no other class
	Evidence Class = iota
	SPF
	DMARC
	classCount
)

// Asker is on whose behalf a lookup is made. Those that are equal share their places.
type Asker struct {
	Network netip.Prefix // of the SMTP client: /24 or /48
	// for mail of a relay, whose network says nothing about who wrote it: the message; else nil
	Message any
}

// NetworkOf returns the network that a client is counted under: /24 for IPv4, /48 for IPv6, which
// is what one customer of a provider gets at most. It is the zero Prefix for the zero Addr.
func NetworkOf(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	bits := 48
	if client.Is4() {
		bits = 24
	}
	network, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

type askerKey struct{}

type classKey struct{}

// ForAsker returns a context whose lookups are made on behalf of a. Without one they belong to the
// host itself.
func ForAsker(ctx context.Context, a Asker) context.Context {
	return context.WithValue(ctx, askerKey{}, a)
}

// InClass returns a context whose lookups are of class c; without it they are Evidence.
func InClass(ctx context.Context, c Class) context.Context {
	return context.WithValue(ctx, classKey{}, c)
}

// GateOptions bound the lookups in progress, in each class. The zero value suits a busy host.
type GateOptions struct {
	// Own is how many places every asker has to itself; 0 means 2.
	Own int
	// Shared is how many lookups there may be beyond those, of all askers together; 0 means 256.
	Shared int
	// Most bounds all of them, since each needs a socket; 0 means 1024.
	Most int
}

func (o GateOptions) withDefaults() GateOptions {
	if o.Own <= 0 {
		o.Own = 2
	}
	if o.Shared <= 0 {
		o.Shared = 256
	}
	if o.Most <= 0 {
		o.Most = 1024
	}
	return o
}

// Gate is a Resolver that limits the number of concurrent lookups and divides the places
// fairly. Answers from the Cache behind it need no place. It is safe for concurrent use.
//
// Senders of messages with many names below servers that do not answer can fill it, since
// each such name keeps its place for seconds. Others are not affected: every caller has
// reserved places as long as there are fewer than Most/Own callers at once; a caller that
// wants more waits, and the waiting caller with the fewest places is served first. The
// caller holds the place, not the lookup: a caller that asks for a name that is already
// being looked up shares that answer, and does not wait in the other caller's queue.
type Gate struct {
	Counters GateCounters

	next    *Cache
	classes [classCount]places
}

// GateCounters count since the Gate was made.
type GateCounters struct {
	Granted atomic.Uint64 // lookups that got a place
	Waited  atomic.Uint64 // of these, those that had to wait for it
	Waiting atomic.Int64  // lookups that wait now
	// lookups whose caller's time was over before they had a place, or because they had waited
	Shortages atomic.Uint64
}

// NewGate returns a Gate before a cache.
func NewGate(next *Cache, o GateOptions) *Gate {
	g := &Gate{next: next}
	for i := range g.classes {
		g.classes[i] = places{options: o.withDefaults(), askers: map[Asker]*asker{}}
	}
	return g
}

// Cache returns the cache behind g.
func (g *Gate) Cache() *Cache { return g.next }

// Lookup implements Resolver. Beside the errors of the cache it knows ErrShortage.
func (g *Gate) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if a, err, isKnown := g.next.Remembered(name, t); isKnown {
		return a, err
	}
	announceWait(ctx)
	who, _ := ctx.Value(askerKey{}).(Asker)
	class, _ := ctx.Value(classKey{}).(Class)
	hasWaited, err := g.enter(ctx, &g.classes[class], who)
	if err != nil {
		return Answer{}, g.shortage(name, t, err)
	}
	defer g.classes[class].leave(who)
	a, err := g.next.Lookup(ctx, name, t)
	if err != nil && hasWaited && ctx.Err() != nil {
		// it might have been answered in the time that it waited
		return Answer{}, g.shortage(name, t, ctx.Err())
	}
	return a, err
}

func (g *Gate) shortage(name string, t Type, err error) error {
	g.Counters.Shortages.Add(1)
	return fmt.Errorf("%w: too many lookups are in progress for %s %s: %w", ErrShortage, t, name,
		err)
}

// enter waits for a place.
func (g *Gate) enter(ctx context.Context, p *places, who Asker) (hasWaited bool, err error) {
	w := p.enter(who)
	if w == nil {
		g.Counters.Granted.Add(1)
		return false, nil
	}
	g.Counters.Waiting.Add(1)
	defer g.Counters.Waiting.Add(-1)
	select {
	case <-w.granted:
	case <-ctx.Done():
		if p.abandon(w) {
			return true, ctx.Err()
		}
	}
	g.Counters.Granted.Add(1)
	g.Counters.Waited.Add(1)
	return true, nil
}

// places are those of one class.
type places struct {
	options GateOptions

	mu     sync.Mutex
	held   int              // all places taken
	shared int              // of these, those beyond the askers' own
	askers map[Asker]*asker // that hold a place or wait for one
	came   uint64           // lookups that had to wait so far: their order
}

// asker is one Asker at a Gate.
type asker struct {
	who     Asker
	held    int
	waiting []*waiter // in the order of their coming
}

// waiter is a lookup that waits for a place.
type waiter struct {
	asker   *asker
	order   uint64 // of its coming
	granted chan struct{}
}

// enter takes a place and returns nil, or returns what to wait for.
func (p *places) enter(who Asker) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.askers[who]
	if a == nil {
		a = &asker{who: who}
		p.askers[who] = a
	}
	if len(a.waiting) == 0 && p.hasPlace(a) {
		p.take(a)
		return nil
	}
	p.came++
	w := &waiter{asker: a, order: p.came, granted: make(chan struct{})}
	a.waiting = append(a.waiting, w)
	return w
}

// hasPlace reports whether a may have one more place. It need not be the asker's turn.
func (p *places) hasPlace(a *asker) bool {
	if p.held >= p.options.Most {
		return false
	}
	return a.held < p.options.Own || p.shared < p.options.Shared
}

func (p *places) take(a *asker) {
	p.held++
	if a.held >= p.options.Own {
		p.shared++
	}
	a.held++
}

// leave gives a place back, and passes it on.
func (p *places) leave(who Asker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.askers[who]
	a.held--
	if a.held >= p.options.Own {
		p.shared--
	}
	p.held--
	p.forget(a)
	p.pass()
}

// pass gives free places to those that wait, the asker with the fewest places first, and of several
// the one that has waited longest. It looks at every asker that is there, of which there are no
// more than connections of MTAs.
func (p *places) pass() {
	for {
		var next *asker
		for _, a := range p.askers {
			if len(a.waiting) > 0 && p.hasPlace(a) && (next == nil || a.isBefore(next)) {
				next = a
			}
		}
		if next == nil {
			return
		}
		p.take(next)
		close(next.waiting[0].granted)
		next.waiting = next.waiting[1:]
	}
}

func (a *asker) isBefore(b *asker) bool {
	if a.held != b.held {
		return a.held < b.held
	}
	return a.waiting[0].order < b.waiting[0].order
}

// abandon takes w out of the queue. It is false when w has been granted a place meanwhile.
func (p *places) abandon(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range w.asker.waiting {
		if other == w {
			w.asker.waiting = append(w.asker.waiting[:i:i], w.asker.waiting[i+1:]...)
			p.forget(w.asker)
			return true
		}
	}
	return false
}

func (p *places) forget(a *asker) {
	if a.held == 0 && len(a.waiting) == 0 {
		delete(p.askers, a.who)
	}
}
