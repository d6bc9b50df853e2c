package keys

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// CacheOptions say how long and how much a Cache remembers.
type CacheOptions struct {
	TTL         time.Duration    // how long an answer is taken from memory
	NegativeTTL time.Duration    // how long "no such key" and "nobody signs" are
	Stale       time.Duration    // how long beyond TTL an answer serves while the source fails; never a negative one
	Entries     int              // how many answers are remembered, at least 1
	Timeout     time.Duration    // for one question to the source, whoever waits for the answer; 0: 5 s
	Now         func() time.Time // nil for time.Now
	Turned      func(error)      // when set: called when the source goes away, with the reason, and with nil when it is back
	Test        func(Key) error  // when set: why a key that is new to memory must not sign; then the answer cannot be used
	Unusable    func(error)      // when set: called when the answer before serves in place of one that cannot be used
}

const (
	defaultTimeout = 5 * time.Second

	// While a source is away, it is asked once in this time for what memory can answer. Otherwise each message would wait
	// for a time-out before it is signed with what was there all along.
	retryAfter = time.Second

	// Longer questions are asked, and not remembered: entries are counted, so none may be large.
	maxQuestion = 1024
)

// CacheCounters count what a Cache did.
type CacheCounters struct {
	Hits      atomic.Uint64 // answered from memory
	Misses    atomic.Uint64 // asked of the source
	Shared    atomic.Uint64 // waited for the answer to somebody else's question
	Stale     atomic.Uint64 // answered from memory past the time, since the source failed
	Failures  atomic.Uint64 // questions that the source did not answer, or not usefully
	Evictions atomic.Uint64 // answers forgotten before their time for want of room
}

// Cache remembers what a source answers, as Source and as Chooser. Many who ask the same wait for one answer. A failure
// is never remembered as an answer. Memory is bounded by the number of entries, whatever the source holds: an RSA key
// takes about 5 KB.
type Cache struct {
	Counters CacheCounters

	source  Remote
	options CacheOptions

	mu      sync.Mutex
	entries map[question]*list.Element // of *entry
	recent  list.List                  // most recently used first
	flights map[question]*flight
	away    bool      // the last question failed
	retry   time.Time // while away: from when on the source is asked even for what memory can answer
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

// entry is an answer that is remembered. No keys: there are none.
type entry struct {
	question question
	keys     []Key
	fresh    time.Time // until when it is taken without asking
	end      time.Time // until when it serves while the source fails
}

// flight is a question that the source is being asked. When done is closed, the rest does not change any more.
type flight struct {
	done chan struct{}
	keys []Key
	err  error
}

// NewCache puts a cache before a source. It asks nothing until it is asked.
func NewCache(r Remote, o CacheOptions) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	o.Entries = max(1, o.Entries)
	return &Cache{source: r, options: o, entries: map[question]*list.Element{}, flights: map[question]*flight{}}
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
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}

// Held is an answer that a Cache remembers: the keys of a name, or those that sign for a query.
type Held struct {
	Name  string // "" when Query was asked
	Query Query
	Keys  []Key // not to be changed; those without a Signer are held under their names, if they are
}

// Held returns the answers with keys that may still be given, while the source is away too. It asks nothing, and keeps
// nothing in memory.
func (c *Cache) Held() []Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Held
	now := c.options.Now()
	for at := c.recent.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*entry); e.serves(now) {
			out = append(out, Held{e.question.name, e.question.query, e.keys})
		}
	}
	return out
}

// IsAway tells whether the source failed when it was last asked.
func (c *Cache) IsAway() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.away
}

// ask answers from memory, or waits for the source. The answer is not to be changed.
func (c *Cache) ask(ctx context.Context, q question) ([]Key, error) {
	f, found := c.recall(ctx, q)
	if f == nil {
		return found, nil
	}
	select {
	case <-f.done:
		return f.keys, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the source of keys: %w", context.Cause(ctx))
	}
}

// recall returns what is remembered, or else the flight that will know.
func (c *Cache) recall(ctx context.Context, q question) (*flight, []Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.options.Now()
	if e := c.entry(q); e != nil {
		switch {
		case now.Before(e.fresh):
			c.Counters.Hits.Add(1)
			return nil, e.keys
		case c.away && now.Before(c.retry) && e.serves(now):
			c.Counters.Stale.Add(1)
			return nil, e.keys
		}
	}
	if f := c.flights[q]; f != nil {
		c.Counters.Shared.Add(1)
		return f, nil
	}
	c.Counters.Misses.Add(1)
	f := &flight{done: make(chan struct{})}
	c.flights[q] = f
	go c.fly(context.WithoutCancel(ctx), q, f) // others may be waiting when the first has gone
	return f, nil
}

// serves tells whether the answer may be given while the source fails. That nobody signs may not: a message would go out
// unsigned on the word of a table that has changed since.
func (e *entry) serves(now time.Time) bool { return len(e.keys) > 0 && now.Before(e.end) }

// entry returns what is remembered, and moves it to the front.
func (c *Cache) entry(q question) *entry {
	at, ok := c.entries[q]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(at)
	return at.Value.(*entry)
}

// fly asks the source and settles the flight.
func (c *Cache) fly(ctx context.Context, q question, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	found, err := c.put(ctx, q)
	turned := c.settle(q, f, found, err)
	c.tell(turned, f, err)
	close(f.done)
}

// tell passes on what nobody who waits for the answer will hear.
func (c *Cache) tell(turned bool, f *flight, err error) {
	broken := errors.Is(err, ErrAnswer)
	if broken && f.err == nil && c.options.Unusable != nil {
		c.options.Unusable(err)
	}
	if broken {
		err = nil // the source is there
	}
	if turned && c.options.Turned != nil {
		c.options.Turned(err)
	}
}

// put puts the question and tests the answer. A driver that panics has failed to answer; nobody else could catch it here.
func (c *Cache) put(ctx context.Context, q question) (found []Key, err error) {
	defer func() {
		if v := recover(); v != nil {
			found, err = nil, fmt.Errorf("panic in the source of keys: %v", v)
		}
	}()
	found, err = c.query(ctx, q)
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

// test has keys tested that are not among those of the answer before: each costs a signature, and most answers are the
// same as an hour ago.
func (c *Cache) test(q question, found []Key) error {
	if c.options.Test == nil {
		return nil
	}
	c.mu.Lock()
	var before []Key
	if at, ok := c.entries[q]; ok {
		before = at.Value.(*entry).keys
	}
	c.mu.Unlock()
	for _, k := range found {
		if k.Signer == nil || slices.ContainsFunc(before, k.same) {
			continue
		}
		if err := c.options.Test(k); err != nil {
			return fmt.Errorf("%w: key %q, selector %q, domain %q: %w", ErrAnswer, k.Name, k.Selector, k.Domain, err)
		}
	}
	return nil
}

// settle remembers an answer, or falls back on the one before. It tells whether the source has gone away or come back.
func (c *Cache) settle(q question, f *flight, found []Key, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, q)
	now, was := c.options.Now(), c.away
	c.away = err != nil && !errors.Is(err, ErrAnswer)
	if err == nil {
		c.remember(q, found, now)
		f.keys = found
		return c.away != was
	}
	c.Counters.Failures.Add(1)
	c.retry = now.Add(retryAfter)
	e := c.entry(q)
	if e == nil || !e.serves(now) {
		f.err = err
		return c.away != was
	}
	c.Counters.Stale.Add(1)
	f.keys = e.keys
	if !c.away { // a broken row stays so for a while: neither it nor the log is troubled for every message
		e.fresh = now.Add(min(c.options.NegativeTTL, e.end.Sub(now)))
	}
	return c.away != was
}

func (c *Cache) remember(q question, found []Key, now time.Time) {
	if q.size() > maxQuestion {
		return
	}
	e := &entry{question: q, keys: found}
	if len(found) == 0 {
		e.fresh = now.Add(c.options.NegativeTTL)
	} else {
		e.fresh = now.Add(c.options.TTL)
		e.end = e.fresh.Add(c.options.Stale)
	}
	if at, ok := c.entries[q]; ok {
		at.Value = e
		c.recent.MoveToFront(at)
		return
	}
	c.entries[q] = c.recent.PushFront(e)
	if c.recent.Len() > c.options.Entries {
		last := c.recent.Remove(c.recent.Back()).(*entry)
		delete(c.entries, last.question)
		c.Counters.Evictions.Add(1)
	}
}
