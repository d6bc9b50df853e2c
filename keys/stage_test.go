package keys_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
)

func TestAllows(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	tests := []struct {
		name      string
		from, to  keys.Stage
		sight     keys.Sight
		successor bool
		after     time.Duration
		want      error
	}{
		{"published when all show it", keys.Generated, keys.Published, keys.SightKey, false, 0, nil},
		{"published when some do not", keys.Generated, keys.Published, keys.SightOther, false, 0, keys.ErrSight},
		{"published when none does", keys.Generated, keys.Published, keys.SightNothing, false, 0, keys.ErrSight},
		{"published when one does not answer", keys.Generated, keys.Published, keys.SightUnknown,
			false, 0, keys.ErrSilent},
		{"active at once", keys.Generated, keys.Active, keys.SightKey, false, 9 * day, keys.ErrStep},
		{"active in time", keys.Published, keys.Active, keys.SightKey, false, 2 * day, nil},
		{"active too early", keys.Published, keys.Active, keys.SightKey, false, 2*day - 1, keys.ErrEarly},
		{"active, and gone from the DNS", keys.Published, keys.Active, keys.SightNothing, false,
			2 * day, keys.ErrSight},
		{"active, and revoked in the DNS", keys.Published, keys.Active, keys.SightRevoked, false,
			2 * day, keys.ErrSight},
		{"back when the record went away", keys.Published, keys.Generated, keys.SightNothing, false, 0, nil},
		{"not back when servers fail", keys.Published, keys.Generated, keys.SightUnknown, false, 0, keys.ErrSilent},
		{"retiring with a successor", keys.Active, keys.Retiring, keys.SightKey, true, 0, nil},
		{"retiring with none", keys.Active, keys.Retiring, keys.SightKey, false, 0, keys.ErrLast},
		{"active again", keys.Retiring, keys.Active, keys.SightKey, false, 0, nil},
		{"active again, not published", keys.Retiring, keys.Active, keys.SightRevoked, false, 0, keys.ErrSight},
		{"revoked", keys.Retiring, keys.Revoked, keys.SightRevoked, true, 14 * day, nil},
		{"revoked by removing", keys.Retiring, keys.Revoked, keys.SightNothing, true, 14 * day, nil},
		{"revoked with mail on its way", keys.Retiring, keys.Revoked, keys.SightRevoked, true,
			14*day - 1, keys.ErrEarly},
		{"revoked, and the DNS says good", keys.Retiring, keys.Revoked, keys.SightKey, true, 14 * day, keys.ErrSight},
		{"active and revoked", keys.Active, keys.Revoked, keys.SightRevoked, true, 99 * day, keys.ErrStep},
		{"removed", keys.Revoked, keys.Removed, keys.SightNothing, true, 0, nil},
		{"removed, and still there", keys.Revoked, keys.Removed, keys.SightRevoked, true, 0, keys.ErrSight},
		{"never used", keys.Generated, keys.Removed, keys.SightNothing, false, 0, nil},
		{"removed while it signs", keys.Active, keys.Removed, keys.SightNothing, true, 99 * day, keys.ErrStep},
		{"removed for good", keys.Removed, keys.Generated, keys.SightNothing, true, 0, keys.ErrStep},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := keys.Situation{Stage: tt.from, Since: start, Now: start.Add(tt.after),
				Sight: tt.sight, Successor: tt.successor, Publish: 2 * day, Overlap: 14 * day}
			if err := s.Allows(tt.to); !errors.Is(err, tt.want) ||
				(err != nil) != (tt.want != nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestAllowsFirst holds that a first key need not be seen for long.
func TestAllowsFirst(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first := keys.Situation{Stage: keys.Published, Since: now, Now: now, Sight: keys.SightKey,
		Publish: 48 * time.Hour, First: true}
	if err := first.Allows(keys.Active); err != nil {
		t.Errorf("got %v", err)
	}
	first.Other = now.Add(time.Second)
	if err := first.Allows(keys.Active); !errors.Is(err, keys.ErrEarly) {
		t.Errorf("another record is remembered: got %v, want %v", err, keys.ErrEarly)
	}
	first.Other, first.Sight = now, keys.SightNothing
	if err := first.Allows(keys.Active); !errors.Is(err, keys.ErrSight) {
		t.Errorf("not published: got %v, want %v", err, keys.ErrSight)
	}
}

// A refusal says who shows what, and a server that is silent is told from one that disagrees.
func TestAllowsNamesServers(t *testing.T) {
	for _, tt := range []struct {
		sight keys.Sight
		is    error
		isNot error
		want  string
	}{
		{keys.SightOther, keys.ErrSight, keys.ErrSilent, "not every name server shows the key (ns2: no record)"},
		{keys.SightUnknown, keys.ErrSilent, keys.ErrSight, "not every name server answered (ns2: no record)"},
	} {
		err := keys.Situation{Stage: keys.Generated, Sight: tt.sight,
			Servers: "ns2: no record"}.Allows(keys.Published)
		if !errors.Is(err, tt.is) || errors.Is(err, tt.isNot) ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.sight, err, tt.want)
		}
	}
}

func TestSelector(t *testing.T) {
	now := time.Date(2026, 11, 5, 23, 30, 0, 0, time.FixedZone("", -3600)) // the 6th in UTC
	tests := []struct {
		template string
		alg      keys.Algorithm
		taken    []string
		want     string
	}{
		{"{year}q{quarter}{alg}", keys.RSA, nil, "2026q4r"},
		{"{year}q{quarter}{alg}", keys.Ed25519, nil, "2026q4e"},
		{"S{date}{alg}", keys.RSA, nil, "s20261106r"},
		{"{year}{month}", keys.RSA, []string{"202611", "202611-2"}, "202611-3"},
	}
	for _, tt := range tests {
		if got := keys.Selector(tt.template, now, tt.alg,
			func(s string) bool { return slices.Contains(tt.taken, s) }); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.template, got, tt.want)
		}
	}
}
