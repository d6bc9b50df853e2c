package rotation

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"mailseal/keys"
)

// Survey is what a pass of the watch found of the keys that sign.
type Survey struct {
	At    time.Time      // the end of the pass; zero before the first one has ended
	Count map[string]int // of all keys: "good", "bad" and "unknown"
	Keys  []Surveyed     // at most 200, the worst first
}

// Surveyed is one key that signs.
type Surveyed struct {
	Name  string    // of the record
	Shown string    // "good", "bad" or "unknown"
	Why   string    // it is not good
	Made  time.Time // when it was generated; zero for a key beside the store
	Stage keys.Stage
}

// maxSurveyed bounds the keys that a survey names: there may be a hundred thousand.
const maxSurveyed = 200

// Last returns the survey of the last whole pass. It may be called at any time.
func (w *Watcher) Last() Survey {
	if s := w.last.Load(); s != nil {
		return *s
	}
	return Survey{}
}

// lastSurvey is what Watcher keeps of the last pass.
type lastSurvey = atomic.Pointer[Survey]

// shownAs is a sight in the words of the metrics.
func shownAs(s keys.Sight) string {
	switch s {
	case keys.SightKey:
		return "good"
	case keys.SightUnknown:
		return "unknown"
	}
	return "bad"
}

// note keeps a key for the survey. Of more than fit, bad ones drive out good ones.
func (t *findings) note(k Seen) {
	one := Surveyed{Name: k.Name(), Shown: shownAs(k.Sight), Stage: k.Stage}
	if one.Shown != "good" {
		one.Why = k.shown()
	}
	if len(k.History) > 0 {
		one.Made = k.History[0].At
	} else if !k.Since.IsZero() {
		one.Made = k.Since
	}
	if len(t.keys) < maxSurveyed {
		t.keys = append(t.keys, one)
		return
	}
	if one.Shown == "good" {
		return
	}
	at := slices.IndexFunc(t.keys, func(s Surveyed) bool { return s.Shown == "good" })
	if at >= 0 {
		t.keys[at] = one
	}
}

// survey sums up a pass that has ended.
func (t *findings) survey(now time.Time) *Survey {
	order := []string{"bad", "unknown", "good"}
	slices.SortFunc(t.keys, func(a, b Surveyed) int {
		return cmp.Or(
			slices.Index(order, a.Shown)-slices.Index(order, b.Shown),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return &Survey{At: now, Count: t.count, Keys: t.keys}
}
