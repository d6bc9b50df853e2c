// Package cache remembers values for a time and within bounds, and asks for each missing one once,
// however many wait.
//
// What a value costs, how long it lives, and what a failure means is the caller's to say: the
// answers of the DNS and those of key sources differ in all three. A caller looks into memory with
// Get and, when that does not do, waits with Wait for one request that all who miss the same key
// share, or begins it with Refresh and goes on with a stale value.
package cache

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// Options say what a Cache asks, and how much it keeps.
type Options[K comparable, V any] struct {
	// Load asks for a value. The context has the values of the first caller's, but does not end
	// with it.
	Load func(ctx context.Context, k K) (V, error)

	// Settle takes what Load returned, remembers with Put what is worth it, and returns what the
	// callers that wait get. The context is Load's. After a panic in Load the error is a
	// *PanicError. Nil hands it on and remembers nothing.
	Settle func(ctx context.Context, k K, v V, err error) (V, error)

	// Left makes the error of a caller whose context ends before its answer is there. Nil for the
	// context's error.
	Left func(ctx context.Context, k K) error

	// Timeout ends a request, even while callers wait for it; 0 never.
	Timeout time.Duration

	// EndWithLast ends the context of a request when the last caller that waits for it has gone.
	EndWithLast bool

	// Abandoned is called when EndWithLast ended a request, with when it had begun. Its result is
	// never used. May be nil.
	Abandoned func(k K, began time.Time)

	// Also names a second key whose value answers for k when there is none under k itself. It has
	// the same Hash. May be nil.
	Also func(k K) K

	Entries int            // how many values are kept; 0: as many as Cost allows
	Cost    int            // the sum of Weigh that is kept; 0: as much as Entries allows
	Weigh   func(K, V) int // what a value costs, such as its bytes; nil: 1 each

	// parts with a lock and an equal share of the bounds each; 0: 1, else the next power of two
	Shards int
	Hash   func(K) uint64 // which part a key belongs to; needed with several

	Now func() time.Time // nil for time.Now
}

// Counters count what a Cache did since it was made.
type Counters struct {
	Hits      atomic.Uint64 // fresh values found in memory
	Misses    atomic.Uint64 // requests begun
	Shared    atomic.Uint64 // callers that waited for a request that another one had begun
	Evictions atomic.Uint64 // values dropped before their time because the bounds were reached
}

// Cache is a bounded memory in front of Load. It drops what was least recently used: a client that
// asks for ever new keys fills it, and then others' values leave that have not been used since.
// Safe for concurrent use.
type Cache[K comparable, V any] struct {
	o        Options[K, V]
	counters *Counters
	shards   []shard[K, V]
}

// New returns an empty Cache that counts in n.
func New[K comparable, V any](o Options[K, V], n *Counters) *Cache[K, V] {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Shards = 1 << bits.Len(uint(max(1, o.Shards)-1))
	c := &Cache[K, V]{o: o, counters: n, shards: make([]shard[K, V], o.Shards)}
	for i := range c.shards {
		c.shards[i] = shard[K, V]{
			entries:    map[K]*Entry[K, V]{},
			requests:   map[K]*request[V]{},
			maxEntries: share(o.Entries, o.Shards),
			maxCost:    share(o.Cost, o.Shards),
		}
	}
	return c
}

// share returns a shard's part of a limit, at least 1, because 0 means no limit.
func share(bound, shards int) int {
	if bound <= 0 {
		return 0
	}
	return max(1, bound/shards)
}

// Get returns the entry of k that is cached at the time now, or else that of Also, and
// marks it as used. It returns nil if there is none. A stale entry is returned until its
// End; only a fresh one counts as a hit.
func (c *Cache[K, V]) Get(k K, now time.Time) *Entry[K, V] {
	s := c.shard(k)
	s.mu.Lock()
	e := c.find(s, k, now)
	s.mu.Unlock()
	if e != nil && now.Before(e.Fresh) {
		c.counters.Hits.Add(1)
	}
	return e
}

// find is Get with the lock of s held.
func (c *Cache[K, V]) find(s *shard[K, V], k K, now time.Time) *Entry[K, V] {
	e := s.get(k, now)
	if e == nil && c.o.Also != nil {
		e = s.get(c.o.Also(k), now)
	}
	return e
}

// Peek returns the entry of k as Get does, but neither counts it nor marks it as used.
func (c *Cache[K, V]) Peek(k K, now time.Time) *Entry[K, V] {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept(k, now)
}

// Put remembers a value that is fresh until one time and kept until another, not before the first.
// It replaces the previous value. A value that alone costs more than the bound is not kept.
// If the clock is set back, the time of the value begins again.
func (c *Cache[K, V]) Put(k K, v V, fresh, end time.Time) {
	e := &Entry[K, V]{Key: k, Value: v, Fresh: fresh, End: end, put: c.o.Now(), cost: 1}
	if c.o.Weigh != nil {
		e.cost = c.o.Weigh(k, v)
	}
	s := c.shard(k)
	s.mu.Lock()
	evicted := s.put(e)
	s.mu.Unlock()
	c.counters.Evictions.Add(uint64(evicted))
}

// Drop forgets what is kept of k.
func (c *Cache[K, V]) Drop(k K) {
	s := c.shard(k)
	s.mu.Lock()
	s.drop(s.entries[k])
	s.mu.Unlock()
}

// Len returns how many values are in memory, those whose time is over included.
func (c *Cache[K, V]) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// Cost returns the sum of what the values in memory cost.
func (c *Cache[K, V]) Cost() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.cost
		s.mu.Unlock()
	}
	return n
}

// Kept returns the entries that are kept at the time given, in each shard the most recently used
// first.
func (c *Cache[K, V]) Kept(now time.Time) []*Entry[K, V] {
	var out []*Entry[K, V]
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for e := s.newest; e != nil; {
			older := e.older
			if e = s.kept(e.Key, now); e != nil {
				out = append(out, e)
			}
			e = older
		}
		s.mu.Unlock()
	}
	return out
}

// Wait returns the value of the request for k, which it begins if none is in progress. It returns a
// fresh value at once if one has arrived since the caller's Get. A caller whose context ends gets
// the error of Left, and the request continues for the others.
func (c *Cache[K, V]) Wait(ctx context.Context, k K) (V, error) {
	s := c.shard(k)
	now := c.o.Now()
	s.mu.Lock()
	if e := c.find(s, k, now); e != nil && now.Before(e.Fresh) {
		s.mu.Unlock()
		c.counters.Hits.Add(1)
		return e.Value, nil
	}
	r := s.requests[k]
	isNew := r == nil
	if isNew {
		r = c.open(ctx, s, k, now)
	}
	r.waiters++
	s.mu.Unlock()
	if isNew {
		c.counters.Misses.Add(1)
		go c.run(s, k, r)
	} else {
		c.counters.Shared.Add(1)
	}
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		c.leave(s, k, r)
		var none V
		return none, c.left(ctx, k)
	}
}

// Refresh begins a request for k and does not wait for it. It reports whether it did: there is only
// one for a key at a time. Callers may join it, and their going does not end it.
func (c *Cache[K, V]) Refresh(ctx context.Context, k K) bool {
	s := c.shard(k)
	s.mu.Lock()
	if s.requests[k] != nil {
		s.mu.Unlock()
		return false
	}
	r := c.open(ctx, s, k, c.o.Now())
	r.waiters++ // one that never leaves
	s.mu.Unlock()
	c.counters.Misses.Add(1)
	go c.run(s, k, r)
	return true
}

// open starts a request. The request has a separate context, since that of the first caller
// may end before the others have their answer.
func (c *Cache[K, V]) open(ctx context.Context, s *shard[K, V], k K, now time.Time) *request[V] {
	r := &request[V]{began: now, done: make(chan struct{})}
	ctx = context.WithoutCancel(ctx)
	if c.o.Timeout > 0 {
		r.ctx, r.cancel = context.WithTimeout(ctx, c.o.Timeout)
	} else {
		r.ctx, r.cancel = context.WithCancel(ctx)
	}
	s.requests[k] = r
	return r
}

// run makes a request. Its result is remembered before it is closed, so that one who comes
// meanwhile finds the one or the other.
func (c *Cache[K, V]) run(s *shard[K, V], k K, r *request[V]) {
	defer r.cancel()
	v, err := c.load(r.ctx, k)
	r.value, r.err = c.settle(r.ctx, k, v, err)
	s.mu.Lock()
	s.closeRequest(k, r)
	s.mu.Unlock()
	close(r.done)
}

// PanicError is the error of a request whose Load or Settle panicked. Both run in a
// goroutine of the cache, where no caller could recover: the daemon would end.
type PanicError struct {
	Value any // what recover returned
}

// Error returns "panic: " and the value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func (c *Cache[K, V]) load(ctx context.Context, k K) (v V, err error) {
	defer recovered(&err)
	return c.o.Load(ctx, k)
}

func (c *Cache[K, V]) settle(ctx context.Context, k K, v V, err error) (_ V, settled error) {
	if c.o.Settle == nil {
		return v, err
	}
	defer recovered(&settled)
	return c.o.Settle(ctx, k, v, err)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{p}
	}
}

// leave takes a caller off a request. With EndWithLast the last one ends it.
func (c *Cache[K, V]) leave(s *shard[K, V], k K, r *request[V]) {
	s.mu.Lock()
	r.waiters--
	isOver := c.o.EndWithLast && r.waiters == 0 && s.requests[k] == r
	if isOver {
		s.closeRequest(k, r)
	}
	s.mu.Unlock()
	if !isOver {
		return
	}
	r.cancel()
	if c.o.Abandoned != nil {
		c.o.Abandoned(k, r.began)
	}
}

func (c *Cache[K, V]) left(ctx context.Context, k K) error {
	if c.o.Left == nil {
		return ctx.Err()
	}
	return c.o.Left(ctx, k)
}

func (c *Cache[K, V]) shard(k K) *shard[K, V] {
	if len(c.shards) == 1 {
		return &c.shards[0]
	}
	// a power of two: this is on every message's way
	return &c.shards[c.o.Hash(k)&uint64(len(c.shards)-1)]
}
