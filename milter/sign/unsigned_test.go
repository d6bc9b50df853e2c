package sign

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mailseal/keys"
)

// TestFirstKeyIsReported holds that of several rules that sign nothing the one whose first key has
// never signed is the reason, whatever comes after it: it is what the operator waits for.
func TestFirstKeyIsReported(t *testing.T) {
	choose := func(err error) Rule {
		return Rule{From: patterns("*"), Choose: func(context.Context, Query) ([]keys.Key,
			error) {
			return nil, err
		}}
	}
	waits, none := choose(fmt.Errorf("managed: %w", ErrFirstKey)), choose(nil)
	for name, rules := range map[string][]Rule{"first": {waits, none}, "last": {none, waits}} {
		_, _, err := signedBy(t, NewTableOfAll(rules), text)
		if !errors.Is(err, ErrFirstKey) || !errors.Is(err, ErrNoRule) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFirstKey)
		}
	}
}

// TestHeldWhateverCase holds that a key whose selector is written in capitals is not used again
// for a message that has its signature: the DNS has no case.
func TestHeldWhateverCase(t *testing.T) {
	first, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one"}}, text)
	if err != nil {
		t.Fatal(err)
	}
	loud := newRing(t)["one"]
	loud.Selector, loud.Domain = "S1", "One.Example"
	rule := Rule{
		From: patterns("*"), SkipIfSigned: true,
		Choose: func(context.Context, Query) ([]keys.Key, error) { return []keys.Key{loud}, nil },
	}
	out, _, err := signed(t, rule, string(first.Fields[0].Raw())+"\r\n"+text)
	if err != nil || len(out.Held) != 1 || len(out.Made) != 0 {
		t.Errorf("held %v, made %v, %v", out.Held, out.Made, err)
	}
}
