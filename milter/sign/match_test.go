package sign

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
)

func TestMatchAll(t *testing.T) {
	table := NewTableOfAll(ruleSet)
	for _, tc := range []struct{ author, daemon, want string }{
		{"boss@example.com", "", "address domain late"},
		{"boss@example.com", "CATCH", "address domain all late"},
		{"root@example.com", "", "user domain"},
		{"info-bounces@lists.example", "", "bounces info lists"},
		{"nobody@elsewhere.example", "", ""},
	} {
		q := Query{Author: address(t, tc.author), DaemonName: tc.daemon}
		var names, explained []string
		for _, r := range table.Match(q) {
			names = append(names, r.Name)
		}
		for _, c := range table.Explain(q) {
			if c.Signs {
				explained = append(explained, c.Rule.Name)
			}
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s (daemon %q): rules %q, want %q", tc.author, tc.daemon, got, tc.want)
		}
		if !slices.Equal(explained, names) {
			t.Errorf("%s (daemon %q): Explain says %q, Match %q", tc.author, tc.daemon, explained,
				names)
		}
	}
}

// away and none are sources that choose no key.
func away(context.Context, Query) ([]keys.Key, error) { return nil, errBroken }

func none(context.Context, Query) ([]keys.Key, error) { return nil, nil }

// TestSignAll holds the treatment of a message that several rules sign, some of whose keys are
// broken.
func TestSignAll(t *testing.T) {
	key := func(name string, on action.OnKeyError) Rule {
		return Rule{Keys: []string{name}, OnKeyError: on}
	}
	tagged := func(i string) Rule {
		return Rule{Keys: []string{"one"}, Options: dkim.SignOptions{Identifier: i}}
	}
	for _, tc := range []struct {
		name   string
		rules  []Rule
		made   string // selectors
		failed string
		want   error
		on     action.OnKeyError
	}{
		{"all keys, in the order of the rules", []Rule{key("two", action.KeySkip),
			key("one", action.KeySkip)}, "s2 s1", "", nil, 0},
		{"a key of two rules signs once", []Rule{key("one", action.KeySkip),
			{Keys: []string{"two", "one"}}}, "s1 s2", "", nil, 0},
		{"another d= is another signature", []Rule{key("one", action.KeySkip),
			{Keys: []string{"one"}, Domain: "parent.example"}}, "s1 s1", "", nil, 0},
		{"so is another i=", []Rule{tagged("@one.example"), tagged("a@one.example"),
			tagged("@one.example")}, "s1 s1", "", nil, 0},
		{"but not one that is left out", []Rule{tagged("@elsewhere.example"), tagged("")}, "s1", "", nil, 0},
		{"one broken: the other signs", []Rule{key("broken", action.KeySkip),
			key("one", action.KeySkip)}, "s1", "broken", nil, action.KeyAccept},
		{"one broken, whose rule lets mail go: the other signs",
			[]Rule{key("broken", action.KeyAccept), key("one", action.KeySkip)}, "s1", "broken",
			nil, action.KeyAccept},
		{"one broken, whose rule defers", []Rule{key("broken", action.KeyTempfail),
			key("one", action.KeySkip)}, "s1", "broken", ErrUnsigned, action.KeyTempfail},
		{"one broken, whose rule rejects", []Rule{key("one", action.KeyTempfail),
			key("broken", action.KeyReject)}, "s1", "broken", ErrUnsigned, action.KeyReject},
		{"strictness of a rule whose keys work does not count", []Rule{key("one", action.KeyReject),
			key("broken", action.KeySkip)}, "s1", "broken", nil, action.KeyAccept},
		{"none left: defer", []Rule{key("broken", action.KeyAccept), key("nowhere",
			action.KeySkip)}, "", "broken nowhere", ErrUnsigned, action.KeyTempfail},
		{"none left, reject and defer: defer", []Rule{key("broken", action.KeyReject),
			key("nowhere", action.KeyTempfail)}, "", "broken nowhere", ErrUnsigned,
			action.KeyTempfail},
		{"none left, defer and reject: defer", []Rule{key("broken", action.KeyTempfail),
			key("nowhere", action.KeyReject)}, "", "broken nowhere", ErrUnsigned,
			action.KeyTempfail},
		{"another key at the same place is another signature", []Rule{key("one", action.KeySkip),
			key("twin", action.KeySkip)}, "s1 s1", "", nil, 0},
		{"none left, all let mail go", []Rule{key("broken", action.KeyAccept), key("nowhere",
			action.KeyAccept)}, "", "broken nowhere", ErrUnsigned, action.KeyAccept},
		{"a broken key of two rules is one failure", []Rule{key("broken", action.KeySkip),
			key("broken", action.KeySkip), key("one", action.KeySkip)}, "s1", "broken", nil,
			action.KeyAccept},
		{"a source that is away, and a key", []Rule{{Name: "sign[0]", Choose: away},
			key("one", action.KeySkip)}, "s1", "sign[0]", nil, action.KeyAccept},
		{"a source that is away, whose rule defers",
			[]Rule{{Choose: away, OnKeyError: action.KeyTempfail}, key("one", action.KeySkip)},
			"s1", "", ErrUnsigned, action.KeyTempfail},
		{"a source that knows no key, and a key", []Rule{{Choose: none}, key("one", action.KeySkip)}, "s1", "", nil, 0},
		{"a source that knows no key, and a broken one", []Rule{{Choose: none},
			key("broken", action.KeySkip)}, "", "broken", ErrUnsigned, action.KeyTempfail},
		{"sources that know no key", []Rule{{Choose: none}, {Choose: none}}, "", "", ErrNoRule, 0},
	} {
		for i := range tc.rules {
			tc.rules[i].From = patterns("*")
		}
		out, _, err := signedBy(t, NewTableOfAll(tc.rules), text)
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
		var made, failed []string
		for _, s := range out.Made {
			made = append(made, s.Selector)
		}
		for _, f := range out.Failed {
			failed = append(failed, f.Key)
		}
		if got := strings.Join(made, " "); got != tc.made || len(out.Fields) != len(out.Made) {
			t.Errorf("%s: made %q (%d fields), want %q", tc.name, got, len(out.Fields), tc.made)
		}
		if got := strings.Join(failed, " "); got != tc.failed {
			t.Errorf("%s: failed %q, want %q", tc.name, got, tc.failed)
		}
		if out.OnKeyError != tc.on {
			t.Errorf("%s: on a key's error %v, want %v", tc.name, out.OnKeyError, tc.on)
		}
	}
}

// TestSignAllVerify holds that each rule signs with options of its own, and that all signatures
// verify.
func TestSignAllVerify(t *testing.T) {
	rules := []Rule{
		{Keys: []string{"one"}, Options: dkim.SignOptions{SimpleBody: true, SimpleHeader: true}},
		{Keys: []string{"two"}},
		{Keys: []string{"one"}, Domain: "parent.example", Options: dkim.SignOptions{SimpleBody: true}},
	}
	for i := range rules {
		rules[i].From = patterns("*")
	}
	out, m, err := signedBy(t, NewTableOfAll(rules), text)
	if err != nil {
		t.Fatal(err)
	}
	wantVerified(t, out, m, 3)
}

// TestOldSignaturesOfAll holds that one rule which removes old signatures removes them for all:
// none of the keys may be held back for a signature that goes.
func TestOldSignaturesOfAll(t *testing.T) {
	one, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one"}}, text)
	if err != nil {
		t.Fatal(err)
	}
	again := string(one.Fields[0].Raw()) + "\r\n" + text
	skips := Rule{From: patterns("*"), Keys: []string{"one"}, SkipIfSigned: true}
	for _, tc := range []struct {
		name               string
		other              Rule
		made, held, remove int
	}{
		{"the other signs as well", Rule{Keys: []string{"two"}}, 1, 1, 0},
		{"the other removes", Rule{Keys: []string{"two"}, RemoveOld: true}, 2, 0, 1},
		{"the other would remove, but does not know the sender", Rule{Choose: none, RemoveOld: true}, 0, 1, 0},
		{"the other is broken", Rule{Keys: []string{"broken"}}, 0, 1, 0},
	} {
		tc.other.From = patterns("*")
		out, _, err := signedBy(t, NewTableOfAll([]Rule{skips, tc.other}), again)
		if err != nil || len(out.Made) != tc.made || len(out.Held) != tc.held ||
			len(out.Remove) != tc.remove {
			t.Errorf("%s: made %v, held %v, remove %v, %v", tc.name, out.Made, out.Held, out.Remove,
				err)
		}
	}
}

func TestResigning(t *testing.T) {
	rules := []Rule{{Name: "ours"}, {Name: "list", Resign: true}}
	got := Match{&rules[0], &rules[1]}.Resigning()
	if len(got) != 1 || got[0].Name != "list" {
		t.Errorf("got %v, want the list's rule", got)
	}
}

// TestUnsuitableIdentifier holds that an i= tag which is not at or below d= is left out, and
// nothing is deferred for it.
func TestUnsuitableIdentifier(t *testing.T) {
	for _, tc := range []struct{ tag, domain, want string }{
		{"@%", "", "@one.example"},
		{"a@sub.%", "", "a@sub.one.example"},
		{"@%", "parent.example", "@parent.example"}, // what a missing i= means
		{"a@ONE.example", "%", "a@one.example"},
		{"a@xone.example", "", "@one.example"},
	} {
		rule := Rule{From: patterns("*"), Keys: []string{"one"}, Domain: tc.domain,
			Options: dkim.SignOptions{Identifier: tc.tag}}
		out, _, err := signed(t, rule, text)
		if err != nil || len(out.Fields) != 1 {
			t.Errorf("%s in %q: %d fields, %v", tc.tag, tc.domain, len(out.Fields), err)
			continue
		}
		s, fault := dkim.ParseSignature(out.Fields[0])
		if fault != "" || s.Identifier != tc.want {
			t.Errorf("%s in %q: i=%s %s, want i=%s", tc.tag, tc.domain, s.Identifier, fault,
				tc.want)
		}
	}
}

// TestOneLabelByName holds that root@localhost, who can have no key, is not deferred where keys are
// looked for by the author's domain, and that a key by that name signs all the same.
func TestOneLabelByName(t *testing.T) {
	const local = "From: root@localhost\r\n\r\n"
	out, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"%"}}, local)
	if !errors.Is(err, ErrNoRule) || errors.Is(err, ErrUnsigned) || len(out.Failed) != 0 {
		t.Errorf("no key: failed %v, %v", out.Failed, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"%", "one"}}, local)
	if err != nil || len(out.Made) != 1 {
		t.Errorf("another key beside it: made %v, %v", out.Made, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"%"}},
		"From: root@broken\r\n\r\n")
	if !errors.Is(err, ErrUnsigned) || len(out.Failed) != 1 {
		t.Errorf("a key by that name, which is broken: failed %v, %v", out.Failed, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"nowhere"}}, local)
	if !errors.Is(err, ErrUnsigned) || len(out.Failed) != 1 {
		t.Errorf("a key that is missing by its own name: failed %v, %v", out.Failed, err)
	}
}
