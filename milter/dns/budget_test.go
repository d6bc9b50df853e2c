package dns_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns"
)

func TestBudget(t *testing.T) {
	next := always(dns.Answer{}, nil)
	r := dns.WithBudget(next, 2)
	for i, want := range []error{nil, nil, dns.ErrBudget, dns.ErrFailure} {
		if _, err := r.Lookup(t.Context(), "example.com", dns.A); !errors.Is(err, want) {
			t.Errorf("look-up %d: got %v, want %v", i+1, err, want)
		}
	}
	if n := next.questions(); n != 2 {
		t.Errorf("%d questions reached the resolver, want 2", n)
	}
}

func TestRecall(t *testing.T) {
	fails := errors.New("server failure")
	for _, c := range []struct {
		name     string
		names    []string // asked for while recalling; "known" and "broken" have been asked for before
		complete bool
		left     int // of a budget of 3, afterwards
	}{
		{"nothing", nil, true, 3},
		{"remembered", []string{"known", "known"}, true, 1},
		{"a remembered failure", []string{"broken"}, true, 2},
		{"no name at all", []string{strings.Repeat("x", 70)}, true, 2},
		{"forgotten", []string{"new"}, false, 3},
		{"remembered and forgotten", []string{"known", "new", "known"}, false, 3},
		{"too many", []string{"known", "known", "known", "known"}, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := always(dns.Answer{TTL: time.Hour}, nil)
			cache := dns.NewCache(resolverFunc(func(ctx context.Context, name string, typ dns.Type) (dns.Answer, error) {
				if strings.HasPrefix(name, "broken") {
					return dns.Answer{}, fmt.Errorf("%w: %w", dns.ErrFailure, fails)
				}
				return next.Lookup(ctx, name, typ)
			}), dns.CacheOptions{})
			for _, name := range []string{"known", "broken"} {
				_, _ = cache.Lookup(t.Context(), name, dns.TXT)
			}
			before := next.questions()
			b := dns.WithBudget(cache, 3)
			complete := b.Recall(t.Context(), func(ctx context.Context) {
				for _, name := range c.names {
					_, _ = b.Lookup(ctx, name, dns.TXT)
				}
			})
			if complete != c.complete {
				t.Errorf("complete is %v", complete)
			}
			if n := next.questions() - before; n != 0 {
				t.Errorf("%d questions were asked", n)
			}
			left := 0
			for ; left < 4; left++ {
				if _, err := b.Lookup(t.Context(), "known", dns.TXT); err != nil {
					break
				}
			}
			if left != c.left {
				t.Errorf("%d of the budget are left, want %d", left, c.left)
			}
		})
	}
}

// Where nothing remembers, nothing is tried: the look-ups of all methods would follow each other.
func TestRecallNeedsACache(t *testing.T) {
	b := dns.WithBudget(always(dns.Answer{}, nil), 3)
	if b.Recall(t.Context(), func(context.Context) { t.Error("called") }) {
		t.Error("recalled from nothing")
	}
}

type resolverFunc func(context.Context, string, dns.Type) (dns.Answer, error)

func (f resolverFunc) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	return f(ctx, name, t)
}
