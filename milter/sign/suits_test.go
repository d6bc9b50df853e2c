package sign

import (
	"errors"
	"strings"
	"testing"

	"mailseal/keys"
)

// TestSuits holds that a key which must not sign for a sender does not, and that the others do.
func TestSuits(t *testing.T) {
	errOther := errors.New("belongs to another customer")
	suits := func(k keys.Key, _ Query) error {
		if k.Name == "two" {
			return errOther
		}
		return nil
	}
	out, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one", "two"}, Suits: suits},
		text)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Made) != 1 || out.Made[0].String() != "s1._domainkey.one.example" {
		t.Errorf("made %v", out.Made)
	}
	if len(out.Failed) != 1 || out.Failed[0].Key != "two" ||
		!errors.Is(out.Failed[0].Err, errOther) {
		t.Errorf("failed %v", out.Failed)
	}
}

// TestExplainNamesPattern holds that an explanation names the pattern of the rule that fits.
func TestExplainNamesPattern(t *testing.T) {
	table := NewTable([]Rule{{Name: "r", From: patterns("other.example", "*@one.example"),
		Keys: []string{"one"}}})
	all := table.Explain(Query{Author: address(t, "alice@one.example")})
	if len(all) != 1 || !all[0].Signs || !strings.HasSuffix(all[0].Why, ", by *@one.example") {
		t.Errorf("got %+v", all)
	}
}
