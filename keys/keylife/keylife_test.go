package keylife_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/keylife"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// generated returns a store with one Ed25519 key for each selector.
func generated(t *testing.T, selectors ...string) keylife.Store {
	t.Helper()
	s := keylife.Store{Dir: filepath.Join(t.TempDir(), "state")}
	err := s.Update(func(state *keylife.State) error {
		for _, sel := range selectors {
			if _, err := s.Generate(state, "example.com", sel, keys.Ed25519, 0, start); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// move makes a step of a key by force.
func move(t *testing.T, s keylife.Store, selector string, to keys.Stage) {
	t.Helper()
	err := s.Update(func(state *keylife.State) error {
		k := state.Find(selector + "._domainkey.example.com")
		return state.Move(k, to, keylife.View{Now: start,
			Sights: map[string]keys.Sight{k.Name(): keys.SightKey}}, "test")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRotate(t *testing.T) {
	s := generated(t, "a")
	state, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	a := "a._domainkey.example.com"
	b := "b._domainkey.example.com"
	before := keylife.Key{Domain: "example.com", Selector: "before", Algorithm: keys.Ed25519,
		Stage: keys.Removed, History: []keylife.Step{{To: keys.Active}}}
	state.Keys = append(state.Keys, before) // a is not the domain's first
	v := keylife.View{Policy: keylife.Policy{Every: 90 * day, Publish: 2 * day, Overlap: 14 * day},
		Sights: map[string]keys.Sight{}}
	// One line is one run: the day, what the DNS shows, what is said, and the stages afterwards.
	for _, run := range []struct {
		day    int
		a, b   keys.Sight
		says   string
		due    bool
		stages string // of a and b
	}{
		{0, keys.SightNothing, "", "until all name servers show its record", false, "generated"},
		{1, keys.SightUnknown, "", "until all name servers show its record", false, "generated"},
		{1, keys.SightKey, "", "published", false, "published"},
		{2, keys.SightOther, "", "show its record again", false, "generated"},
		{3, keys.SightKey, "", "published", false, "published"},
		{4, keys.SightKey, "", "published since 2026-01-04", false, "published"},
		{5, keys.SightUnknown, "", "not every name server answered", false, "published"},
		{5, keys.SightKey, "", "active", false, "active"},
		{92, keys.SightKey, "", "", false, "active"},
		{93, keys.SightKey, "", "", true, "active"}, // the caller makes b
		{94, keys.SightKey, keys.SightNothing, "show its record", false, "active generated"},
		{95, keys.SightKey, keys.SightKey, "published", false, "active published"},
		{97, keys.SightKey, keys.SightKey, "active", false, "retiring active"},
		{100, keys.SightKey, keys.SightKey, "it has not signed since", false, "retiring active"},
		{111, keys.SightKey, keys.SightNothing, "until its successor is published and signs", false, "retiring active"},
		{112, keys.SightKey, keys.SightKey, "show its record with the empty p=", false, "retiring active"},
		{113, keys.SightRevoked, keys.SightKey, "revoked", false, "revoked active"},
		{114, keys.SightRevoked, keys.SightKey, "deleted from the DNS", false, "revoked active"},
		{115, keys.SightNothing, keys.SightKey, "removed", false, "removed active"},
	} {
		v.Now, v.Sights = start.Add(time.Duration(run.day)*day),
			map[string]keys.Sight{a: run.a, b: run.b}
		events, due := state.Rotate("example.com", v)
		said := ""
		for _, e := range events {
			said += e.Name + " " + string(e.Step) + " " + e.Waits + "\n"
		}
		stages := string(state.Find(a).Stage)
		if k := state.Find(b); k != nil {
			stages += " " + string(k.Stage)
		}
		if !strings.Contains(said, run.says) || due != run.due || stages != run.stages ||
			run.says == "" && said != "" {
			t.Fatalf("day %d: got %q, due %v, %q; want %+v", run.day, said, due, stages, run)
		}
		if due {
			if _, err := s.Generate(state, "example.com", "b", keys.Ed25519, 0, v.Now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRotateFirst holds that a domain's first key signs as soon as the DNS shows it, but for what
// resolvers may remember of another record at its name.
func TestRotateFirst(t *testing.T) {
	const a = "a._domainkey.example.com"
	signed := keylife.Key{Domain: "example.com", Selector: "b", Algorithm: keys.Ed25519,
		Stage: keys.Removed, History: []keylife.Step{{To: keys.Active}}}
	another := signed
	another.Algorithm = keys.RSA
	elsewhere := signed
	elsewhere.Domain = "example.net"
	vendor := signed
	vendor.Vendor = true
	for _, tt := range []struct {
		name   string
		with   []keylife.Key
		others time.Duration // how long another record that was seen an hour ago is remembered
		want   keys.Stage
		says   string
	}{
		{"the first", nil, 0, keys.Active, "active"},
		{"the first of its algorithm", []keylife.Key{another}, 0, keys.Active, "active"},
		{"the first of its domain", []keylife.Key{elsewhere}, 0, keys.Active, "active"},
		{"the first beside a vendor's", []keylife.Key{vendor}, 0, keys.Active, "active"},
		{"not the first", []keylife.Key{signed}, 0, keys.Published, "published"},
		{"another record is forgotten", nil, time.Hour, keys.Active, "active"},
		{"another record is remembered", nil, time.Hour + time.Second, keys.Published,
			"another record was at this name, and resolvers may still have it cached; wait until 2026-01-01 01:00 UTC"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, err := generated(t, "a").Read()
			if err != nil {
				t.Fatal(err)
			}
			state.Keys = append(tt.with, state.Keys...)
			v := keylife.View{Policy: keylife.Policy{Publish: 2 * day}, Now: start,
				Sights: map[string]keys.Sight{a: keys.SightOther}}
			if tt.others > 0 {
				v.Others = map[string]time.Time{a: start.Add(tt.others)}
			}
			state.Observe(v)
			v = keylife.View{Policy: v.Policy, Now: start.Add(time.Hour),
				Sights: map[string]keys.Sight{a: keys.SightKey}}
			events, _ := state.Rotate("example.com", v)
			said := ""
			for _, e := range events {
				said += string(e.Step) + " " + e.Waits + "\n"
			}
			if got := state.Find(a).Stage; got != tt.want || !strings.Contains(said, tt.says) {
				t.Errorf("it is %s, want %s: %s", got, tt.want, said)
			}
		})
	}
}

func TestRotateSays(t *testing.T) {
	s := generated(t, "a")
	state, _ := s.Read()
	if err := state.Add(keylife.Key{Domain: "example.net", Selector: "v", Vendor: true},
		start); err != nil {
		t.Fatal(err)
	}
	a, vendor := "a._domainkey.example.com", "v._domainkey.example.net"
	v := keylife.View{Now: start, Sights: map[string]keys.Sight{a: keys.SightOther,
		vendor: keys.SightKey}, Shown: map[string]string{a: "ns2: no record"}}
	events, _ := state.Rotate("example.com", v)
	if len(events) != 1 || events[0].Waits != "until all name servers show its record (ns2: no record)" {
		t.Errorf("one server lags: %+v", events)
	}
	state.Rotate("example.net", v)
	events, _ = state.Rotate("example.net", v)
	if len(events) != 1 || !strings.Contains(events[0].Note,
		"a vendor's key, published; Mailseal only") || events[0].Waits != "" {
		t.Errorf("a vendor's: %+v", events)
	}
	k := state.Find(a)
	k.Stage, k.Since = keys.Active, start
	for every, want := range map[time.Duration]string{0: "no new keys are made",
		90 * day: "made on 2026-04-01"} {
		v.Policy = keylife.Policy{Every: every}
		if got := state.Plan("example.com", v); !strings.Contains(got, want) {
			t.Errorf("every %s: %q, want %q", every, got, want)
		}
	}
	if got := state.Plan("example.net", v); got != "nothing is due" {
		t.Errorf("a vendor's only: %q", got)
	}
}

// An Ed25519 key does not begin to sign before its RSA companion, which everybody can verify; but
// it does where there is none, and by hand.
func TestRotateTogether(t *testing.T) {
	for _, tc := range []struct {
		name string
		rsa  keys.Stage // "": there is none
		want keys.Stage
	}{
		{"the other waits for its record", keys.Generated, keys.Published},
		{"the other is published, too", keys.Published, keys.Active},
		{"the other signs", keys.Active, keys.Active},
		{"the other is removed", keys.Removed, keys.Active},
		{"there is no other", "", keys.Active},
	} {
		state := &keylife.State{Keys: []keylife.Key{{Domain: "example.com", Selector: "e",
			Algorithm: keys.Ed25519, Stage: keys.Published, Since: start}}}
		v := keylife.View{Now: start,
			Sights: map[string]keys.Sight{"e._domainkey.example.com": keys.SightKey}}
		if tc.rsa != "" {
			state.Keys = append([]keylife.Key{{Domain: "example.com", Selector: "r",
				Algorithm: keys.RSA, Stage: tc.rsa, Since: start}}, state.Keys...)
			v.Sights["r._domainkey.example.com"] = keys.SightKey
			if tc.rsa == keys.Generated {
				v.Sights["r._domainkey.example.com"] = keys.SightNothing
			}
		}
		events, _ := state.Rotate("example.com", v)
		e := state.Find("e._domainkey.example.com")
		if e.Stage != tc.want {
			t.Errorf("%s: it is %s, want %s: %+v", tc.name, e.Stage, tc.want, events)
		}
		if err := state.Move(e, keys.Active, v, ""); tc.want == keys.Published && err != nil {
			t.Errorf("%s: by hand: %v", tc.name, err)
		}
	}
}

func TestMoveForced(t *testing.T) {
	s := generated(t, "a")
	err := s.Update(func(state *keylife.State) error {
		k := state.Find("a._domainkey.example.com")
		v := keylife.View{Now: start}
		if err := state.Move(k, keys.Published, v, ""); !errors.Is(err, keys.ErrSilent) {
			t.Errorf("got %v", err)
		}
		if err := state.Move(k, keys.Active, v, "I know better"); !errors.Is(err, keys.ErrStep) ||
			k.Stage != keys.Generated {
			t.Errorf("a step that there is not: got %v, %s", err, k.Stage)
		}
		return state.Move(k, keys.Published, v, "I see it")
	})
	if err != nil {
		t.Fatal(err)
	}
	state, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	last := state.Keys[0].History[1]
	if state.Keys[0].Stage != keys.Published || last.Forced != "I see it" ||
		!strings.Contains(last.Over, "not every name server answered") {
		t.Errorf("got %+v", state.Keys[0])
	}
}

func TestRecord(t *testing.T) {
	state, _ := generated(t, "a").Read()
	k := state.Keys[0]
	if got := k.Record(); got.Name != "a._domainkey.example.com" || !strings.HasPrefix(got.Text,
		"v=DKIM1; k=ed25519; p=") || len(got.Text) < 60 {
		t.Errorf("got %+v", got)
	}
	if got := k.RevokedRecord().Text; got != "v=DKIM1; k=ed25519; p=" {
		t.Errorf("revoked: got %q", got)
	}
}

func TestStore(t *testing.T) {
	s := generated(t, "a")
	var wait sync.WaitGroup
	for i := range 8 { // none of them may undo another's work
		wait.Go(func() {
			err := s.Update(func(state *keylife.State) error {
				_, err := s.Generate(state, "example.org", string(rune('a'+i)), keys.Ed25519, 0,
					start)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	state, err := s.Read()
	if err != nil || len(state.Keys) != 9 {
		t.Fatalf("got %d keys, %v", len(state.Keys), err)
	}
	if err := s.Update(func(state *keylife.State) error {
		state.Keys = nil
		return errors.New("no")
	}); err == nil {
		t.Error("no error")
	}
	if again, _ := s.Read(); len(again.Keys) != 9 {
		t.Errorf("a failed change was kept")
	}
	if err := state.Add(keylife.Key{Domain: "example.com", Selector: "a"}, start); err == nil {
		t.Error("a selector was used twice")
	}
	for _, path := range []string{"keys.json", "keys/example.com/a.pem"} {
		if info, err := os.Stat(filepath.Join(s.Dir, path)); err != nil ||
			info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "*new*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStoreRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":         "{",
		"a later version":  `{"version": 2, "keys": []}`,
		"unknown settings": `{"version": 1, "keys": [], "more": 1}`,
		"a way out":        `{"version": 1, "keys": [{"domain": "../../..", "selector": "etc"}]}`,
	} {
		s := keylife.Store{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(s.Dir, "keys.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := s.Update(func(*keylife.State) error { return nil }); err == nil {
			t.Errorf("%s: overwritten", name)
		}
	}
}

// Someone's key that stands where a new one would is not touched, and what a killed process has
// left is swept away.
func TestGenerateBesideFiles(t *testing.T) {
	s := generated(t, "a")
	theirs, left := filepath.Join(s.Dir, "keys/example.com/mail.pem"),
		filepath.Join(s.Dir, "keys/example.com/b.pem.new-17")
	half := filepath.Join(s.Dir, "keys.json.new-42")
	for _, path := range []string{theirs, left, half} {
		if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	generate := func(selector string) error {
		return s.Update(func(state *keylife.State) error {
			if want := selector != "b"; s.Taken(state, "example.com", selector) != want {
				t.Errorf("%s: taken is %v", selector, !want)
			}
			_, err := s.Generate(state, "example.com", selector, keys.Ed25519, 0, start)
			return err
		})
	}
	if err := generate("mail"); err == nil ||
		!strings.Contains(err.Error(), "mail.pem already exists") {
		t.Errorf("over somebody's key: %v", err)
	}
	if err := generate("a"); err == nil ||
		!strings.Contains(err.Error(), "a selector is used only once") {
		t.Errorf("twice: %v", err)
	}
	if err := generate("b"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(theirs); string(text) != "theirs" {
		t.Errorf("their key is now %q, %v", text, err)
	}
	for _, path := range []string{left, half} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// A key of which the state knows nothing is taken back; one that it knows is not, nor is another's.
func TestDiscard(t *testing.T) {
	s := generated(t, "known")
	state, _ := s.Read()
	var lost keylife.Key
	_ = s.Update(func(state *keylife.State) error {
		k, err := s.Generate(state, "example.com", "lost", keys.Ed25519, 0, start)
		if err != nil {
			t.Fatal(err)
		}
		lost = *k
		return errors.New("no space left")
	})
	other := lost
	other.Fingerprint = "sha256:another"
	path := filepath.Join(s.Dir, "keys/example.com/lost.pem")
	for _, k := range []keylife.Key{state.Keys[0], other} {
		if err := s.Discard(k); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("another's key was taken back")
	}
	if _, err := s.Load(state.Keys[0]); err != nil {
		t.Errorf("a key that is known was taken back: %v", err)
	}
	if err := s.Discard(lost); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the key is still there")
	}
}

func TestDestroy(t *testing.T) {
	s := generated(t, "a")
	state, _ := s.Read()
	path := filepath.Join(s.Dir, "keys/example.com/a.pem")
	if err := s.Destroy(state.Keys[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("a key that is needed was destroyed")
	}
	state.Keys[0].Stage = keys.Removed
	for range 2 {
		if err := s.Destroy(state.Keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is still there")
	}
}

func TestSource(t *testing.T) {
	s := generated(t, "a", "b")
	var told []error
	source, err := keylife.NewSource(s, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, selectors ...string) {
		t.Helper()
		have, err := source.Keys("example.com")
		if len(have) != len(selectors) || (err != nil) != (len(selectors) == 0) {
			t.Fatalf("%s: got %v, %v; want %v", what, have, err, selectors)
		}
		for i := range have {
			if have[i].Selector != selectors[i] || have[i].Signer == nil {
				t.Errorf("%s: got %v, want %v", what, have, selectors)
			}
		}
	}
	want("none is active")
	if _, err := source.Keys("example.com"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	move(t, s, "a", keys.Published)
	move(t, s, "a", keys.Active)
	source.Look()
	want("a is active", "a")
	move(t, s, "b", keys.Published)
	move(t, s, "b", keys.Active)
	source.Look()
	want("b is active", "b")
	fallBack := func(names map[string]string) {
		t.Helper()
		if err := source.FallBack(names, start); err != nil {
			t.Fatal(err)
		}
	}
	fallBack(map[string]string{"b._domainkey.example.com": "a._domainkey.example.com"})
	want("a in place of b", "a")
	first := source
	if source, err = keylife.NewSource(s, nil); err != nil {
		t.Fatal(err)
	}
	want("b, as nothing is remembered yet", "b")
	if err := source.Restore(); err != nil {
		t.Fatal(err)
	}
	want("a in place of b, after a restart", "a")
	source = first
	fallBack(nil)
	want("b again", "b")
	if f, err := s.ReadFallBack(); err != nil || len(f.Signs) != 0 ||
		!f.Until["a._domainkey.example.com"].Equal(start) {
		t.Errorf("remembered: %+v, %v", f, err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "keys.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	source.Look()
	source.Look()
	want("a broken file changes nothing", "b")
	if len(told) != 1 {
		t.Errorf("told %v", told)
	}
}

// A key that signed in place of its successor retires again: its mail is on its way.
func TestOverlapAfterFallBack(t *testing.T) {
	s := generated(t, "a", "b")
	for _, selector := range []string{"a", "b"} {
		move(t, s, selector, keys.Published)
		move(t, s, selector, keys.Active)
	}
	state, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	a, b := "a._domainkey.example.com", "b._domainkey.example.com"
	k := state.Find(a)
	v := keylife.View{Policy: keylife.Policy{Overlap: 14 * 24 * time.Hour},
		Sights: map[string]keys.Sight{a: keys.SightKey, b: keys.SightKey}}
	for _, tc := range []struct {
		name        string
		now, signed time.Duration // after a retired
		want        string
	}{
		{"it retires", 0, 0, "the key"},
		{"mail is on its way", 14*24*time.Hour - 1, 0, "the key"},
		{"no more", 14 * 24 * time.Hour, 0, "p="},
		{"it signed again", 14 * 24 * time.Hour, 24 * time.Hour, "the key"},
		{"that is over", 15 * 24 * time.Hour, 24 * time.Hour, "p="},
		{"a clock that was set back", -1000 * time.Hour, 0, "the key"},
	} {
		v.Now = k.Since.Add(tc.now)
		v.Until = map[string]time.Time{a: k.Since.Add(tc.signed)}
		record, isWanted := state.Wanted(k, v)
		_, p, _ := strings.Cut(record.Text, "p=")
		if !isWanted || (p == "") != (tc.want == "p=") {
			t.Errorf("%s: wanted %v, %q; want %s", tc.name, isWanted, record.Text, tc.want)
		}
		events, _ := state.Rotate("example.com", v)
		if isRevoked := len(events) > 0 &&
			events[0].Publish != nil; isRevoked != (tc.want == "p=") {
			t.Errorf("%s: rotate waits for %+v, and list shows %q", tc.name, events, record.Text)
		}
	}
}

func TestLoadFindsAnotherKey(t *testing.T) {
	s := generated(t, "a", "b")
	state, _ := s.Read()
	if err := os.Rename(filepath.Join(s.Dir, "keys/example.com/b.pem"),
		filepath.Join(s.Dir, "keys/example.com/a.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(state.Keys[0]); err == nil ||
		!strings.Contains(err.Error(), state.Keys[0].Fingerprint) {
		t.Errorf("got %v", err)
	}
}

// TestSourceGone wants the keys to sign on when the state file has disappeared, and to be told of
// it once; and no keys when that is meant.
func TestSourceGone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		remove func(s keylife.Store) error
		isGone bool
	}{
		{"removed", func(s keylife.Store) error { return os.Remove(filepath.Join(s.Dir, "keys.json")) }, true},
		{"the whole directory", func(s keylife.Store) error { return os.Rename(s.Dir, s.Dir+".away") }, true},
		{"a link to nothing", func(s keylife.Store) error {
			path := filepath.Join(s.Dir, "keys.json")
			return errors.Join(os.Remove(path), os.Symlink("none", path))
		}, true},
		{"truncated", func(s keylife.Store) error { return os.Truncate(filepath.Join(s.Dir, "keys.json"), 0) }, false},
		{"a directory", func(s keylife.Store) error {
			path := filepath.Join(s.Dir, "keys.json")
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := generated(t, "a")
			move(t, s, "a", keys.Published)
			move(t, s, "a", keys.Active)
			var told []error
			source, err := keylife.NewSource(s, func(err error) { told = append(told, err) })
			if err != nil {
				t.Fatal(err)
			}
			if found, err := source.Keys("example.com"); err != nil || len(found) != 1 {
				t.Fatalf("before: %v, %v", found, err)
			}
			if err := tt.remove(s); err != nil {
				t.Fatal(err)
			}
			source.Look()
			source.Look()
			if found, err := source.Keys("example.com"); err != nil || len(found) != 1 ||
				len(told) != 1 {
				t.Errorf("signs with %v, %v; told %v", found, err, told)
			}
			if err := source.Reload(); err == nil || errors.Is(err, keylife.ErrGone) != tt.isGone {
				t.Errorf("reload: %v", err)
			}
			if !tt.isGone {
				return
			}
			if err := source.AcceptGone(); err != nil {
				t.Error(err)
			}
			if found, err := source.Keys("example.com"); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("accepted: %v, %v", found, err)
			}
		})
	}
}
