package dns_test

import (
	"testing"
	"time"

	"mailseal/milter/dns"
)

// A clock that steps keeps no answer beyond its time to live, and has the DNS asked once for each
// step at most.
func TestCacheClockSteps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	now := time.Unix(1e9, 0)
	next := always(dns.Answer{Texts: []string{"x"}, TTL: 10 * time.Minute}, nil)
	c := dns.NewCache(next, dns.CacheOptions{Now: func() time.Time { return now }})
	ask := func() dns.Answer {
		t.Helper()
		a, err := c.Lookup(t.Context(), "example.com", dns.TXT)
		if err != nil || len(a.Texts) != 1 || a.TTL > 10*time.Minute {
			t.Errorf("got %+v, %v", a, err)
		}
		return a
	}
	for _, d := range []time.Duration{time.Hour, -time.Hour, year, -year, -year, year} {
		ask()
		before := next.questions()
		now = now.Add(d)
		for range 100 {
			ask()
		}
		if n := next.questions() - before; n > 1 {
			t.Errorf("after a step of %v the DNS was asked %d times", d, n)
		}
		before = next.questions()
		now = now.Add(11 * time.Minute)
		if ask(); next.questions() != before+1 {
			t.Errorf("after a step of %v an answer lives on", d)
		}
	}
}
