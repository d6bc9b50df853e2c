package rotation

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
)

// rotated is a store whose keys a name server shows as they are to be shown, and a clock.
type rotated struct {
	*testing.T
	*Rotator
	store keylife.Store
	now   time.Time
	zone  *dnstest.Zone
}

const (
	day     = 24 * time.Hour
	overlap = 14 * day
)

func newRotated(t *testing.T, dir string) *rotated {
	t.Helper()
	r := &rotated{T: t, store: keylife.Store{Dir: dir}, now: time.Date(2026, 1, 1, 0, 0, 0, 0,
		time.UTC), zone: &dnstest.Zone{}}
	r.Rotator = New(Options{
		Store:      r.store,
		Policy:     keylife.Policy{Every: 30 * day, Publish: 2 * day, Overlap: overlap},
		Algorithms: []string{"ed25519"},
		Selector:   "{date}{alg}",
		Panel:      &keydns.Panel{Servers: []keydns.Server{{Name: "ns", Resolver: r.zone}}},
		Now:        func() time.Time { return r.now },
	})
	if _, err := r.Generate("example.com", nil, ""); err != nil {
		t.Fatal(err)
	}
	return r
}

// publish shows what is wanted.
func (r *rotated) publish() {
	r.Helper()
	records, _, err := r.Wanted(r.Context(), nil)
	if err != nil {
		r.Fatal(err)
	}
	shown := map[string][]string{"example.com": nil}
	for _, record := range records {
		shown[record.Name] = []string{record.Text}
	}
	r.zone.Replace(dnstest.FromMap(shown))
}

func (r *rotated) stages() map[string]keys.Stage {
	r.Helper()
	state, err := r.store.Read()
	if err != nil {
		r.Fatal(err)
	}
	out := map[string]keys.Stage{}
	for _, k := range state.Keys {
		out[k.Name()] = k.Stage
		if _, err := r.store.Load(k); err != nil && k.Stage != keys.Removed {
			r.Errorf("%s is %s: %v", k.Name(), k.Stage, err)
		}
	}
	return out
}

// TestFullStateDirectory has every kind of step run out of space, at each of its writes. The error
// says so, the state and the keys are as before, the keys that sign go on, and with space again the
// step is made.
func TestFullStateDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a file system of its own: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	state := filepath.Join(dir, "state")
	r := newRotated(t, state)
	source, err := keylife.NewSource(r.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	// days: generated, published, active, a second generation, retiring, revoked, removed
	for range 80 {
		r.publish()
		for leave := range 4 { // pages for what is written
			before := r.stages()
			fill(t, filepath.Join(dir, "fill"), leave)
			_, err := r.Rotate(t.Context(), nil)
			_ = source.FallBack(map[string]string{"a": "b"}, r.now) // as a pass of the watch might
			if err := os.Remove(filepath.Join(dir, "fill")); err != nil {
				t.Fatal(err)
			}
			after := r.stages()
			switch {
			case err == nil:
			case !errors.Is(err, syscall.ENOSPC):
				t.Fatalf("got %v, want no space", err)
			case !maps.Equal(before, after):
				t.Fatalf("no space, and the stages went from %v to %v", before, after)
			default:
				refused++
			}
			if left := leftovers(state); len(left) > 0 {
				t.Fatalf("left behind: %v", left)
			}
		}
		if _, err := r.Rotate(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(day)
	}
	stages := slices.Collect(maps.Values(r.stages()))
	if refused < 80 || !slices.Contains(stages, keys.Removed) ||
		!slices.Contains(stages, keys.Active) {
		t.Errorf("refused %d times; the keys are %v", refused, stages)
	}
}

// fill takes all space but for some pages.
func fill(t *testing.T, path string, leave int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	size := 0
	for err == nil {
		var n int
		n, err = f.Write(page)
		size += n
	}
	if err := f.Truncate(int64(max(0, size-leave*len(page)))); err != nil {
		t.Fatal(err)
	}
}

// leftovers are files that a write has left behind.
func leftovers(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		if strings.Contains(path, ".new-") {
			out = append(out, path)
		}
		return nil
	})
	return out
}

// TestClocksThatMove has the clock jump back and forth between rotations. Whatever it says, exactly
// one key signs, and the name server shows it; a clock that is slow causes no early step.
func TestClocksThatMove(t *testing.T) {
	r := newRotated(t, t.TempDir())
	run := func(days int) {
		t.Helper()
		for range days {
			r.publish()
			if _, err := r.Rotate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			r.publish()
			r.oneSigns()
			r.now = r.now.Add(day)
		}
	}
	r.publish()
	for range 4 { // until the first key signs
		if _, err := r.Rotate(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(day)
	}
	run(40)
	for _, jump := range []time.Duration{-365 * day, 365 * day, -day, day, -30 * day, 30 * day,
		-time.Hour} {
		for range 2 { // what the name server alone decides, whatever the time, is done before
			r.publish()
			if _, err := r.Rotate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		before, count := r.stages(), len(r.stages())
		r.now = r.now.Add(jump)
		run(1)
		if after := r.stages(); jump < 0 && !maps.Equal(before, after) {
			t.Errorf("the clock went back by %v, and the stages from %v to %v", -jump, before,
				after)
		}
		if n := len(r.stages()); n > count+1 {
			t.Errorf("the clock jumped by %v, and %d keys were made", jump, n-count)
		}
		r.now = r.now.Add(-day)
	}
	r.now = r.now.Add(30 * 365 * day) // for good
	run(80)
	removed := 0
	for _, stage := range r.stages() {
		if stage == keys.Removed {
			removed++
		}
	}
	if removed < 2 {
		t.Errorf("the clock runs on, and keys do not: %v", r.stages())
	}
}

// oneSigns wants one active key, which is published.
func (r *rotated) oneSigns() {
	r.Helper()
	state, err := r.store.Read()
	if err != nil {
		r.Fatal(err)
	}
	active := state.Of("example.com", keys.Active)
	if len(active) != 1 {
		r.Fatalf("%s: %d keys sign: %v", r.now, len(active), r.stages())
	}
	if seen := r.Look(r.Context(), []keylife.Key{*active[0]}); seen[0].Sight != keys.SightKey {
		r.Fatalf("%s: %s signs, and the name server shows %s", r.now, active[0].Name(),
			seen[0].Sight)
	}
}
