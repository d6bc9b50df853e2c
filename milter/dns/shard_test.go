package dns

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// content walks the list from both ends and returns the keys from the newest on.
func content(t *testing.T, s *shard) string {
	t.Helper()
	var down, up []string
	bytes := 0
	for e := s.newest; e != nil; e = e.older {
		down = append(down, e.key.typ.String()+" "+e.key.name)
		bytes += e.size
	}
	for e := s.oldest; e != nil; e = e.newer {
		up = append([]string{e.key.typ.String() + " " + e.key.name}, up...)
	}
	got := strings.Join(down, ", ")
	if strings.Join(up, ", ") != got || len(s.entries) != len(down) || s.bytes != bytes {
		t.Errorf("%d entries and %d octets, in the list %s and %d octets, from the other end %s", len(s.entries), s.bytes, got, bytes, up)
	}
	return got
}

func TestShard(t *testing.T) {
	now := time.Unix(1e9, 0)
	later := now.Add(time.Minute)
	found := Answer{Texts: []string{"x"}}
	gone := Answer{Status: NXDomain}
	big := Answer{Texts: []string{strings.Repeat("x", 5000)}}
	a, b, c := key{"a", TXT}, key{"b", TXT}, key{"a", MX}
	tests := []struct {
		name string
		do   func(s *shard)
		want string
	}{
		{"in order", func(s *shard) { s.put(a, found, nil, later); s.put(b, found, nil, later) }, "TXT b, TXT a"},
		{"put again", func(s *shard) { s.put(a, found, nil, later); s.put(b, found, nil, later); s.put(a, found, nil, later) }, "TXT a, TXT b"},
		{"used", func(s *shard) { s.put(a, found, nil, later); s.put(b, found, nil, later); s.get(a, now) }, "TXT a, TXT b"},
		{"expired", func(s *shard) { s.put(a, found, nil, now); s.put(b, found, nil, later); s.get(a, now) }, "TXT b"},
		{"gone for all types", func(s *shard) { s.put(a, gone, nil, later); s.get(c, now) }, "TYPE0 a"},
		{"gone, then found by who asked before", func(s *shard) { s.put(c, gone, nil, later); s.put(a, found, nil, later) }, "TXT a"},
		{"found, then gone", func(s *shard) { s.put(a, found, nil, later); s.put(a, gone, nil, later) }, "TYPE0 a"},
		{"a failure says nothing of other types", func(s *shard) { s.put(c, gone, nil, later); s.put(a, Answer{}, ErrFailure, later) }, "TXT a, TYPE0 a"},
		{"too many", func(s *shard) { s.put(a, found, nil, later); s.put(b, found, nil, later); s.put(c, found, nil, later) }, "MX a, TXT b"},
		{"too big for all", func(s *shard) { s.put(a, found, nil, later); s.put(b, big, nil, later) }, "TXT a"},
		{"too big now", func(s *shard) { s.put(a, found, nil, later); s.put(a, big, nil, later) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &shard{entries: map[key]*entry{}, maxEntries: 2, maxBytes: 4000, evicted: new(atomic.Uint64)}
			tt.do(s)
			if got := content(t, s); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
