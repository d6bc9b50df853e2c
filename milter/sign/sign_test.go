package sign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// ring is a source of keys; one whose Signer is nil cannot be loaded.
type ring map[string]keys.Key

var errBroken = errors.New("permission denied")

func (r ring) Key(_ context.Context, name string) (keys.Key, error) {
	k, ok := r[name]
	switch {
	case !ok:
		return keys.Key{}, keys.ErrNotFound
	case k.Signer == nil:
		return keys.Key{}, errBroken
	}
	return k, nil
}

// newRing has a working key for one.example and two.example, a broken one, and one whose domain is
// the author's.
func newRing(t *testing.T) ring {
	t.Helper()
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	return ring{
		"one": {Name: "one", Domain: "one.example", Selector: "s1", Signer: private},
		"twin": {Name: "twin", Domain: "one.example", Selector: "s1",
			Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))},
		"two":           {Name: "two", Domain: "one.example", Selector: "s2", Signer: private},
		"any":           {Name: "any", Domain: "%", Selector: "any", Signer: private},
		"k.one.example": {Name: "k.one.example", Domain: "one.example", Selector: "k", Signer: private},
		"broken":        {Name: "broken", Domain: "one.example", Selector: "b"},
	}
}

const text = "From: Alice <alice@one.example>\r\nTo: bob@two.example\r\nSubject: hello\r\n\r\nbody\r\n"

// at is when the tests sign: now, since the second implementation knows no other clock.
var at = time.Now()

// signed reads raw, signs it by one rule and returns what became of it.
func signed(t *testing.T, rule Rule, raw string) (Signed, *message.Message, error) {
	t.Helper()
	return signedBy(t, NewTable([]Rule{rule}), raw)
}

// signedBy reads raw, signs it by a table and returns what became of it. A rule that says nothing
// of keys that fail skips them, as the configuration's default does.
func signedBy(t *testing.T, table *Table, raw string) (Signed, *message.Message, error) {
	t.Helper()
	for i := range table.Rules() {
		if r := &table.Rules()[i]; r.OnKeyError == 0 {
			r.OnKeyError = action.KeySkip
		}
	}
	s := &Signer{Table: table, Keys: newRing(t), Now: func() time.Time { return at },
		Identifiers: map[string]string{"any": "news@%"}}
	var q Query
	var hit Match
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(h message.Header) []message.BodyHash {
			author, err := h.Author()
			if err != nil {
				t.Fatal(err)
			}
			q.Author = author
			if hit = s.Match(q); hit == nil {
				t.Fatal("no rule matches")
			}
			return hit.BodyHashes()
		})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Sign(t.Context(), hit, q, m)
	return out, m, err
}

func TestSign(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rule   Rule
		made   string
		failed string
		err    bool
	}{
		{"one key", Rule{Keys: []string{"one"}}, "s1._domainkey.one.example", "", false},
		{"two keys, in the order of the rule", Rule{Keys: []string{"two", "one"}},
			"s2._domainkey.one.example s1._domainkey.one.example", "", false},
		{"author's domain in the key's name", Rule{Keys: []string{"k.%"}}, "k._domainkey.one.example", "", false},
		{"author's domain in d=", Rule{Keys: []string{"any"}}, "any._domainkey.one.example", "", false},
		{"d= of the rule", Rule{Keys: []string{"one"}, Domain: "parent.example"},
			"s1._domainkey.parent.example", "", false},
		{"one of two broken: the other signs", Rule{Keys: []string{"broken", "one"}},
			"s1._domainkey.one.example", "broken", false},
		{"the only one broken", Rule{Keys: []string{"broken"}}, "", "broken", true},
		{"the only one missing", Rule{Keys: []string{"nowhere"}}, "", "nowhere", true},
		{"no valid on_key_error: one of two broken", Rule{Keys: []string{"broken", "one"},
			OnKeyError: 200}, "s1._domainkey.one.example", "broken", true},
		{"strict: one of two broken", Rule{Keys: []string{"broken", "one"},
			OnKeyError: action.KeyTempfail}, "s1._domainkey.one.example", "broken", true},
	} {
		tc.rule.From = patterns("*")
		out, _, err := signed(t, tc.rule, text)
		if (err != nil) != tc.err || err != nil && !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: error %v", tc.name, err)
		}
		var made, failed []string
		for _, s := range out.Made {
			made = append(made, s.String())
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
	}
}

// TestIdentifiers holds that a key's own i= comes before the rule's.
func TestIdentifiers(t *testing.T) {
	rule := Rule{From: patterns("*"), Keys: []string{"any", "one"},
		Options: dkim.SignOptions{Identifier: "@%"}}
	out, _, err := signed(t, rule, text)
	if err != nil || len(out.Fields) != 2 {
		t.Fatalf("%d fields, %v", len(out.Fields), err)
	}
	for i, want := range []string{"news@one.example", "@one.example"} {
		if s, fault := dkim.ParseSignature(out.Fields[i]); fault != "" || s.Identifier != want {
			t.Errorf("field %d: i=%s %s, want i=%s", i, s.Identifier, fault, want)
		}
	}
}

// TestOneLabel holds that mail which no one could ever sign is not deferred.
func TestOneLabel(t *testing.T) {
	out, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"any"}},
		"From: root@localhost\r\n\r\n")
	if !errors.Is(err, ErrNoRule) || errors.Is(err, ErrUnsigned) || len(out.Made) != 0 {
		t.Errorf("made %v, %v", out.Made, err)
	}
}

func TestSignaturesVerify(t *testing.T) {
	out, m, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one", "two"}}, text)
	if err != nil {
		t.Fatal(err)
	}
	wantVerified(t, out, m, 2)
}

// wantVerified fails unless there are n signatures, which all verify.
func wantVerified(t *testing.T, out Signed, m *message.Message, n int) {
	t.Helper()
	zone := map[string][]string{}
	for _, s := range out.Made {
		k := s.Key
		k.Domain, k.Selector = s.Domain, s.Selector
		r, err := k.Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		zone[s.String()] = []string{r.Text}
	}
	v := &dkim.Verifier{Resolver: dnstest.FromMap(zone), Now: func() time.Time { return at }}
	m.Header = m.Header.With(message.Edits{Insert: out.Fields})
	results := v.Select(m.Header, "one.example").Run(t.Context(), m)
	if len(results) != n {
		t.Fatalf("%d results, want %d", len(results), n)
	}
	for _, r := range results {
		if r.Value != dkim.Pass {
			t.Errorf("%s: %s: %s", r.Selector, r.Value, r.Reason)
		}
	}
}

func TestOldSignatures(t *testing.T) {
	first, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one"}}, text)
	if err != nil {
		t.Fatal(err)
	}
	again := string(first.Fields[0].Raw()) + "\r\nDKIM-Signature: this is none\r\n" + text
	out, _, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one", "two"},
		SkipIfSigned: true}, again)
	if err != nil || len(out.Made) != 1 || out.Made[0].Selector != "s2" || len(out.Held) != 1 {
		t.Errorf("skip: made %v, held %v, %v", out.Made, out.Held, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"one"}, SkipIfSigned: true},
		again)
	if err != nil || len(out.Made) != 0 || len(out.Held) != 1 {
		t.Errorf("skip all: made %v, held %v, %v", out.Made, out.Held, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"one"}, RemoveOld: true},
		again)
	if err != nil || len(out.Made) != 1 || len(out.Remove) != 2 {
		t.Errorf("remove: made %v, remove %v, %v", out.Made, out.Remove, err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"one"}, SkipIfSigned: true,
		RemoveOld: true}, again)
	if err != nil || len(out.Made) != 1 || len(out.Remove) != 2 || len(out.Held) != 0 {
		t.Errorf("skip and remove: made %v, held %v, remove %v, %v", out.Made, out.Held, out.Remove,
			err)
	}
	out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"broken"}, RemoveOld: true,
		OnKeyError: action.KeyAccept}, again)
	if err == nil || len(out.Made) != 0 || len(out.Remove) != 0 {
		t.Errorf("unsigned: made %v, remove %v, %v; the signatures of others stay", out.Made,
			out.Remove, err)
	}
	if out, _, err = signed(t, Rule{From: patterns("*"), Keys: []string{"one"}},
		again); err != nil || len(out.Made) != 1 || len(out.Remove) != 0 {
		t.Errorf("default: made %v, remove %v, %v", out.Made, out.Remove, err)
	}
}

func TestChoose(t *testing.T) {
	r := newRing(t)
	choose := func(found []keys.Key, err error) Rule {
		return Rule{From: patterns("*"), Choose: func(context.Context, Query) ([]keys.Key,
			error) {
			return found, err
		}}
	}
	out, _, err := signed(t, choose([]keys.Key{r["any"]}, nil), text)
	if err != nil || len(out.Made) != 1 || out.Made[0].Domain != "one.example" {
		t.Errorf("found: %v, %v", out.Made, err)
	}
	named := choose([]keys.Key{{Name: "two"}, {Name: "broken"}}, nil)
	named.Source = ring{"two": r["one"]}
	if out, _, err = signed(t, named, text); err != nil || len(out.Made) != 1 ||
		out.Made[0].Selector != "s1" || len(out.Failed) != 1 {
		t.Errorf("by name, from the rule's source: %v, failed %v, %v", out.Made, out.Failed, err)
	}
	if out, _, err = signed(t, choose([]keys.Key{{Name: "broken"}}, nil), text); !errors.Is(err,
		ErrUnsigned) || len(out.Failed) != 1 {
		t.Errorf("a name whose key is broken: %v, %v", out.Failed, err)
	}
	if _, _, err = signed(t, choose(nil, nil), text); !errors.Is(err, ErrNoRule) ||
		errors.Is(err, ErrUnsigned) {
		t.Errorf("a table that knows nobody: %v", err)
	}
	if _, _, err = signed(t, choose(nil, errBroken), text); !errors.Is(err, ErrUnsigned) ||
		!errors.Is(err, errBroken) {
		t.Errorf("a table that is away: %v", err)
	}
}
