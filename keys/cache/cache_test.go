package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/contrib/test/allocations"
)

var (
	began = time.Unix(1e9, 0)
	later = began.Add(time.Minute)
)

// content walks the list from both ends and returns the keys from the newest on.
func content(t *testing.T, s *shard[string, string]) string {
	t.Helper()
	var down, up []string
	cost := 0
	for e := s.newest; e != nil; e = e.older {
		down = append(down, e.Key)
		cost += e.cost
	}
	for e := s.oldest; e != nil; e = e.newer {
		up = append(up, e.Key)
	}
	got := strings.Join(down, " ")
	slices.Reverse(up)
	if !slices.Equal(up, down) || len(s.entries) != len(down) || s.cost != cost {
		t.Errorf("%d entries that cost %d, in the list %s that cost %d, from the other end %s",
			len(s.entries), s.cost, got, cost, up)
	}
	return got
}

func TestBounds(t *testing.T) {
	type memory = *Cache[string, string]
	put := func(c memory, k, v string) { c.Put(k, v, later, later) }
	for _, tc := range []struct {
		name    string
		do      func(memory)
		want    string
		evicted uint64
	}{
		{"in order", func(c memory) { put(c, "a", "x"); put(c, "b", "x") }, "b a", 0},
		{"put again", func(c memory) { put(c, "a", "x"); put(c, "b", "x"); put(c, "a", "x") }, "a b", 0},
		{"used", func(c memory) { put(c, "a", "x"); put(c, "b", "x"); c.Get("a", began) }, "a b", 0},
		{"looked at", func(c memory) { put(c, "a", "x"); put(c, "b", "x"); c.Peek("a", began) }, "b a", 0},
		{"expired", func(c memory) { c.Put("a", "x", began, began); put(c, "b", "x"); c.Get("a", began) }, "b", 0},
		{"stale", func(c memory) { c.Put("a", "x", began, later); put(c, "b", "x"); c.Get("a", began) }, "a b", 0},
		{"dropped", func(c memory) { put(c, "a", "x"); put(c, "b", "x"); c.Drop("a"); c.Drop("c") }, "b", 0},
		{"too many", func(c memory) {
			put(c, "a", "x")
			put(c, "b", "x")
			put(c, "c", "x")
			put(c, "d", "x")
		}, "d c b", 1},
		{"too much", func(c memory) { put(c, "a", "xxxx"); put(c, "b", "xxxx"); put(c, "c", "xxxxxxxxx") }, "c", 2},
		{"too much for all", func(c memory) { put(c, "a", "x"); put(c, "b", "xxxxxxxxxxx") }, "a", 0},
		{"too much now", func(c memory) { put(c, "a", "x"); put(c, "a", "xxxxxxxxxxx") }, "", 0},
		{"the other key", func(c memory) { put(c, "*", "x"); put(c, "b", "x"); c.Get("a", began) }, "* b", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var n Counters
			c := New(Options[string, string]{
				Entries: 3, Cost: 10, Weigh: func(_, v string) int { return len(v) },
				Also: func(string) string { return "*" },
			}, &n)
			tc.do(c)
			got := content(t, &c.shards[0])
			if got != tc.want || n.Evictions.Load() != tc.evicted ||
				c.Len() != len(strings.Fields(tc.want)) {
				t.Errorf("got %q, %d evictions, %d values; want %q, %d", got, n.Evictions.Load(),
					c.Len(), tc.want, tc.evicted)
			}
			if c.Cost() != c.shards[0].cost {
				t.Errorf("a cost of %d, want %d", c.Cost(), c.shards[0].cost)
			}
		})
	}
}

// Without Weigh each value costs 1; there are two to the power of something parts, and a part of a
// bound is never none at all.
func TestShards(t *testing.T) {
	var n Counters
	c := New(Options[int, int]{Cost: 3, Shards: 3, Hash: func(k int) uint64 { return uint64(k) }},
		&n)
	for k := range 100 {
		c.Put(k, k, later, later)
	}
	if c.Len() != 4 || c.Cost() != 4 || n.Evictions.Load() != 96 {
		t.Errorf("%d values that cost %d, %d evictions; want 4, 4, 96", c.Len(), c.Cost(),
			n.Evictions.Load())
	}
	for k := 96; k < 100; k++ {
		if e := c.Get(k, began); e == nil || e.Value != k {
			t.Errorf("%d is not kept", k)
		}
	}
}

func TestGet(t *testing.T) {
	var n Counters
	c := New(Options[string, string]{Now: func() time.Time { return later.Add(-time.Minute) }}, &n)
	end := later.Add(time.Minute)
	c.Put("a", "x", later, end)
	for _, tc := range []struct {
		name string
		at   time.Time
		kept bool
		hits uint64
	}{
		{"fresh", later.Add(-1), true, 1},
		{"stale", later, true, 1},
		{"still stale", end.Add(-1), true, 1},
		{"over", end, false, 1},
	} {
		if e := c.Peek("a", tc.at); (e != nil) != tc.kept {
			t.Errorf("%s: looked at %v", tc.name, e)
		}
		if kept := c.Kept(tc.at); len(kept) == 1 != tc.kept {
			t.Errorf("%s: kept are %v", tc.name, kept)
		}
		if e := c.Get("a", tc.at); (e != nil) != tc.kept || n.Hits.Load() != tc.hits {
			t.Errorf("%s: got %v, %d hits; want %v, %d", tc.name, e, n.Hits.Load(), tc.kept,
				tc.hits)
		}
	}
}

// source answers when its gate opens, or fails when its context ends.
type source struct {
	gate  chan struct{}
	asked atomic.Int32
	ended atomic.Int32
}

func (s *source) load(ctx context.Context, k string) (string, error) {
	s.asked.Add(1)
	select {
	case <-s.gate:
		return "value of " + k, nil
	case <-ctx.Done():
		s.ended.Add(1)
		return "", ctx.Err()
	}
}

func TestWait(t *testing.T) {
	for _, tc := range []struct {
		name        string
		endWithLast bool
		leaving     int // of three callers
		asked       int32
		ended       int32
		abandoned   int32
	}{
		{"all wait", true, 0, 1, 0, 0},
		{"the first leaves", true, 1, 1, 0, 0},
		{"all leave", true, 3, 1, 1, 1},
		{"all leave a request that goes on", false, 3, 1, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{gate: make(chan struct{})}
				var n Counters
				var abandoned, left, got atomic.Int32
				c := New(Options[string, string]{
					Load:        s.load,
					EndWithLast: tc.endWithLast,
					Abandoned:   func(string, time.Time) { abandoned.Add(1) },
				}, &n)
				leaving, leave := context.WithCancel(t.Context())
				for i := range 3 {
					ctx := t.Context()
					if i < tc.leaving {
						ctx = leaving
					}
					go func() {
						switch v, err := c.Wait(ctx, "a"); {
						case v == "value of a" && err == nil:
							got.Add(1)
						case v == "" && errors.Is(err, context.Canceled):
							left.Add(1)
						}
					}()
					synctest.Wait()
				}
				leave()
				synctest.Wait()
				close(s.gate)
				synctest.Wait()
				if s.asked.Load() != tc.asked || s.ended.Load() != tc.ended ||
					abandoned.Load() != tc.abandoned {
					t.Errorf("asked %d, ended %d, abandoned %d", s.asked.Load(), s.ended.Load(),
						abandoned.Load())
				}
				if int(left.Load()) != tc.leaving || int(got.Load()) != 3-tc.leaving {
					t.Errorf("%d left and %d got the value", left.Load(), got.Load())
				}
				if n.Misses.Load() != 1 || n.Shared.Load() != 2 {
					t.Errorf("%d misses and %d shared", n.Misses.Load(), n.Shared.Load())
				}
				if len(c.shards[0].requests) != 0 {
					t.Error("a request is left")
				}
			})
		})
	}
}

// A caller that chose to leave at the moment that the value arrived has not abandoned anything.
func TestLeaveTooLate(t *testing.T) {
	c := New(Options[string, string]{
		EndWithLast: true,
		Load:        func(context.Context, string) (string, error) { return "x", nil },
		Abandoned:   func(string, time.Time) { t.Error("a request that had its value was abandoned") },
	}, &Counters{})
	s := &c.shards[0]
	r := c.open(t.Context(), s, "a", began)
	r.waiters++
	c.run(s, "a", r)
	c.leave(s, "a", r)
}

// One who comes after the last has left begins a request again, though the old one has not noticed
// yet; the end of the old one is not that of the new one.
func TestWaitAfterLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates := []chan struct{}{make(chan struct{}), make(chan struct{})}
		var asked atomic.Int32
		c := New(Options[string, int32]{EndWithLast: true,
			Load: func(context.Context, string) (int32, error) {
				n := asked.Add(1)
				<-gates[n-1] // deaf to its context
				return n, nil
			}}, &Counters{})
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := c.Wait(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		ask := func() {
			if v, err := c.Wait(t.Context(), "a"); v != 2 || err != nil {
				t.Errorf("got %d, %v; want the answer to the second request", v, err)
			}
		}
		go ask()
		synctest.Wait()
		close(gates[0])
		synctest.Wait()
		go ask()
		synctest.Wait()
		close(gates[1])
		synctest.Wait()
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{gate: make(chan struct{})}
		c := New(Options[string, string]{Load: s.load, Timeout: 5 * time.Second}, &Counters{})
		began := time.Now()
		if _, err := c.Wait(t.Context(), "a"); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(began) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestPanic(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options Options[string, string]
		settled bool
	}{
		{"in Load", Options[string, string]{Load: func(context.Context, string) (string,
			error) {
			panic("oops")
		}}, false},
		{"in Settle", Options[string, string]{
			Load:   func(context.Context, string) (string, error) { return "x", nil },
			Settle: func(context.Context, string, string, error) (string, error) { panic("oops") },
		}, false},
		{"settled", Options[string, string]{
			Load: func(context.Context, string) (string, error) { panic("oops") },
			Settle: func(_ context.Context, _, _ string, err error) (string, error) {
				if _, ok := errors.AsType[*PanicError](err); ok {
					return "the one before", nil
				}
				return "", err
			},
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := New(tc.options, &Counters{})
			for range 2 {
				v, err := c.Wait(t.Context(), "a")
				if tc.settled {
					if v != "the one before" || err != nil {
						t.Errorf("got %q, %v", v, err)
					}
					continue
				}
				if p, ok := errors.AsType[*PanicError](err); !ok || v != "" ||
					p.Error() != "panic: oops" {
					t.Errorf("got %q, %v", v, err)
				}
			}
		})
	}
}

// A stale value serves all callers at once while a single request goes on behind, and the next ones
// get what it brought.
func TestRefreshBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{gate: make(chan struct{})}
		var n Counters
		var c *Cache[string, string]
		c = New(Options[string, string]{
			EndWithLast: true,
			Load:        s.load,
			Settle: func(_ context.Context, k, v string, err error) (string, error) {
				c.Put(k, v, time.Now().Add(time.Minute), time.Now().Add(time.Hour))
				return v, err
			},
		}, &n)
		c.Put("a", "old", time.Now(), time.Now().Add(time.Hour))
		begun := 0
		for range 10 {
			e := c.Get("a", time.Now())
			if e == nil || e.Value != "old" {
				t.Fatalf("got %v", e)
			}
			if c.Refresh(t.Context(), "a") {
				begun++
			}
		}
		impatient, leave := context.WithCancel(t.Context())
		leave()
		if _, err := c.Wait(impatient, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(s.gate)
		synctest.Wait()
		if begun != 1 || s.asked.Load() != 1 || s.ended.Load() != 0 {
			t.Errorf("%d requests begun, %d made, %d ended; want 1, 1, 0", begun, s.asked.Load(),
				s.ended.Load())
		}
		if e := c.Get("a", time.Now()); e == nil || e.Value != "value of a" {
			t.Errorf("afterwards got %v", e)
		}
		if v, err := c.Wait(t.Context(), "a"); v != "value of a" || err != nil ||
			s.asked.Load() != 1 {
			t.Errorf("one who looked too early got %q, %v; asked %d times", v, err, s.asked.Load())
		}
		if n.Hits.Load() != 2 || n.Misses.Load() != 1 || n.Shared.Load() != 1 {
			t.Errorf("%d hits, %d misses, %d shared", n.Hits.Load(), n.Misses.Load(),
				n.Shared.Load())
		}
	})
}

// TestConcurrently is for the race detector: everything at once, on few keys and a small cache.
func TestConcurrently(t *testing.T) {
	var n Counters
	var c *Cache[int, int]
	c = New(Options[int, int]{
		EndWithLast: true,
		Load: func(_ context.Context, k int) (int, error) {
			if k%5 == 0 {
				panic("oops")
			}
			return k, nil
		},
		Settle: func(_ context.Context, k, v int, err error) (int, error) {
			if err == nil {
				c.Put(k, v, time.Now().Add(time.Millisecond), time.Now().Add(2*time.Millisecond))
			}
			return v, err
		},
		Abandoned: func(k int, _ time.Time) { c.Drop(k) },
		Also:      func(k int) int { return k + 1000 },
		Entries:   32, Shards: 4, Hash: func(k int) uint64 { return uint64(k % 1000) },
	}, &n)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == g%7 {
					cancel()
				}
				k := i * g % 90
				if e := c.Get(k, time.Now()); e != nil && e.Value != k {
					t.Errorf("asked for %d, found %d", k, e.Value)
				}
				if v, err := c.Wait(ctx, k); err == nil && v != k {
					t.Errorf("asked for %d, got %d", k, v)
				}
				if i%11 == 0 {
					c.Refresh(ctx, k)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if c.Len() > 32 {
		t.Errorf("%d values are kept", c.Len())
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	c := New(Options[string, string]{}, &Counters{})
	c.Put("a", "x", later, later)
	allocations.Hold(t, "keys/cache: Get", 100, func() { c.Get("a", began) })
}

func ExampleCache() {
	var n Counters
	var squares *Cache[int, int]
	squares = New(Options[int, int]{
		Entries: 100,
		Load:    func(_ context.Context, k int) (int, error) { return k * k, nil },
		Settle: func(_ context.Context, k, v int, err error) (int, error) {
			end := time.Now().Add(time.Hour)
			squares.Put(k, v, end, end)
			return v, err
		},
	}, &n)
	for range 3 {
		v, err := squares.Wait(context.Background(), 12)
		fmt.Println(v, err)
	}
	fmt.Println(n.Misses.Load(), "request")
	// Output:
	// 144 <nil>
	// 144 <nil>
	// 144 <nil>
	// 1 request
}
