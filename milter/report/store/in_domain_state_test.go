package store

import (
	"errors"
	"testing"
)

// TestDomainStateSerials holds that who has read up to a serial is given all that is written later,
// also where what had the largest serial is dropped before.
func TestDomainStateSerials(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		if err := s.DropDomainStates(ctx, []string{"none.example"}); err != nil {
			t.Fatal(err)
		}
		if list, err := s.DomainStates(ctx, 0); err != nil || len(list) != 0 {
			t.Errorf("of an empty store: %+v, %v", list, err)
		}
		put := func(domain string) error {
			return s.KeepDomainState(ctx, DomainState{Domain: domain, Data: "{}"})
		}
		if err := errors.Join(put("a.example"), put(""), put("gone.example")); err != nil {
			t.Fatal(err)
		}
		read, err := s.DomainStates(ctx, 0)
		if err != nil || len(read) != 3 || read[2].Domain != "gone.example" {
			t.Fatalf("%+v, %v", read, err)
		}
		if err := errors.Join(s.DropDomainStates(ctx, []string{"gone.example"}),
			put("b.example")); err != nil {
			t.Fatal(err)
		}
		later, err := s.DomainStates(ctx, read[2].Serial)
		if err != nil || len(later) == 0 || later[len(later)-1].Domain != "b.example" {
			t.Errorf("what was written later: %+v, %v", later, err)
		}
		if all, err := s.DomainStates(ctx, 0); err != nil || len(all) != 3 || all[1].Data != "{}" {
			t.Errorf("the row of all lost its data: %+v, %v", all, err)
		}
	})
}
