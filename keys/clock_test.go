package keys

import (
	"sync/atomic"
	"testing"
	"time"
)

// clockSteps are what a clock may do when someone sets it right, or wrong.
var clockSteps = []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour,
	-365 * 24 * time.Hour, 365 * 24 * time.Hour}

// A clock that steps while the source is there keeps no key from signing, keeps no answer beyond
// its time, and has the source asked once for each step at most.
func TestCacheClockSteps(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r, o := newRemote(), cacheOptions()
	o.Now = func() time.Time { return now }
	c := NewCache(r, o)
	asked := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.asked
	}
	for _, d := range clockSteps {
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		before := asked()
		now = now.Add(d)
		for range 100 {
			if _, err := c.Key(t.Context(), "a"); err != nil {
				t.Errorf("after a step of %v: %v", d, err)
			}
		}
		if n := asked() - before; n > 1 {
			t.Errorf("after a step of %v the source was asked %d times", d, n)
		}
		before = asked()
		now = now.Add(3 * o.TTL)
		if _, err := c.Key(t.Context(), "a"); err != nil || asked() == before {
			t.Errorf("after a step of %v an answer lives on: %v", d, err)
		}
	}
}

// While the source is away, a clock that is set back takes no answer from memory, and the source is
// found again.
func TestCacheClockSetBackWhileAway(t *testing.T) {
	for _, back := range []time.Duration{time.Hour, 365 * 24 * time.Hour} {
		var offset atomic.Int64
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		r, o := newRemote(), cacheOptions()
		o.Now = func() time.Time { return start.Add(time.Duration(offset.Load())) }
		c := NewCache(r, o)
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		r.set(errAway)
		offset.Add(int64(3 * o.TTL))
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		offset.Add(-int64(back))
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Errorf("%v back: %v", back, err)
		}
		r.set(nil)
		offset.Add(int64(3 * o.TTL))
		for limit := time.Now().Add(3 * time.Minute); c.IsAway(); offset.Add(int64(time.Second)) {
			if _, err := c.Key(t.Context(), "a"); err != nil {
				t.Errorf("%v back: %v", back, err)
			}
			if time.Now().After(limit) {
				t.Fatalf("%v back: the source is not asked any more", back)
			}
		}
	}
}
