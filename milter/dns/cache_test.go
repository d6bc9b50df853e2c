package dns_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/dns"
)

// script is a resolver that answers from a function and remembers what it was asked.
type script struct {
	mu     sync.Mutex
	asked  []string
	answer func(ctx context.Context, name string, t dns.Type) (dns.Answer, error)
}

func (s *script) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, t.String()+" "+name)
	s.mu.Unlock()
	return s.answer(ctx, name, t)
}

func (s *script) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// always returns a resolver that has one answer to everything.
func always(a dns.Answer, err error) *script {
	return &script{answer: func(context.Context, string, dns.Type) (dns.Answer, error) {
		return a, err
	}}
}

func TestCacheKeeps(t *testing.T) {
	servfail := fmt.Errorf("%w: SERVFAIL", dns.ErrFailure)
	found := func(ttl time.Duration) dns.Answer {
		return dns.Answer{Texts: []string{"x"}, TTL: ttl}
	}
	tests := []struct {
		name    string
		options dns.CacheOptions
		answer  dns.Answer
		err     error
		keep    time.Duration // how long the answer must serve
	}{
		{"records", dns.CacheOptions{}, found(time.Minute), nil, time.Minute},
		{"records without a TTL", dns.CacheOptions{}, found(0), nil, 0},
		{"records for a week", dns.CacheOptions{}, found(7 * 24 * time.Hour), nil, 24 * time.Hour},
		{"records, by option", dns.CacheOptions{MaxTTL: time.Second}, found(time.Hour), nil, time.Second},
		{"no data", dns.CacheOptions{}, dns.Answer{Status: dns.NoData, TTL: time.Minute}, nil, time.Minute},
		{"no data for a day", dns.CacheOptions{}, dns.Answer{Status: dns.NoData, TTL: 24 * time.Hour}, nil, time.Hour},
		{"NXDOMAIN for a day", dns.CacheOptions{}, dns.Answer{Status: dns.NXDomain,
			TTL: 24 * time.Hour}, nil, time.Hour},
		{"NXDOMAIN, by option", dns.CacheOptions{MaxNegative: time.Minute},
			dns.Answer{Status: dns.NXDomain, TTL: time.Hour}, nil, time.Minute},
		{"failure", dns.CacheOptions{}, dns.Answer{}, servfail, 30 * time.Second},
		{"failure, by option", dns.CacheOptions{Failures: time.Second}, dns.Answer{}, servfail, time.Second},
		{"failure, not at all", dns.CacheOptions{Failures: -1}, dns.Answer{}, servfail, 0},
		{"time-out", dns.CacheOptions{}, dns.Answer{}, dns.ErrTimeout, 30 * time.Second},
		{"end of the budget", dns.CacheOptions{}, dns.Answer{}, dns.ErrBudget, 0},
		{"error that is no failure", dns.CacheOptions{}, dns.Answer{}, context.Canceled, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			tt.options.Now = func() time.Time { return now }
			next := always(tt.answer, tt.err)
			c := dns.NewCache(next, tt.options)
			ask := func(name string) dns.Answer {
				t.Helper()
				a, err := c.Lookup(t.Context(), name, dns.TXT)
				if !errors.Is(err, tt.err) || a.Status != tt.answer.Status ||
					len(a.Texts) != len(tt.answer.Texts) {
					t.Fatalf("got %+v, %v; want %+v, %v", a, err, tt.answer, tt.err)
				}
				return a
			}
			ask("example.com")
			if tt.keep > 0 {
				now = now.Add(tt.keep - 1)
				if a := ask("EXAMPLE.com."); next.questions() != 1 || tt.err == nil && a.TTL != 1 {
					t.Errorf("just before the end: asked %d times, TTL %v; want 1, 1ns",
						next.questions(), a.TTL)
				}
				now = now.Add(1)
			}
			if ask("example.com"); next.questions() != 2 {
				t.Errorf("at the end: asked %d times, want 2", next.questions())
			}
		})
	}
}

func TestCacheNXDomainIsOfTheName(t *testing.T) {
	now := time.Unix(1e9, 0)
	exists := true
	next := &script{answer: func(_ context.Context, _ string, typ dns.Type) (dns.Answer, error) {
		if !exists {
			return dns.Answer{Status: dns.NXDomain, TTL: time.Minute}, nil
		}
		return dns.Answer{Texts: []string{"x"}, TTL: time.Duration(typ) * time.Second}, nil
	}}
	c := dns.NewCache(next, dns.CacheOptions{Now: func() time.Time { return now }})
	steps := []struct {
		name   string
		after  time.Duration
		exists bool
		typ    dns.Type
		want   dns.Status
		asked  int
	}{
		{"TXT is asked for", 0, true, dns.TXT, dns.Found, 1},
		{"TXT expired, the name is gone", 16 * time.Second, false, dns.TXT, dns.NXDomain, 2},
		{"A is known not to be", 0, true, dns.A, dns.NXDomain, 2},
		{"TXT is known not to be", 0, true, dns.TXT, dns.NXDomain, 2},
		{"NXDOMAIN expired, A is asked for", time.Minute, true, dns.A, dns.Found, 3},
		{"TXT is asked for again", 0, true, dns.TXT, dns.Found, 4},
		{"TXT is known", 0, true, dns.TXT, dns.Found, 4},
	}
	for _, st := range steps {
		now = now.Add(st.after)
		exists = st.exists
		a, err := c.Lookup(t.Context(), "example.com", st.typ)
		if err != nil || a.Status != st.want || next.questions() != st.asked {
			t.Errorf("%s: got %v, %v after %d questions; want %v after %d", st.name, a.Status, err,
				next.questions(), st.want, st.asked)
		}
	}
}

// What is remembered of one type does not hide what came later of the name, or of another type.
func TestCacheNXDomainAndOtherTypes(t *testing.T) {
	type step struct {
		typ    dns.Type
		answer dns.Answer // of the server, from now on
		err    error
		after  time.Duration
		want   dns.Status
		fails  bool
		asked  int
	}
	found := dns.Answer{Texts: []string{"x"}, TTL: time.Hour}
	gone := dns.Answer{Status: dns.NXDomain, TTL: time.Minute}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"gone, then found: no type is gone", []step{
			{dns.TXT, gone, nil, 0, dns.NXDomain, false, 1},
			{dns.TXT, found, nil, time.Minute, dns.Found, false, 2},
			{dns.A, found, nil, 0, dns.Found, false, 3},
		}},
		{"found of one type hides nothing of another", []step{
			{dns.TXT, found, nil, 0, dns.Found, false, 1},
			{dns.A, gone, nil, 0, dns.NXDomain, false, 2},
			{dns.MX, gone, nil, 0, dns.NXDomain, false, 2},
			{dns.TXT, gone, nil, 0, dns.Found, false, 2},
		}},
		{"a failure of one type lets the name be gone for others", []step{
			{dns.TXT, found, dns.ErrFailure, 0, dns.Found, true, 1},
			{dns.A, gone, nil, 0, dns.NXDomain, false, 2},
			{dns.MX, gone, nil, 0, dns.NXDomain, false, 2},
			{dns.TXT, gone, nil, 0, dns.Found, true, 2},
			{dns.TXT, gone, nil, 30 * time.Second, dns.NXDomain, false, 2},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			var at step
			next := &script{answer: func(context.Context, string, dns.Type) (dns.Answer,
				error) {
				return at.answer, at.err
			}}
			c := dns.NewCache(next, dns.CacheOptions{Now: func() time.Time { return now }})
			for i, st := range tt.steps {
				now = now.Add(st.after)
				at = st
				a, err := c.Lookup(t.Context(), "example.com", st.typ)
				if (err != nil) != st.fails || err == nil && a.Status != st.want ||
					next.questions() != st.asked {
					t.Errorf("step %d: got %v, %v after %d questions; want %v, failure %v, after %d",
						i, a.Status, err, next.questions(), st.want, st.fails, st.asked)
				}
			}
		})
	}
}

// Lookups that are in progress together may end in any order. The last word counts.
func TestCacheLateAnswers(t *testing.T) {
	gone := dns.Answer{Status: dns.NXDomain, TTL: time.Hour}
	found := dns.Answer{Texts: []string{"x"}, TTL: time.Hour}
	gated := func(answers map[dns.Type]dns.Answer, gates map[dns.Type]chan struct{}) *script {
		return &script{answer: func(_ context.Context, _ string, typ dns.Type) (dns.Answer, error) {
			<-gates[typ]
			return answers[typ], nil
		}}
	}
	expect := func(t *testing.T, c *dns.Cache, typ dns.Type, want dns.Status) {
		t.Helper()
		if a, err := c.Lookup(t.Context(), "example.com", typ); err != nil || a.Status != want {
			t.Errorf("%v: got %v, %v; want %v", typ, a.Status, err, want)
		}
	}
	t.Run("gone, then found by one who asked before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gates := map[dns.Type]chan struct{}{dns.TXT: make(chan struct{}),
				dns.A: make(chan struct{}), dns.MX: make(chan struct{})}
			next := gated(map[dns.Type]dns.Answer{dns.TXT: found, dns.A: gone, dns.MX: found},
				gates)
			c := dns.NewCache(next, dns.CacheOptions{})
			for _, typ := range []dns.Type{dns.TXT, dns.A} {
				go func() { _, _ = c.Lookup(t.Context(), "example.com", typ) }()
			}
			synctest.Wait()
			for _, typ := range []dns.Type{dns.A, dns.TXT, dns.MX} {
				close(gates[typ])
				synctest.Wait()
			}
			expect(t, c, dns.MX, dns.Found)
		})
	})
	t.Run("a time-out for the last caller, then the name is gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gates := map[dns.Type]chan struct{}{dns.TXT: make(chan struct{})}
			next := gated(map[dns.Type]dns.Answer{dns.TXT: gone}, gates)
			c := dns.NewCache(next, dns.CacheOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			if _, err := c.Lookup(ctx, "example.com", dns.TXT); !errors.Is(err,
				context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			close(gates[dns.TXT])
			synctest.Wait()
			expect(t, c, dns.TXT, dns.NXDomain)
			if n := next.questions(); n != 1 {
				t.Errorf("asked %d times, want 1", n)
			}
		})
	})
}

func TestCacheBounds(t *testing.T) {
	tests := []struct {
		name    string
		options dns.CacheOptions
		text    string
		names   int
		most    uint64 // answers that may be kept
	}{
		{"entries", dns.CacheOptions{Entries: 64}, "x", 1000, 64},
		{"bytes", dns.CacheOptions{Bytes: 1 << 20}, strings.Repeat("x", 10_000), 1000, 105},
		{"larger than the bound", dns.CacheOptions{Bytes: 1 << 10}, strings.Repeat("x", 10_000), 100, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dns.NewCache(always(dns.Answer{Texts: []string{tt.text}, TTL: time.Hour}, nil),
				tt.options)
			for range 2 {
				for i := range tt.names {
					c.Lookup(t.Context(), fmt.Sprintf("n%d.example", i), dns.TXT)
				}
			}
			before := c.Counters.Hits.Load()
			for i := tt.names - 1; i >= 0; i-- {
				c.Lookup(t.Context(), fmt.Sprintf("n%d.example", i), dns.TXT)
			}
			kept := c.Counters.Hits.Load() - before
			if kept > tt.most || kept < tt.most/2 {
				t.Errorf("%d answers were kept, want %d at most and no less than half of it", kept,
					tt.most)
			}
			if tt.most > 0 && c.Counters.Evictions.Load() < uint64(tt.names)-tt.most {
				t.Errorf("%d evictions counted", c.Counters.Evictions.Load())
			}
		})
	}
}

func TestCacheDropsTheLeastUsed(t *testing.T) {
	c := dns.NewCache(always(dns.Answer{Texts: []string{"x"}, TTL: time.Hour}, nil),
		dns.CacheOptions{Entries: 640})
	for i := range 5000 {
		c.Lookup(t.Context(), "popular.example", dns.TXT)
		c.Lookup(t.Context(), fmt.Sprintf("n%d.example", i), dns.TXT)
	}
	if misses := c.Counters.Misses.Load(); misses != 5001 {
		t.Errorf("%d misses, want 5001: the popular name was dropped", misses)
	}
}

func TestCacheAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		next := &script{answer: func(context.Context, string, dns.Type) (dns.Answer, error) {
			<-gate
			return dns.Answer{Texts: []string{"x"}}, nil
		}}
		c := dns.NewCache(next, dns.CacheOptions{})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if a, err := c.Lookup(t.Context(), "example.com", dns.TXT); err != nil ||
					len(a.Texts) != 1 {
					t.Errorf("got %v, %v", a, err)
				}
			})
		}
		synctest.Wait()
		close(gate)
		all.Wait()
		if n := next.questions(); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
		if m, s := c.Counters.Misses.Load(), c.Counters.Shared.Load(); m != 1 || s != 99 {
			t.Errorf("counted %d misses and %d shared, want 1 and 99", m, s)
		}
	})
}

func TestCacheCallersGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		next := &script{answer: func(ctx context.Context, _ string, _ dns.Type) (dns.Answer,
			error) {
			select {
			case <-gate:
				return dns.Answer{Texts: []string{"x"}}, nil
			case <-ctx.Done():
				return dns.Answer{}, ctx.Err()
			}
		}}
		c := dns.NewCache(next, dns.CacheOptions{})
		first, giveUp := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		go func() { _, err := c.Lookup(first, "example.com", dns.TXT); errs <- err }()
		synctest.Wait()
		go func() { _, err := c.Lookup(t.Context(), "example.com", dns.TXT); errs <- err }()
		synctest.Wait()
		giveUp()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		close(gate)
		if err := <-errs; err != nil {
			t.Errorf("who waited on got %v", err)
		}
	})
}

func TestCacheLastCallerGivesUp(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration
		asked int           // questions after a second lookup, which has 1 s
		err   error         // what the second lookup gets
		took  time.Duration // and when
	}{
		{"early: the next one asks again", 4 * time.Second, 2, context.DeadlineExceeded, time.Second},
		{"late: it was a time-out", 6 * time.Second, 1, dns.ErrTimeout, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := &script{answer: func(ctx context.Context, _ string, _ dns.Type) (dns.Answer,
					error) {
					<-ctx.Done() // the lookup ends with the last caller, or the bubble never does
					return dns.Answer{}, fmt.Errorf("%w: %w", dns.ErrFailure, ctx.Err())
				}}
				c := dns.NewCache(next, dns.CacheOptions{})
				first, cancel := context.WithTimeout(t.Context(), tt.after)
				defer cancel()
				if _, err := c.Lookup(first, "example.com", dns.TXT); !errors.Is(err,
					context.DeadlineExceeded) {
					t.Errorf("first: got %v", err)
				}
				synctest.Wait()
				second, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if _, err := c.Lookup(second, "example.com", dns.TXT); !errors.Is(err, tt.err) ||
					time.Since(began) != tt.took {
					t.Errorf("second: got %v after %v, want %v after %v", err, time.Since(began),
						tt.err, tt.took)
				}
				if n := next.questions(); n != tt.asked {
					t.Errorf("asked %d times, want %d", n, tt.asked)
				}
			})
		})
	}
}

func TestCacheSurvivesPanic(t *testing.T) {
	next := &script{answer: func(context.Context, string, dns.Type) (dns.Answer,
		error) {
		panic("oops")
	}}
	_, err := dns.NewCache(next, dns.CacheOptions{}).Lookup(t.Context(), "example.com", dns.A)
	if !errors.Is(err, dns.ErrFailure) ||
		!strings.Contains(err.Error(), "A example.com: panic: oops") {
		t.Errorf("got %v", err)
	}
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	c := dns.NewCache(always(dns.Answer{Texts: []string{"x"}, TTL: time.Hour}, nil),
		dns.CacheOptions{})
	ctx := t.Context()
	allocations.Hold(t, "milter/dns: a lookup that the cache answers", 100, func() {
		_, _ = c.Lookup(ctx, "sel._domainkey.example.com.", dns.TXT)
	})
}

// TestCacheConcurrently is for the race detector: everything at once, on few names and a small
// cache.
func TestCacheConcurrently(t *testing.T) {
	next := &script{answer: func(_ context.Context, name string, typ dns.Type) (dns.Answer, error) {
		switch name[1] % 4 {
		case 0:
			return dns.Answer{Status: dns.NXDomain, TTL: time.Microsecond}, nil
		case 1:
			return dns.Answer{}, dns.ErrTimeout
		}
		return dns.Answer{Texts: []string{name}, TTL: time.Millisecond}, nil
	}}
	c := dns.NewCache(next, dns.CacheOptions{Entries: 32, Failures: time.Microsecond})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == g%7 {
					cancel()
				}
				name := fmt.Sprintf("n%d.example", (i*g)%90)
				a, err := c.Lookup(ctx, name, dns.TXT)
				if err == nil && a.Status == dns.Found && a.Texts[0] != name {
					t.Errorf("asked for %s, got %s", name, a.Texts[0])
				}
				cancel()
			}
		})
	}
	all.Wait()
	k := &c.Counters
	if n := k.Hits.Load() + k.Misses.Load() + k.Shared.Load(); n != 4000 {
		t.Errorf("%d lookups counted, want 4000", n)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := dns.NewCache(always(dns.Answer{Texts: []string{"x"}, TTL: time.Hour}, nil),
		dns.CacheOptions{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Lookup(b.Context(), "sel._domainkey.example.com", dns.TXT)
		}
	})
}
