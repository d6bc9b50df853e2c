package daemon

import (
	"errors"
	"testing"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// TestFirstKeys holds that mail goes unsigned before the first key signs, that the daemon has it
// sign as soon as all name servers show it, and that mail is deferred whenever the domain has none
// later.
func TestFirstKeys(t *testing.T) {
	r := newRotation(t, `watch = "0s"`)
	p := r.daemon.parts.Load()
	choose := func(first config.FirstKey) error {
		cfg := *p.Config
		cfg.Sign[0].FirstKey = first
		parts := &assembly.Parts{Config: &cfg, Managed: p.Managed, Table: p.Table}
		signer, err := parts.Signer()
		if err != nil {
			t.Fatal(err)
		}
		q := sign.Query{Author: message.Address{Local: "a", Domain: "example.com"}}
		_, _, err = signer.Look(t.Context(), signer.Match(q), q)
		return err
	}
	expect := func(when string, first config.FirstKey, want error) {
		t.Helper()
		p.Managed.Look()
		if err := choose(first); !errors.Is(err, want) {
			t.Errorf("%s, %s: got %v, want %v", when, first, err, want)
		}
	}
	expect("no key", config.FirstKeyUnsigned, sign.ErrFirstKey)
	expect("no key", config.FirstKeyDefer, sign.ErrUnsigned)
	events, err := r.rotator.Generate("example.com", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r.follow(events)
	if err := r.daemon.beginKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("not published", config.FirstKeyUnsigned, sign.ErrFirstKey)
	for range lag + 1 {
		r.publish()
	}
	if err := r.daemon.beginKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("published", config.FirstKeyUnsigned, nil)
	if got := r.state().Of("example.com", keys.Active); len(got) != 2 {
		t.Errorf("got %d active keys, want both", len(got))
	}
	if err := r.store.Update(func(
		s *keylife.State) error {
		s.Keys = nil
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	expect("all is lost", config.FirstKeyUnsigned, sign.ErrUnsigned)
}
