package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// remote is a source that is away, slow or broken as a test wants it.
type remote struct {
	mu     sync.Mutex
	keys   map[string]Key
	choose map[Query][]Key
	err    error
	delay  time.Duration
	asked  int
}

func (r *remote) begin(ctx context.Context) error {
	r.mu.Lock()
	r.asked++
	err, delay := r.err, r.delay
	r.mu.Unlock()
	select {
	case <-time.After(delay):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *remote) Key(ctx context.Context, name string) (Key, error) {
	if err := r.begin(ctx); err != nil {
		return Key{}, err
	}
	k, ok := r.keys[name]
	if name == "panic" {
		panic("driver's bug")
	}
	if !ok {
		return Key{}, ErrNotFound
	}
	return k, nil
}

func (r *remote) Choose(ctx context.Context, q Query) ([]Key, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	return r.choose[q], nil
}

func (r *remote) Narrow(q Query) Query { return Query{Domain: q.Domain, Login: q.Login} }

func (r *remote) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

var errAway = errors.New("connection refused")

func newRemote() *remote {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	return &remote{
		keys: map[string]Key{"a": {Name: "a", Signer: private}, "b": {Name: "b", Signer: private},
			"c": {Name: "c", Signer: private}},
		choose: map[Query][]Key{{Domain: "one.example", Login: "joe"}: {{Name: "a"}}},
	}
}

func cacheOptions() CacheOptions {
	return CacheOptions{TTL: time.Minute, NegativeTTL: 10 * time.Second, Stale: time.Hour,
		Timeout: 5 * time.Second}
}

// A step of a script: time passes, the source goes or comes, someone asks.
func TestCache(t *testing.T) {
	type step struct {
		after time.Duration
		err   error // what the source fails with from now on
		name  string
		want  error // nil: the key
		asked int   // so often in all
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"an answer is remembered for its time", []step{{0, nil, "a", nil, 1},
			{59 * time.Second, nil, "a", nil, 1}, {time.Second, nil, "a", nil, 2}}},
		{"so is that there is none, for less", []step{{0, nil, "x", ErrNotFound, 1},
			{9 * time.Second, nil, "x", ErrNotFound, 1}, {time.Second, nil, "x", ErrNotFound, 2}}},
		{"a failure is not remembered", []step{{0, errAway, "a", errAway, 1},
			{0, errAway, "a", errAway, 2}, {0, nil, "a", nil, 3}}},
		{"a failure is no denial", []step{{0, nil, "x", ErrNotFound, 1}, {10 * time.Second, errAway, "x", errAway, 2}}},
		{"an old answer serves while the source is away", []step{{0, nil, "a", nil, 1},
			{61 * time.Second, errAway, "a", nil, 2}, {time.Minute, errAway, "a", nil, 3}}},
		{"and is not asked for at every message", []step{{0, nil, "a", nil, 1},
			{61 * time.Second, errAway, "a", nil, 2}, {0, errAway, "a", nil, 2}, {time.Second, errAway, "a", nil, 3}}},
		{"but not for ever", []step{{0, nil, "a", nil, 1}, {61 * time.Minute, errAway, "a", errAway, 2}}},
		{"a broken answer is no answer", []step{{0, nil, "a", nil, 1}, {61 * time.Second, ErrAnswer,
			"a", nil, 2}, {61 * time.Minute, ErrAnswer, "a", ErrAnswer, 3}}},
		{"the source comes back", []step{{0, nil, "a", nil, 1}, {61 * time.Second, errAway, "a",
			nil, 2}, {time.Second, nil, "a", nil, 3}, {59 * time.Second, errAway, "a", nil, 3}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRemote()
				c := NewCache(r, cacheOptions())
				for i, s := range tc.steps {
					time.Sleep(s.after)
					r.set(s.err)
					k, err := c.Key(t.Context(), s.name)
					synctest.Wait() // for what is asked behind
					if !errors.Is(err, s.want) || err == nil && k.Name != s.name {
						t.Fatalf("step %d: got %v, %v; want error %v", i, k, err, s.want)
					}
					if s.want == errAway && errors.Is(err, ErrNotFound) {
						t.Fatalf("step %d: a failure passes for a denial: %v", i, err)
					}
					if r.asked != s.asked {
						t.Fatalf("step %d: the source was asked %d times, want %d", i, r.asked,
							s.asked)
					}
				}
			})
		})
	}
}

func TestCacheChoose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		c := NewCache(r, cacheOptions())
		ask := func(q Query, want int, asked int) {
			t.Helper()
			got, err := c.Choose(t.Context(), q)
			if err != nil || len(got) != want || r.asked != asked {
				t.Errorf("%v: got %v, %v after %d questions; want %d keys after %d", q, got, err,
					r.asked, want, asked)
			}
		}
		ask(Query{"one.example", "joe@one.example", "joe"}, 1, 1)
		ask(Query{"one.example", "jane@one.example", "joe"}, 1, 1) // the address is not looked at
		ask(Query{"one.example", "joe@one.example", "jim"}, 0, 2)
		ask(Query{"one.example", "joe@one.example", "jim"}, 0, 2)
		time.Sleep(2 * time.Minute)
		r.set(errAway)
		ask(Query{"one.example", "joe@one.example", "joe"}, 1, 3)
		if got, err := c.Choose(t.Context(),
			Query{Domain: "one.example", Login: "jim"}); !errors.Is(err, errAway) {
			t.Errorf("a denial served while the source is away: %v, %v", got, err)
		}
	})
}

// A hundred who ask the same at once make one question; one who gives up takes no one along.
func TestCacheSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		r.delay = 3 * time.Second
		c := NewCache(r, cacheOptions())
		first, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		var wg sync.WaitGroup
		var good, gone atomic.Int32
		for i := range 100 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			wg.Go(func() {
				switch _, err := c.Key(ctx, "a"); {
				case err == nil:
					good.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					gone.Add(1)
				}
			})
			if i == 0 {
				synctest.Wait()
			}
		}
		wg.Wait()
		if good.Load() != 99 || gone.Load() != 1 || r.asked != 1 {
			t.Errorf("%d answers, %d gave up, %d questions; want 99, 1, 1", good.Load(),
				gone.Load(), r.asked)
		}
		if n := c.Counters.Shared.Load(); n != 99 {
			t.Errorf("%d shared, want 99", n)
		}
	})
}

func TestCacheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		r.delay = time.Hour
		c := NewCache(r, cacheOptions())
		began := time.Now()
		if _, err := c.Key(t.Context(), "a"); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(began) != 5*time.Second {
			t.Errorf("got %v after %v, want a time-out after 5 s", err, time.Since(began))
		}
	})
}

func TestCachePanic(t *testing.T) {
	c := NewCache(newRemote(), cacheOptions())
	if _, err := c.Key(t.Context(), "panic"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want a failure", err)
	}
}

func TestCacheTurned(t *testing.T) {
	r := newRemote()
	var said []string
	o := cacheOptions()
	o.Turned = func(err error) { said = append(said, fmt.Sprint(err)) }
	c := NewCache(r, o)
	for _, err := range []error{nil, errAway, errAway, ErrAnswer, nil} {
		r.set(err)
		_, _ = c.Key(t.Context(), fmt.Sprint(r.asked))
	}
	if want := []string{"connection refused", "<nil>"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// Memory is bounded by the entries, whatever is asked; what is used stays. A key is tested when it
// is new to memory, and one that fails is no answer: the one before serves on, said once in a
// while.
func TestCacheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errHalves := errors.New("its halves do not match")
		good, bad := newRemote().keys["a"].Signer,
			ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
		r, tested, said := newRemote(), 0, []string{}
		o := cacheOptions()
		o.Test = func(k Key) error {
			if tested++; bad.Equal(k.Signer) {
				return errHalves
			}
			return nil
		}
		o.Unusable = func(err error) { said = append(said, err.Error()) }
		c := NewCache(r, o)
		ask := func(signer crypto.Signer, want error, asked, tests, saids int) {
			t.Helper()
			r.mu.Lock()
			r.keys["a"] = Key{Name: "a", Selector: "s", Domain: "one.example", Signer: signer}
			r.mu.Unlock()
			k, err := c.Key(t.Context(), "a")
			synctest.Wait() // for what is asked behind
			if !errors.Is(err, want) || err == nil && !good.(ed25519.PrivateKey).Equal(k.Signer) {
				t.Errorf("got %v, %v; want %v", k, err, want)
			}
			if r.asked != asked || tested != tests || len(said) != saids {
				t.Errorf("asked %d, tested %d, said %q; want %d, %d, %d", r.asked, tested, said,
					asked, tests, saids)
			}
		}
		ask(bad, ErrAnswer, 1, 1, 0)
		ask(bad, errHalves, 2, 2, 0) // the caller has been told; nothing is remembered
		ask(good, nil, 3, 3, 0)
		time.Sleep(time.Minute)
		ask(good, nil, 4, 3, 0) // the same key as before
		time.Sleep(time.Minute)
		ask(bad, nil, 5, 4, 1) // the key before signs
		ask(bad, nil, 5, 4, 1)
		time.Sleep(10 * time.Second)
		ask(bad, nil, 6, 5, 2)
		time.Sleep(time.Hour)
		ask(bad, errHalves, 7, 6, 2) // but not for ever
		if c.IsAway() {
			t.Error("a source that answers is away")
		}
		for _, part := range []string{`key "a"`, `selector "s"`, `domain "one.example"`, "halves"} {
			if len(said) == 0 || !strings.Contains(said[0], part) {
				t.Errorf("said %q, without %s", said, part)
			}
		}
	})
}

// Keys that come whole with the answer about a sender are tested, too.
func TestCacheTestChosen(t *testing.T) {
	r := newRemote()
	q := Query{Domain: "whole.example"}
	r.choose[q] = []Key{{Name: "name only"},
		{Name: "x", Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))}}
	o := cacheOptions()
	o.Test = func(k Key) error { return fmt.Errorf("%s does not work", k.Name) }
	if found, err := NewCache(r, o).Choose(t.Context(), q); !errors.Is(err, ErrAnswer) ||
		!strings.Contains(err.Error(), "x does not work") || found != nil {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestCacheHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		c := NewCache(r, cacheOptions())
		joe := Query{Domain: "one.example", Login: "joe"}
		for _, ask := range []func() error{
			func() error { _, err := c.Choose(t.Context(), joe); return err },
			func() error {
				_, err := c.Choose(t.Context(), Query{Domain: "nobody.example"})
				return err
			},
			func() error { _, err := c.Key(t.Context(), "a"); return err },
		} {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		held := c.Held()
		if len(held) != 2 || held[0].Name != "a" || held[0].Keys[0].Signer == nil ||
			held[1].Query != joe || held[1].Keys[0].Name != "a" {
			t.Errorf("held %v", held)
		}
		time.Sleep(time.Minute + time.Hour)
		if held := c.Held(); len(held) != 0 || r.asked != 3 {
			t.Errorf("in the end held %v, asked %d", held, r.asked)
		}
	})
}

func TestCacheBound(t *testing.T) {
	r := newRemote()
	o := cacheOptions()
	o.Bytes = weigh(question{name: "a"}, []Key{r.keys["a"]}) + 9*(entryBytes+3) // and nine denials
	c := NewCache(r, o)
	for i := range 1000 {
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Choose(t.Context(), Query{Domain: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if c.Len() > 10 {
			t.Fatalf("%d entries", c.Len())
		}
	}
	if r.asked != 1001 {
		t.Errorf("the source was asked %d times: the key in use was forgotten", r.asked)
	}
	if n := c.Counters.Evictions.Load(); n != 991 {
		t.Errorf("%d evictions, want 991", n)
	}
	endless := Query{Domain: "x.example", Login: strings.Repeat("x", 5000)}
	for range 2 {
		if _, err := c.Choose(t.Context(), endless); err != nil {
			t.Fatal(err)
		}
	}
	if r.asked != 1003 || c.Len() != 10 {
		t.Errorf("an endless login name is remembered: asked %d times, %d entries", r.asked,
			c.Len())
	}
}
