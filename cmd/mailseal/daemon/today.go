package daemon

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"mailseal/cmd/mailseal/control"
)

// tally is what a count of today is about: a role and an action, a method and a result.
type tally struct{ of, result string }

// today counts what has happened since midnight, UTC. Its keys are words of ours alone, so that it
// cannot grow by what a stranger sends. The zero value is not usable; newToday makes one.
type today struct {
	now func() time.Time

	mu         sync.Mutex
	since      time.Time // midnight, or the start of the daemon
	messages   map[tally]uint64
	results    map[tally]uint64
	signatures map[tally]uint64
	unsigned   map[tally]uint64
}

func newToday(now func() time.Time) *today {
	t := &today{now: now}
	t.begin(now().UTC())
	return t
}

// begin forgets what was counted.
func (t *today) begin(since time.Time) {
	t.since = since
	t.messages, t.results = map[tally]uint64{}, map[tally]uint64{}
	t.signatures, t.unsigned = map[tally]uint64{}, map[tally]uint64{}
}

// turn begins a new day if there is one. A clock that is set back does not.
func (t *today) turn() {
	midnight := t.now().UTC().Truncate(24 * time.Hour)
	if t.since.Before(midnight) {
		t.begin(midnight)
	}
}

// add counts one in the table that which returns.
func (t *today) add(which func(*today) map[tally]uint64, of, result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	which(t)[tally{of, result}]++
}

func countMessages(t *today) map[tally]uint64   { return t.messages }
func countResults(t *today) map[tally]uint64    { return t.results }
func countSignatures(t *today) map[tally]uint64 { return t.signatures }
func countUnsigned(t *today) map[tally]uint64   { return t.unsigned }

// counts returns the day so far.
func (t *today) counts() control.Today {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	return control.Today{
		Since:      t.since,
		Messages:   sorted(t.messages),
		Results:    sorted(t.results),
		Signatures: sorted(t.signatures),
		Unsigned:   sorted(t.unsigned),
	}
}

func sorted(counts map[tally]uint64) []control.Count {
	order := func(a, b tally) int {
		return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.result, b.result))
	}
	out := []control.Count{}
	for _, k := range slices.SortedFunc(maps.Keys(counts), order) {
		out = append(out, control.Count{Of: k.of, Result: k.result, Count: counts[k]})
	}
	return out
}
