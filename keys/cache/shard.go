package cache

import (
	"context"
	"sync"
	"time"
)

// Entry is a value in memory. Its exported fields never change, so they may be read without a lock.
type Entry[K comparable, V any] struct {
	Key   K
	Value V         // not to be changed
	Fresh time.Time // until when it is as good as asked for again
	End   time.Time // until when it is kept, to serve while a new one cannot be loaded

	put          time.Time // when it was remembered
	cost         int
	newer, older *Entry[K, V] // the entries of a shard by last use
}

// setBack is how far an entry may seem to have been remembered after now, by callers who read the
// clock a little apart. Beyond that the clock has been set back.
const setBack = time.Minute

// again is an entry whose time begins again. Where the clock has been set back, an entry would be
// kept for as long as it was set back, as a year.
func (e *Entry[K, V]) anew(now time.Time) *Entry[K, V] {
	back := e.put.Sub(now)
	out := *e
	out.put, out.Fresh, out.End = now, e.Fresh.Add(-back), e.End.Add(-back)
	return &out
}

// request is a value being asked for, and those who wait for it. Value and err may be read when
// done is closed.
type request[V any] struct {
	ctx     context.Context
	cancel  context.CancelFunc
	began   time.Time
	waiters int
	done    chan struct{}
	value   V
	err     error
}

// shard is a part of a Cache: entries in the order of their use, bounded, and the requests under
// way. Its methods are called with mu held.
type shard[K comparable, V any] struct {
	mu       sync.Mutex
	entries  map[K]*Entry[K, V]
	requests map[K]*request[V]
	newest   *Entry[K, V]
	oldest   *Entry[K, V]
	cost     int

	maxEntries int // 0: no bound
	maxCost    int // 0: no bound
}

// kept returns the entry of k. One whose time is over is dropped.
func (s *shard[K, V]) kept(k K, now time.Time) *Entry[K, V] {
	e := s.entries[k]
	switch {
	case e == nil:
		return nil
	case !now.Before(e.End):
		s.drop(e)
		return nil
	case e.put.Sub(now) > setBack:
		return s.replace(e, e.anew(now))
	}
	return e
}

// replace replaces an entry by an equal one, in the order of use, too.
func (s *shard[K, V]) replace(old, e *Entry[K, V]) *Entry[K, V] {
	s.entries[e.Key] = e
	if s.newest == old {
		s.newest = e
	} else {
		e.newer.older = e
	}
	if s.oldest == old {
		s.oldest = e
	} else {
		e.older.newer = e
	}
	return e
}

// get returns the entry of k and takes it for used.
func (s *shard[K, V]) get(k K, now time.Time) *Entry[K, V] {
	e := s.kept(k, now)
	if e == nil {
		return nil
	}
	if s.newest != e {
		s.unlink(e)
		s.link(e)
	}
	return e
}

// put enters e, replacing the previous entry, and returns how many others had to make room.
func (s *shard[K, V]) put(e *Entry[K, V]) int {
	s.drop(s.entries[e.Key])
	if s.maxCost > 0 && e.cost > s.maxCost {
		return 0
	}
	s.entries[e.Key] = e
	s.cost += e.cost
	s.link(e)
	evicted := 0
	for s.isOver() {
		s.drop(s.oldest)
		evicted++
	}
	return evicted
}

func (s *shard[K, V]) isOver() bool {
	return s.maxEntries > 0 && len(s.entries) > s.maxEntries || s.maxCost > 0 && s.cost > s.maxCost
}

func (s *shard[K, V]) drop(e *Entry[K, V]) {
	if e == nil {
		return
	}
	delete(s.entries, e.Key)
	s.cost -= e.cost
	s.unlink(e)
}

// link puts e at the newest end of the list.
func (s *shard[K, V]) link(e *Entry[K, V]) {
	e.older = s.newest
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

func (s *shard[K, V]) unlink(e *Entry[K, V]) {
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

// closeRequest removes a request, unless another has taken its place.
func (s *shard[K, V]) closeRequest(k K, r *request[V]) {
	if s.requests[k] == r {
		delete(s.requests, k)
	}
}
