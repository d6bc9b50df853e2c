package dns_test

import (
	"errors"
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
			t.Errorf("lookup %d: got %v, want %v", i+1, err, want)
		}
	}
	if n := next.questions(); n != 2 {
		t.Errorf("%d questions reached the resolver, want 2", n)
	}
}

// TestBeforeWait counts how often a lookup announces that it has to wait for an answer.
func TestBeforeWait(t *testing.T) {
	answers := always(dns.Answer{TTL: time.Hour}, nil)
	cache := dns.NewCache(answers, dns.CacheOptions{})
	_, _ = cache.Lookup(t.Context(), "known", dns.TXT)
	for _, c := range []struct {
		name  string
		next  dns.Resolver
		names []string
		want  int
	}{
		{"nothing", cache, nil, 0},
		{"remembered", cache, []string{"known", "known"}, 0},
		{"invalid name", cache, []string{strings.Repeat("x", 70)}, 0},
		{"asked", cache, []string{"known", "new", "newer"}, 1},
		{"asked through a gate", dns.NewGate(cache, dns.GateOptions{}), []string{"known", "newest"}, 1},
		{"remembered behind a gate", dns.NewGate(cache, dns.GateOptions{}), []string{"known"}, 0},
		{"no cache", answers, []string{"known", "known"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			announced := 0
			ctx := dns.BeforeWait(t.Context(), func() { announced++ })
			b := dns.WithBudget(c.next, 10)
			for _, name := range c.names {
				_, _ = b.Lookup(ctx, name, dns.TXT)
			}
			if announced != c.want {
				t.Errorf("announced %d times, want %d", announced, c.want)
			}
		})
	}
}
