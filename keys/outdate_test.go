package keys

import (
	"context"
	"errors"
	"testing"
	"time"
)

// rows is a source whose answers a test sets.
type rows struct {
	selector string
	err      error
	asked    int
}

func (r *rows) Key(_ context.Context, name string) (Key, error) {
	r.asked++
	return Key{Name: name, Selector: r.selector}, r.err
}

func (r *rows) Choose(context.Context, Query) ([]Key, error) { r.asked++; return nil, r.err }
func (r *rows) Narrow(q Query) Query                         { return q }

// TestOutdate wants the source asked before an answer serves again, and the answer to serve where
// the source fails.
func TestOutdate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &rows{selector: "old"}
	c := NewCache(r, CacheOptions{TTL: time.Hour, NegativeTTL: time.Hour, Stale: 24 * time.Hour,
		Bytes: 1 << 20, Now: func() time.Time { return now }})
	selector := func(want string) {
		t.Helper()
		if k, err := c.Key(t.Context(), "k"); err != nil || k.Selector != want {
			t.Errorf("got %q, %v; want %q", k.Selector, err, want)
		}
	}
	selector("old")
	if _, err := c.Choose(t.Context(), Query{Domain: "none.example"}); err != nil {
		t.Fatal(err)
	}
	r.selector = "new"
	selector("old")
	c.Outdate()
	selector("new")
	asked := r.asked
	if _, err := c.Choose(t.Context(), Query{Domain: "none.example"}); err != nil ||
		r.asked == asked {
		t.Errorf("that nobody signs was not asked again: %v", err)
	}
	r.err = errors.New("away")
	c.Outdate()
	selector("new")
	if _, err := c.Choose(t.Context(), Query{Domain: "none.example"}); err == nil {
		t.Error("that nobody signs was taken from memory")
	}
}
