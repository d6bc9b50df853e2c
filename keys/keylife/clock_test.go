package keylife_test

import (
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/keylife"
)

// A clock that was a year or an hour ahead, and is set right, leaves no key waiting for that long. Whatever it does, some
// key signs.
func TestRotateClockSteps(t *testing.T) {
	policy := keylife.Policy{Every: 90 * day, Publish: 2 * day, Overlap: 14 * day}
	for _, ahead := range []time.Duration{time.Hour, 365 * day, -time.Hour, -365 * day} {
		t.Run(ahead.String(), func(t *testing.T) {
			s := generated(t, "a")
			move(t, s, "a", keys.Published)
			move(t, s, "a", keys.Active)
			state, err := s.Read()
			if err != nil {
				t.Fatal(err)
			}
			made := 0
			// pass is one look of the watch, at a DNS that shows what it should.
			pass := func(now time.Time) {
				t.Helper()
				v := keylife.View{Policy: policy, Now: now, Sights: map[string]keys.Sight{}}
				for _, k := range state.Keys {
					v.Sights[k.Name()] = shown[k.Stage]
				}
				if _, due := state.Rotate("example.com", v); due {
					made++
					if _, err := s.Generate(state, "example.com", "n"+string(rune('0'+made)), keys.Ed25519, 0, now); err != nil {
						t.Fatal(err)
					}
				}
				if len(state.Of("example.com", keys.Active)) == 0 {
					t.Errorf("no key signs at %v", now)
				}
			}
			now := start.Add(89 * day) // the next key has been made, and is published
			for range 3 {
				pass(now)
			}
			for range 5 { // the clock is wrong for some looks
				pass(now.Add(ahead))
			}
			before := made
			for range 5 {
				pass(now)
			}
			if made > before+1 {
				t.Errorf("%d generations of keys when the clock was right again", made-before)
			}
			for _, k := range state.Keys {
				if k.Since.After(now.Add(time.Minute)) {
					t.Errorf("%s is %s since %v, and it is %v", k.Selector, k.Stage, k.Since, now)
				}
			}
			for at := now; at.Before(now.Add(200 * day)); at = at.Add(day) {
				pass(at)
			}
			if made < before+1 {
				t.Errorf("no new keys in 200 days, after %d", before)
			}
		})
	}
}

// shown is what the DNS shows of a key at a stage when whoever runs it does what he is told.
var shown = map[keys.Stage]keys.Sight{
	keys.Generated: keys.SightKey, keys.Published: keys.SightKey, keys.Active: keys.SightKey,
	keys.Retiring: keys.SightRevoked, keys.Revoked: keys.SightNothing,
}
