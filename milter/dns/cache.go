package dns

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// CacheOptions bound what a Cache keeps and for how long. The zero value is good for a busy host.
type CacheOptions struct {
	Entries     int           // 0 means 50,000
	Bytes       int           // an estimate of the memory for answers; 0 means 32 MiB
	MaxTTL      time.Duration // for records, whatever theirs says; 0 means 1 day
	MaxNegative time.Duration // for NXDOMAIN and no data; 0 means 1 h (RFC 2308 section 5 allows 3)
	Failures    time.Duration // how long a failure is an answer; 0 means 30 s, below 0 not at all (RFC 2308 section 7 allows 5 min)
	Now         func() time.Time
}

func (o CacheOptions) withDefaults() CacheOptions {
	if o.Entries <= 0 {
		o.Entries = 50_000
	}
	if o.Bytes <= 0 {
		o.Bytes = 32 << 20
	}
	if o.MaxTTL <= 0 {
		o.MaxTTL = 24 * time.Hour
	}
	if o.MaxNegative <= 0 {
		o.MaxNegative = time.Hour
	}
	if o.Failures == 0 {
		o.Failures = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Cache is a Resolver that remembers what another one answered, as long as the answer's TTL allows. Who asks for what
// is already being looked up waits for that answer; a caller that gives up does not end the look-up for the others.
// Safe for concurrent use.
type Cache struct {
	Counters CacheCounters

	next   Resolver
	o      CacheOptions
	seed   maphash.Seed
	shards [shardCount]shard
}

// CacheCounters count look-ups since the Cache was made. Every one is a hit, a miss or shared.
type CacheCounters struct {
	Hits      atomic.Uint64 // answered from memory
	Misses    atomic.Uint64 // looked up
	Shared    atomic.Uint64 // waited for a look-up that somebody else began
	Failures  atomic.Uint64 // look-ups that failed; remembered ones do not count again
	Evictions atomic.Uint64 // answers dropped before their time because the bounds were reached
}

// shardCount is how many parts with a lock of their own the cache has.
const shardCount = 32

// anyType is the type under which NXDOMAIN is kept: it holds for all types of the name.
const anyType Type = 0

type key struct {
	name string
	typ  Type
}

// NewCache returns an empty cache in front of next.
func NewCache(next Resolver, o CacheOptions) *Cache {
	c := &Cache{next: next, o: o.withDefaults(), seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.entries = map[key]*entry{}
		s.flights = map[key]*flight{}
		s.maxEntries = max(1, c.o.Entries/shardCount)
		s.maxBytes = c.o.Bytes / shardCount
		s.evicted = &c.Counters.Evictions
	}
	return c
}

// Lookup implements Resolver. The TTL of an answer from memory is what is left of it.
func (c *Cache) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	canonical, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, nil
	}
	k := key{canonical, t}
	s := &c.shards[maphash.String(c.seed, canonical)%shardCount]
	now := c.o.Now()
	s.mu.Lock()
	if e := s.get(k, now); e != nil {
		s.mu.Unlock()
		c.Counters.Hits.Add(1)
		a := e.answer
		a.TTL = e.expires.Sub(now)
		return a, e.err
	}
	if mustRecall(ctx) {
		s.mu.Unlock()
		return Answer{}, errForgotten
	}
	f, isNew := s.join(ctx, k, now)
	s.mu.Unlock()
	if isNew {
		c.Counters.Misses.Add(1)
		go c.fly(s, k, f)
	} else {
		c.Counters.Shared.Add(1)
	}
	return c.wait(ctx, s, k, f)
}

// Remembered returns what is known of a name without asking anybody; known is false when nothing is.
func (c *Cache) Remembered(name string, t Type) (a Answer, err error, known bool) {
	canonical, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, nil, true
	}
	s := &c.shards[maphash.String(c.seed, canonical)%shardCount]
	now := c.o.Now()
	s.mu.Lock()
	e := s.get(key{canonical, t}, now)
	s.mu.Unlock()
	if e == nil {
		return Answer{}, nil, false
	}
	c.Counters.Hits.Add(1)
	a = e.answer
	a.TTL = e.expires.Sub(now)
	return a, e.err, true
}

// wait returns the answer of a flight, unless ctx ends before.
func (c *Cache) wait(ctx context.Context, s *shard, k key, f *flight) (Answer, error) {
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		c.leave(s, k, f)
		return Answer{}, fmt.Errorf("dns: %s %s: %w", k.typ, k.name, ctx.Err())
	}
}

// fly does the look-up of a flight and keeps its answer.
func (c *Cache) fly(s *shard, k key, f *flight) {
	defer f.cancel()
	f.answer, f.err = c.guarded(f.ctx, k)
	if f.err != nil {
		c.Counters.Failures.Add(1)
	}
	now := c.o.Now()
	s.mu.Lock()
	if ttl := c.ttl(f); ttl > 0 {
		s.put(k, f.answer, f.err, now.Add(ttl))
	}
	s.land(k, f)
	s.mu.Unlock()
	close(f.done)
}

// patience is how long a look-up must have gone on for its end by the last caller's deadline to be remembered as a
// time-out. Else a domain whose servers are silent costs every message its whole deadline.
const patience = 5 * time.Second

// leave takes a caller off a flight. The last one ends the look-up.
func (c *Cache) leave(s *shard, k key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiters--
	if f.waiters > 0 || s.flights[k] != f {
		return
	}
	s.land(k, f)
	f.cancel()
	if now := c.o.Now(); now.Sub(f.began) >= patience && c.o.Failures > 0 {
		s.put(k, Answer{}, fmt.Errorf("%w: %s %s", ErrTimeout, k.typ, k.name), now.Add(c.o.Failures))
	}
}

// guarded asks the next resolver. A panic there is a failure of this look-up, not the end of the daemon.
func (c *Cache) guarded(ctx context.Context, k key) (a Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a, err = Answer{}, fmt.Errorf("%w: %s %s: panic: %v", ErrFailure, k.typ, k.name, p)
		}
	}()
	return c.next.Lookup(ctx, k.name, k.typ)
}

// ttl says how long the outcome of a flight is kept. A failure is kept as a failure: a time-out never turns into an
// answer. What failed because its callers gave up, or spent their budget, is nobody else's business.
func (c *Cache) ttl(f *flight) time.Duration {
	switch {
	case f.err != nil && (f.ctx.Err() != nil || !errors.Is(f.err, ErrFailure) || errors.Is(f.err, ErrBudget)):
		return 0
	case f.err != nil:
		return c.o.Failures
	case f.answer.Status == Found:
		return min(f.answer.TTL, c.o.MaxTTL)
	}
	return min(f.answer.TTL, c.o.MaxNegative)
}
