package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"mailseal/keys/cache"
)

// CacheOptions say how long and how much a Cache remembers.
type CacheOptions struct {
	TTL         time.Duration // how long an answer is taken from memory
	NegativeTTL time.Duration // how long "no such key" and "no key signs" are
	// how long beyond TTL an answer serves while the source fails; never a negative one
	Stale time.Duration
	Bytes int // how much memory the answers may take; 0: 64 MiB
	// for one question to the source, however many callers wait for the answer; 0: 5 s
	Timeout time.Duration
	Now     func() time.Time // nil for time.Now
	// when set: called when the source goes away, with the reason, and with nil when it is back
	Turned func(error)
	// when set: why a key that is new to memory must not sign; then the answer cannot be used
	Test func(Key) error
	// when set: called when the answer before serves in place of one that cannot be used
	Unusable func(error)
}

const (
	defaultTimeout = 5 * time.Second
	defaultBytes   = 64 << 20

	// Longer questions are asked, and not remembered: a client chooses its domain and its login.
	maxQuestion = 1024
)

// CacheCounters count what a Cache did.
type CacheCounters struct {
	cache.Counters
	// answered from memory past the time, while the source was asked again or was away
	Stale    atomic.Uint64
	Failures atomic.Uint64 // questions that the source did not answer, or not usefully
	Unusable atomic.Uint64 // answers that could not be used, such as a row that has no key
}

// Cache remembers what a source answers, as Source and as Chooser. Many who ask the same wait for
// one answer. A failure is never remembered as an answer.
//
// An answer is taken from memory for a time (TTL). For as long again it is still given at once,
// while the source is asked again behind it; after that a caller waits for the source, unless the
// source is away: then old answers are given at once, and one question at a time finds out whether
// the source is back (source health, in health.go).
//
// Clients that may send fill it, with the domains, addresses and logins that they send as. Memory
// is bounded in bytes, whatever the source holds. When it is full, the answers that were not used
// for the longest time leave; the source is asked for them again, and while it is away their mail
// is deferred.
type Cache struct {
	Counters CacheCounters

	source  Remote
	options CacheOptions
	memory  *cache.Cache[question, []Key]
	health  health
	broken  brokenRows
}

var _ Remote = (*Cache)(nil)

// question is what was asked: for the key of a name, or for the keys of a query.
type question struct {
	name  string
	query Query
	isKey bool
}

func (q question) size() int {
	return len(q.name) + len(q.query.Domain) + len(q.query.Address) + len(q.query.Login)
}

// NewCache puts a cache before a source. It asks nothing until it is asked.
func NewCache(r Remote, o CacheOptions) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Bytes = cmp.Or(o.Bytes, defaultBytes)
	c := &Cache{source: r, options: o, health: newHealth()}
	c.memory = cache.New(cache.Options[question, []Key]{
		Load:    c.put,
		Settle:  c.settle,
		Left:    left,
		Timeout: o.Timeout,
		Cost:    o.Bytes,
		Weigh:   weigh,
		Now:     o.Now,
	}, &c.Counters.Counters)
	return c
}

// Key implements Source.
func (c *Cache) Key(ctx context.Context, name string) (Key, error) {
	found, err := c.ask(ctx, question{name: name, isKey: true})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	if err != nil {
		return Key{}, err
	}
	return found[0], nil
}

// Choose implements Chooser.
func (c *Cache) Choose(ctx context.Context, q Query) ([]Key, error) {
	return c.ask(ctx, question{query: c.source.Narrow(q)})
}

// Narrow implements Chooser.
func (c *Cache) Narrow(q Query) Query { return c.source.Narrow(q) }

// Len returns how many answers are remembered now.
func (c *Cache) Len() int { return c.memory.Len() }

// Bytes returns about how much memory they take.
func (c *Cache) Bytes() int { return c.memory.Cost() }

// Broken returns how many questions had an answer that could not be used when they were asked last:
// the rows that the operator has to correct.
func (c *Cache) Broken() int { return c.broken.len() }

// Held is an answer that a Cache remembers: the keys of a name, or those that sign for a query.
type Held struct {
	Name  string // "" when Query was asked
	Query Query
	Keys  []Key // not to be changed; those without a Signer are held under their names, if they are
}

// Held returns the answers with keys that may still be given, while the source is away too. It asks
// nothing, and keeps nothing in memory.
func (c *Cache) Held() []Held {
	var out []Held
	for _, e := range c.memory.Kept(c.options.Now()) {
		if serves(e) {
			out = append(out, Held{e.Key.name, e.Key.query, e.Value})
		}
	}
	return out
}

// entry is a cached answer. An entry without Keys caches the answer that there are none.
type entry = cache.Entry[question, []Key]

// serves reports whether an answer that is kept may be given while the source fails. That no key
// signs may not: a message would go out unsigned on the word of a table that has changed since.
func serves(e *entry) bool { return e != nil && len(e.Value) > 0 }

// ask answers from memory, or waits for the source. The answer is not to be changed.
func (c *Cache) ask(ctx context.Context, q question) ([]Key, error) {
	now := c.options.Now()
	e := c.memory.Get(q, now)
	switch {
	case e == nil:
		return c.askUnknown(ctx, q, now)
	case now.Before(e.Fresh):
		return e.Value, nil
	}
	return c.askAgain(ctx, q, e, now)
}

// left is what a caller gets that does not wait for its answer.
func left(ctx context.Context, _ question) error {
	return fmt.Errorf("waiting for the source of keys: %w", context.Cause(ctx))
}

// put puts the question and tests the answer.
func (c *Cache) put(ctx context.Context, q question) ([]Key, error) {
	began := time.Now()
	found, err := c.query(ctx, q)
	if isFailure(err) && time.Since(began) >= patience {
		c.health.hang()
	}
	if err == nil {
		err = c.test(q, found)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (c *Cache) query(ctx context.Context, q question) ([]Key, error) {
	if !q.isKey {
		return c.source.Choose(ctx, q.query)
	}
	k, err := c.source.Key(ctx, q.name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []Key{k}, nil
}

// test has keys tested that are not among those of the answer before: each costs a signature, and
// most answers are the same as an hour ago.
func (c *Cache) test(q question, found []Key) error {
	if c.options.Test == nil {
		return nil
	}
	var before []Key
	if e := c.memory.Peek(q, c.options.Now()); e != nil {
		before = e.Value
	}
	for _, k := range found {
		if k.Signer == nil || slices.ContainsFunc(before, k.same) {
			continue
		}
		if err := c.options.Test(k); err != nil {
			return fmt.Errorf("%w: key %q, selector %q, domain %q: %w", ErrAnswer, k.Name,
				k.Selector, k.Domain, err)
		}
	}
	return nil
}

// settle remembers an answer, or falls back on the one before. A driver that panics has failed to
// answer.
func (c *Cache) settle(ctx context.Context, q question, found []Key, err error) ([]Key, error) {
	defer c.health.done(ctx)
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		err = fmt.Errorf("panic in the source of keys: %v", p.Value)
	}
	now := c.options.Now()
	turned := c.health.turn(now, err)
	c.broken.note(q, err)
	if err == nil {
		c.remember(q, found, now)
		c.tell(turned, nil)
		return found, nil
	}
	c.Counters.Failures.Add(1)
	if !isFailure(err) {
		c.Counters.Unusable.Add(1)
	}
	e := c.memory.Peek(q, now)
	if !serves(e) {
		c.tell(turned, err)
		return nil, err
	}
	c.Counters.Stale.Add(1)
	if !isFailure(err) {
		c.keep(e, now)
		if c.options.Unusable != nil {
			c.options.Unusable(err)
		}
	}
	c.tell(turned, err)
	return e.Value, nil
}

// tell passes on that the source has gone or come back: no caller that waits for an answer learns
// it.
func (c *Cache) tell(turned bool, err error) {
	if !turned || c.options.Turned == nil {
		return
	}
	if !isFailure(err) {
		err = nil // the source is there
	}
	c.options.Turned(err)
}

// keep lets the answer before serve for a while: a broken row stays so, and neither it nor the log
// is to be troubled for every message.
func (c *Cache) keep(e *entry, now time.Time) {
	fresh := now.Add(min(c.options.NegativeTTL, e.End.Sub(now)))
	c.memory.Put(e.Key, e.Value, fresh, e.End)
}

func (c *Cache) remember(q question, found []Key, now time.Time) {
	if q.size() > maxQuestion {
		return
	}
	if len(found) == 0 {
		end := now.Add(c.options.NegativeTTL)
		c.memory.Put(q, nil, end, end)
		return
	}
	fresh := now.Add(c.options.TTL)
	c.memory.Put(q, found, fresh, fresh.Add(c.options.Stale))
}
