package keys

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// frozen is a source that takes questions and, once it is frozen, answers none.
type frozen struct {
	mu       sync.Mutex
	isFrozen bool
	asked    int
	open     int // questions in progress
	most     int // the most of them at a time
}

func (f *frozen) Key(ctx context.Context, name string) (Key, error) {
	f.mu.Lock()
	f.asked++
	f.open++
	f.most = max(f.most, f.open)
	isFrozen := f.isFrozen
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open--
		f.mu.Unlock()
	}()
	if isFrozen {
		<-ctx.Done()
		return Key{}, fmt.Errorf("no answer: %w", ctx.Err())
	}
	return Key{Name: name, Signer: newRemote().keys["a"].Signer}, nil
}

func (f *frozen) Choose(context.Context, Query) ([]Key, error) { return nil, ErrNotFound }
func (f *frozen) Narrow(q Query) Query                         { return q }

// freeze freezes the source, or ends that, and begins to count again.
func (f *frozen) freeze(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isFrozen, f.asked, f.most = on, 0, 0
}

// counted returns how many questions there were, how many are in progress, and the most of them at
// a time.
func (f *frozen) counted() (asked, open, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked, f.open, f.most
}

// warm is a cache that remembers a hundred keys of a source.
func warm(t *testing.T) (*frozen, *Cache) {
	t.Helper()
	f := &frozen{}
	c := NewCache(f, cacheOptions())
	for i := range 100 {
		if _, err := c.Key(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	return f, c
}

// Nothing that memory holds waits for a source that does not answer, and that source gets few
// questions.
func TestFrozenSourceAndWarmMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := warm(t)
		time.Sleep(time.Minute) // every answer is past its time
		f.freeze(true)
		began := time.Now()
		sent := 0
		for range 600 { // for a minute
			for i := range 100 {
				before := time.Now()
				if _, err := c.Key(t.Context(), fmt.Sprint(i)); err != nil ||
					!time.Now().Equal(before) {
					t.Fatalf("message %d: waited %v, %v", sent, time.Since(before), err)
				}
				sent++
			}
			synctest.Wait()
			if _, open, _ := f.counted(); time.Since(began) > 6*time.Second && open > 1 {
				t.Fatalf("%d questions to a source that is away", open)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// A probe takes five seconds, and one second passes before the next.
		if asked, _, most := f.counted(); most > maxBehind || asked > maxBehind+11 {
			t.Errorf("%d questions, %d at a time, for %d messages", asked, most, sent)
		}
		if !c.IsAway() {
			t.Error("the source is not away")
		}
		f.freeze(false)
		time.Sleep(5 * time.Second)
		for range 20 {
			for i := range 100 {
				if _, err := c.Key(t.Context(), fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			time.Sleep(100 * time.Millisecond)
		}
		if asked, _, _ := f.counted(); c.IsAway() || asked < 100 {
			t.Errorf("the source is back: away %v, %d answers are renewed, want 100", c.IsAway(),
				asked)
		}
	})
}

// An answer that is older than twice its time is not given unless the source is known not to
// answer: one message waits for a moment, and the others not at all.
func TestFrozenSourceAndOldMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := warm(t)
		time.Sleep(30 * time.Minute)
		f.freeze(true)
		waited := time.Duration(0)
		for i := range 100 {
			before := time.Now()
			if _, err := c.Key(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			waited += time.Since(before)
		}
		if waited != patience {
			t.Errorf("100 messages waited %v in all, want %v", waited, patience)
		}
		time.Sleep(10 * time.Second)
		f.freeze(false)
		if _, err := c.Key(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := c.Key(t.Context(), "2")
		if asked, _, _ := f.counted(); err != nil || c.IsAway() || asked != 2 {
			t.Errorf("back: %v, away %v, asked %d; want the answer of the source", err, c.IsAway(),
				asked)
		}
	})
}

// What memory does not hold fails at once while the source hangs, with the reason; a message in a
// second finds out whether it is back.
func TestFrozenSourceAndUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := warm(t)
		f.freeze(true)
		if _, err := c.Key(t.Context(), "first"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(retryAfter)
		slow := 0
		for i := range 1000 {
			before := time.Now()
			_, err := c.Key(t.Context(), fmt.Sprint("unknown", i))
			if err == nil || errors.Is(err, ErrNotFound) ||
				!strings.Contains(err.Error(), "no answer") {
				t.Fatalf("got %v", err)
			}
			if d := time.Since(before); d > 0 {
				slow++
				if d > patience {
					t.Fatalf("waited %v", d)
				}
			}
		}
		if _, _, most := f.counted(); slow != 1 || most != 1 {
			t.Errorf("%d of 1,000 waited, with %d questions at a time; want 1, 1", slow, most)
		}
		time.Sleep(10 * time.Second)
		f.freeze(false)
		if k, err := c.Key(t.Context(), "second"); err != nil || k.Name != "second" {
			t.Errorf("back: %v, %v", k, err)
		}
		if k, err := c.Key(t.Context(), "third"); err != nil || k.Name != "third" {
			t.Errorf("back: %v, %v", k, err)
		}
	})
}

// A source that is slow and answers is no reason to defer mail.
func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		c := NewCache(r, cacheOptions())
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		r.delay = 3 * time.Second
		for _, name := range []string{"a", "b", "c"} {
			if _, err := c.Key(t.Context(), name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.IsAway() {
			t.Error("a source that answers is away")
		}
	})
}

// What another cache remembers signs on with other options, as long as those say, while the source
// is away too.
func TestCacheInherit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*CacheOptions)
		after  time.Duration
		want   error
	}{
		{"at once", func(o *CacheOptions) { o.Timeout = time.Second }, 0, nil},
		{"until stale ends", func(o *CacheOptions) { o.Timeout = time.Second }, 60 * time.Minute, nil},
		{"and no longer", func(o *CacheOptions) { o.Timeout = time.Second }, 62 * time.Minute, errAway},
		{"a longer stale", func(o *CacheOptions) { o.Stale = 24 * time.Hour }, 23 * time.Hour, nil},
		{"a shorter stale", func(o *CacheOptions) { o.Stale = 0 }, time.Minute, errAway},
		{"a longer ttl", func(o *CacheOptions) { o.TTL, o.Stale = time.Hour, 0 }, 59 * time.Minute, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRemote()
				old := NewCache(r, cacheOptions())
				if _, err := old.Key(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				if _, err := old.Key(t.Context(), "no such key"); !errors.Is(err, ErrNotFound) {
					t.Fatal(err)
				}
				r.set(errAway)
				o := cacheOptions()
				tc.change(&o)
				c := NewCache(r, o)
				c.Inherit(old)
				if !c.HasAnswered() || c.Len() != 2 {
					t.Errorf("answered %v, %d answers; want true, 2", c.HasAnswered(), c.Len())
				}
				time.Sleep(tc.after)
				if _, err := c.Key(t.Context(), "a"); !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
			})
		})
	}
}

// Rows that have no key are counted until they are mended.
func TestCacheBroken(t *testing.T) {
	r := newRemote()
	c := NewCache(r, cacheOptions())
	ask := func(err error, name string, broken int, unusable uint64) {
		t.Helper()
		r.set(err)
		_, _ = c.Key(t.Context(), name)
		if c.Broken() != broken || c.Counters.Unusable.Load() != unusable {
			t.Errorf("%d rows are broken, %d answers were; want %d, %d", c.Broken(),
				c.Counters.Unusable.Load(), broken, unusable)
		}
	}
	ask(ErrAnswer, "a", 1, 1)
	ask(ErrAnswer, "a", 1, 2)
	ask(ErrAnswer, "b", 2, 3)
	ask(errAway, "a", 2, 3)
	ask(nil, "a", 1, 3)
	ask(nil, "b", 0, 3)
}

// The bound holds for what answers really take: a hundred RSA keys and a thousand short answers.
func TestCacheBytes(t *testing.T) {
	private, err := Generate(RSA, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	o := cacheOptions()
	o.Bytes = 1 << 30
	for _, tc := range []struct {
		name string
		fill func(c *Cache, r *remote, i int)
		n    int
	}{
		{"RSA keys", func(c *Cache, r *remote, i int) {
			signer, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("mail._domainkey.%d.example", i)
			r.keys = map[string]Key{name: {Name: name, Selector: "mail", Domain: name[16:],
				Signer: signer}}
			_, _ = c.Key(t.Context(), name)
		}, 200},
		{"names of keys", func(c *Cache, r *remote, i int) {
			q := Query{Domain: fmt.Sprintf("%d.example", i)}
			r.choose = map[Query][]Key{q: {{Name: fmt.Sprintf("mail._domainkey.%d.example", i)}}}
			_, _ = c.Choose(t.Context(), q)
		}, 5000},
		{"that nobody signs", func(c *Cache, _ *remote, i int) {
			_, _ = c.Choose(t.Context(), Query{Domain: fmt.Sprintf("nobody%d.example", i)})
		}, 5000},
	} {
		r := newRemote()
		c := NewCache(r, o)
		before := heap()
		for i := range tc.n {
			tc.fill(c, r, i)
		}
		grown, counted := heap()-before, c.Bytes()
		t.Logf("%s: %d bytes each, counted as %d", tc.name, grown/tc.n, counted/tc.n)
		if c.Len() != tc.n || grown > counted*5/4 || counted > grown*2 {
			t.Errorf("%s: %d answers took %d KiB, counted as %d KiB", tc.name, c.Len(), grown>>10,
				counted>>10)
		}
		runtime.KeepAlive(c)
	}
}
