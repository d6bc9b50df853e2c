package dns

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// shard is a part of a Cache: entries in the order of their use, bounded, and the look-ups under way. Its methods are
// called with mu held.
type shard struct {
	mu      sync.Mutex
	entries map[key]*entry
	flights map[key]*flight
	newest  *entry // the entries as a list, by last use
	oldest  *entry
	bytes   int

	maxEntries int
	maxBytes   int
	evicted    *atomic.Uint64
}

// entry is a remembered answer, or a remembered failure. Its content never changes, so that it may be read without the
// lock.
type entry struct {
	key     key
	answer  Answer
	err     error
	expires time.Time
	size    int

	newer, older *entry
}

// get returns what is known of k: an answer of its type, or NXDOMAIN of the name.
func (s *shard) get(k key, now time.Time) *entry {
	e := s.entries[k]
	if e == nil {
		e = s.entries[key{k.name, anyType}]
	}
	if e == nil {
		return nil
	}
	if !now.Before(e.expires) {
		s.drop(e)
		return nil
	}
	if s.newest != e {
		s.unlink(e)
		s.link(e)
	}
	return e
}

// put remembers an answer. NXDOMAIN takes the place of what was known of the type, and an answer that of NXDOMAIN; what
// is known of other types stays until its time is over.
func (s *shard) put(k key, a Answer, err error, expires time.Time) {
	s.drop(s.entries[k])
	if err == nil {
		s.drop(s.entries[key{k.name, anyType}])
		if a.Status == NXDomain {
			k.typ = anyType
		}
	}
	e := &entry{key: k, answer: a, err: err, expires: expires, size: size(k, a)}
	if e.size > s.maxBytes {
		return
	}
	s.entries[k] = e
	s.bytes += e.size
	s.link(e)
	for len(s.entries) > s.maxEntries || s.bytes > s.maxBytes {
		s.drop(s.oldest)
		s.evicted.Add(1)
	}
}

func (s *shard) drop(e *entry) {
	if e == nil {
		return
	}
	delete(s.entries, e.key)
	s.bytes -= e.size
	s.unlink(e)
}

// link puts e at the newest end of the list.
func (s *shard) link(e *entry) {
	e.older = s.newest
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

func (s *shard) unlink(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	e.newer, e.older = nil, nil
}

// entrySize is what an entry takes without its texts: itself, its place in the map, slices.
const entrySize = 400

// size estimates the memory of an entry in octets.
func size(k key, a Answer) int {
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

// flight is a look-up under way and those who wait for it. Answer and err may be read when done is closed.
type flight struct {
	ctx     context.Context
	cancel  context.CancelFunc
	began   time.Time
	waiters int
	done    chan struct{}
	answer  Answer
	err     error
}

// join returns the flight for k, and whether the caller has to start it. A flight lives in a context of its own: that
// of whoever came first may end before the others have their answer.
func (s *shard) join(ctx context.Context, k key, now time.Time) (*flight, bool) {
	f := s.flights[k]
	if f != nil {
		f.waiters++
		return f, false
	}
	f = &flight{began: now, waiters: 1, done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.flights[k] = f
	return f, true
}

// land removes a flight, unless it gave its place to another already.
func (s *shard) land(k key, f *flight) {
	if s.flights[k] == f {
		delete(s.flights, k)
	}
}
