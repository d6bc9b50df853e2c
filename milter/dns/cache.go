package dns

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"mailseal/keys/cache"
)

// CacheOptions bound what a Cache keeps and for how long. The zero value is good for a busy host.
type CacheOptions struct {
	// remember nothing; that asks the same at the same time shares an answer all the same
	Nothing     bool
	Entries     int           // 0 means 50,000
	Bytes       int           // an estimate of the memory for answers; 0 means 32 MiB
	MaxTTL      time.Duration // for records, whatever theirs says; 0 means 1 day
	MaxNegative time.Duration // for NXDOMAIN and no data; 0 means 1 h (RFC 2308 section 5 allows 3)
	// how long a failure is an answer; 0 means 30 s, below 0 not at all (RFC 2308 section 7 allows
	// 5 min)
	Failures time.Duration
	Now      func() time.Time
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

// Cache is a Resolver that remembers what another one answered, as long as the answer's TTL allows.
// Who asks for what is already being looked up waits for that answer; a caller that gives up does
// not end the lookup for the others, and the last one does. Safe for concurrent use.
//
// Anyone who sends mail fills it, with names of his choice. When it is full the answers that were
// not used for the longest time leave, and are looked up again when they are needed: slower, never
// wrong. Names fall into its parts by a hash with a random seed, so that a sender cannot choose
// names that crowd others out of one part.
type Cache struct {
	Counters CacheCounters

	next   Resolver
	o      CacheOptions
	memory *cache.Cache[key, *known]
}

// CacheCounters count lookups since the Cache was made. Every one is a hit, a miss or shared.
type CacheCounters struct {
	cache.Counters
	Failures atomic.Uint64 // lookups that failed; remembered ones do not count again
}

// shardCount is the number of parts of the cache, each with a separate lock.
const shardCount = 32

// anyType is the type under which NXDOMAIN is kept: it holds for all types of the name.
const anyType Type = 0

type key struct {
	name string
	typ  Type
}

// any is the key of what holds for all types.
func (k key) any() key { return key{k.name, anyType} }

// known is an answer, or the failure that is remembered in place of one.
type known struct {
	answer Answer
	err    error
}

// NewCache returns an empty cache in front of next.
func NewCache(next Resolver, o CacheOptions) *Cache {
	c := &Cache{next: next, o: o.withDefaults()}
	seed := maphash.MakeSeed()
	c.memory = cache.New(cache.Options[key, *known]{
		Load:        c.load,
		Settle:      c.settle,
		Left:        left,
		EndWithLast: true,
		Abandoned:   c.abandoned,
		Also:        key.any,
		Entries:     c.o.Entries,
		Cost:        c.o.Bytes,
		Weigh:       size,
		Shards:      shardCount,
		Hash:        func(k key) uint64 { return maphash.String(seed, k.name) },
		Now:         c.o.Now,
	}, &c.Counters.Counters)
	return c
}

// Lookup implements Resolver. The TTL of an answer from memory is what is left of it.
func (c *Cache) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if a, err, isKnown := c.Remembered(name, t); isKnown {
		return a, err
	}
	announceWait(ctx)
	canonical, _ := Canonical(name)
	found, err := c.memory.Wait(ctx, key{canonical, t})
	if err != nil {
		return Answer{}, err
	}
	return found.answer, found.err
}

// Remembered returns what is known of a name without asking anyone; isKnown is false when nothing
// is. The TTL is what is left of it.
func (c *Cache) Remembered(name string, t Type) (a Answer, err error, isKnown bool) {
	canonical, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, nil, true
	}
	now := c.o.Now()
	e := c.memory.Get(key{canonical, t}, now)
	if e == nil {
		return Answer{}, nil, false
	}
	a = e.Value.answer
	a.TTL = e.End.Sub(now)
	return a, e.Value.err, true
}

func (c *Cache) load(ctx context.Context, k key) (*known, error) {
	a, err := c.next.Lookup(ctx, k.name, k.typ)
	return &known{a, err}, nil
}

// settle remembers an outcome. The error is that of a panic, which is a failure of this lookup, not
// the end of the daemon.
func (c *Cache) settle(ctx context.Context, k key, found *known, err error) (*known, error) {
	if err != nil {
		found = &known{err: fmt.Errorf("%w: %s %s: %w", ErrFailure, k.typ, k.name, err)}
	}
	if found.err != nil {
		c.Counters.Failures.Add(1)
	}
	if ttl := c.ttl(ctx, found); ttl > 0 {
		c.remember(k, found, c.o.Now().Add(ttl))
	}
	return found, nil
}

// remember keeps an outcome. NXDOMAIN takes the place of what was known of the type, and an answer
// that of NXDOMAIN; what is known of other types stays until its time is over.
func (c *Cache) remember(k key, found *known, end time.Time) {
	switch {
	case c.o.Nothing:
		return
	case found.err != nil: // it implies nothing about other types
	case found.answer.Status == NXDomain:
		c.memory.Drop(k)
		k = k.any()
	default:
		c.memory.Drop(k.any())
	}
	c.memory.Put(k, found, end, end)
}

// left is what a caller gets that does not wait for its answer.
func left(ctx context.Context, k key) error {
	return fmt.Errorf("%s %s: %w", k.typ, k.name, ctx.Err())
}

// patience is how long a lookup must have gone on for its end by the last caller's deadline to be
// remembered as a time-out. Else a domain whose servers are silent costs every message its whole
// deadline.
const patience = 5 * time.Second

// abandoned is called when the last caller of a lookup has gone.
func (c *Cache) abandoned(k key, began time.Time) {
	if now := c.o.Now(); now.Sub(began) >= patience && c.o.Failures > 0 {
		failed := &known{err: fmt.Errorf("%w: %s %s", ErrTimeout, k.typ, k.name)}
		c.remember(k, failed, now.Add(c.o.Failures))
	}
}

// ttl returns how long an outcome is cached. A failure is cached as a failure: a timeout
// never turns into an answer. A failure because the callers gave up, or spent their budget,
// does not concern other callers.
func (c *Cache) ttl(ctx context.Context, found *known) time.Duration {
	switch {
	case found.err != nil && (ctx.Err() != nil || !errors.Is(found.err, ErrFailure) ||
		errors.Is(found.err, ErrBudget)):
		return 0
	case found.err != nil:
		return c.o.Failures
	case found.answer.Status == Found:
		return min(found.answer.TTL, c.o.MaxTTL)
	}
	return min(found.answer.TTL, c.o.MaxNegative)
}

// entrySize is what an entry takes without its texts: itself, its place in the map, slices.
const entrySize = 400

// size estimates the memory of an entry in bytes.
func size(k key, found *known) int {
	a := &found.answer
	n := entrySize + len(k.name) + 24*len(a.Addrs)
	for _, texts := range [][]string{a.Texts, a.Names, a.Aliases} {
		for _, t := range texts {
			n += 16 + len(t)
		}
	}
	for _, x := range a.Exchanges {
		n += 24 + len(x.Host)
	}
	return n
}
