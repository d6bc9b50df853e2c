package cache

import (
	"fmt"
	"testing"
	"time"
)

// A clock that is set back neither keeps an entry for as long as it was set back, nor makes it
// leave before its time.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{2 * time.Minute, time.Hour, 365 * 24 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			now := later
			c := New(Options[string, string]{Now: func() time.Time { return now }}, new(Counters))
			for _, k := range []string{"a", "b", "c"} {
				c.Put(k, "x", now.Add(time.Hour), now.Add(2*time.Hour))
			}
			now = now.Add(-back)
			began := now
			// Each way of looking begins the time of one entry again; Get moves it to the front,
			// which the others do not.
			if c.Get("a", now) == nil || c.Peek("b", now) == nil || len(c.Kept(now)) != 3 {
				t.Fatal("an entry has left when the clock was set back")
			}
			for _, tc := range []struct {
				after       time.Duration
				fresh, kept bool
			}{
				{time.Hour - 1, true, true},
				{time.Hour, false, true},
				{2*time.Hour - 1, false, true},
				{2 * time.Hour, false, false},
			} {
				now = began.Add(tc.after)
				for _, k := range []string{"a", "b", "c"} {
					e := c.Get(k, now)
					if isFresh := e != nil && now.Before(e.Fresh); isFresh != tc.fresh ||
						(e != nil) != tc.kept {
						t.Errorf("%s, %v later: fresh %v, kept %v; want %v, %v", k, tc.after,
							isFresh, e != nil, tc.fresh, tc.kept)
					}
				}
			}
			if c.Len() != 0 || c.Cost() != 0 {
				t.Errorf("%d entries of %d are left", c.Len(), c.Cost())
			}
		})
	}
}

// Entries keep their order of use when their times begin again, whichever of them is looked at
// first.
func TestClockSetBackOrder(t *testing.T) {
	for first := range 3 {
		now := later
		c := New(Options[string, string]{Entries: 3, Now: func() time.Time { return now }},
			new(Counters))
		for i := range 3 {
			c.Put(fmt.Sprint(i), "x", now.Add(time.Hour), now.Add(time.Hour))
		}
		now = now.Add(-24 * time.Hour)
		c.Peek(fmt.Sprint(first), now)
		for i := range 3 {
			c.Put("new"+fmt.Sprint(i), "x", now.Add(time.Hour), now.Add(time.Hour))
			if c.Peek(fmt.Sprint(i), now) != nil || c.Len() != 3 {
				t.Errorf("%d looked at: %d has not left, or more than one has", first, i)
			}
		}
	}
}
