package filter

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/verify"
)

// TestInvalidSettings holds that a setting without a valid value defers the messages that it
// decides about, and that the log says why. Nothing of it is permissive: neither the zero value nor
// one of a later version.
func TestInvalidSettings(t *testing.T) {
	const elsewhere = "From: a@elsewhere.example\n\nbody\n"
	for _, tc := range []struct {
		name   string
		keys   []string
		role   action.Role
		env    message.Envelope
		raw    string
		change func(f *Filter, n uint8)
	}{
		{"senders.require", []string{"good"}, action.RoleOurs, loggedIn, plainText,
			func(f *Filter, n uint8) { f.Senders.Require = action.SenderRule(n) }},
		{"senders.require and action", []string{"good"}, action.RoleOurs, loggedIn, plainText,
			func(f *Filter, n uint8) {
				f.Senders = Senders{Require: action.SenderRule(n), Action: action.Accept}
			}},
		{"senders.action", []string{"good"}, action.RoleOurs, fromAway, plainText,
			func(f *Filter, n uint8) {
				f.Senders = Senders{Require: action.SenderEnvelopeDomain, Action: action.Action(n)}
			}},
		{"ours.unmatched", []string{"good"}, action.RoleOurs, local, elsewhere,
			func(f *Filter, n uint8) { f.Unmatched = action.Unmatched(n) }},
		{"signing.redirected", []string{"good"}, action.RoleOurs, local,
			"Authentication-Results: " + testID + "; dmarc=fail\n" + plainText,
			func(f *Filter, n uint8) { f.Redirected = action.Redirected(n) }},
		{"signing.malformed_from", []string{"good"}, action.RoleOurs, local, "From: Acme, Inc. <a@example.com>\n\n",
			func(f *Filter, n uint8) { f.Malformed = action.MalformedFrom(n) }},
		{"on_key_error", []string{"bad", "good"}, action.RoleOurs, local, plainText,
			func(f *Filter, n uint8) {
				f.Signer.Table.Rules()[0].OnKeyError = action.OnKeyError(n)
			}},
		{"on_key_error, no key left", []string{"bad"}, action.RoleOurs, local, plainText,
			func(f *Filter, n uint8) {
				f.Signer.Table.Rules()[0].OnKeyError = action.OnKeyError(n)
			}},
		{"policy.dmarc", []string{"good"}, action.RoleTheirs, fromAway, plainText,
			func(f *Filter, n uint8) { f.Policy.DMARC.Reject = action.Action(n) }},
		{"policy.override.action leaves it to the policy", []string{"good"}, action.RoleTheirs, fromAway, plainText,
			func(f *Filter, n uint8) {
				f.Policy.DMARC.Reject = action.Tempfail
				f.Policy.Overrides = []policy.Override{{Replace: action.Action(n),
					Actions: f.Policy.Actions}}
			}},
	} {
		for _, n := range []uint8{0, 200} {
			f, _ := newFilter(t, tc.keys...)
			tc.change(f, n)
			o, h := decide(t, f, tc.role, milter.ByNetwork, tc.env, tc.raw)
			if o.Action != action.Tempfail || strings.Contains(names(h), "DKIM-Signature") ||
				len(o.Details) == 0 {
				t.Errorf("%s is %d: %s %v, header %s", tc.name, n, o.Action, o.Details, names(h))
			}
		}
	}
}

// TestInvalidRole holds that a message of which no one knows whose it is neither goes on unsigned
// nor is judged.
func TestInvalidRole(t *testing.T) {
	for _, role := range []action.Role{0, action.RoleAuto, 200} {
		f, counts := newFilter(t, "good")
		o, _ := decide(t, f, role, milter.ByListener, local, plainText)
		if o.Action != action.Tempfail || len(counts.words) > 0 ||
			!strings.Contains(fmt.Sprint(o.Details), role.String()) {
			t.Errorf("%s: %s %v, counted %q", role, o.Action, o.Details, counts.words)
		}
	}
}

// TestEveryAction holds that each action which the policy may decide on is carried out as the
// server knows it.
func TestEveryAction(t *testing.T) {
	want := map[action.Action]struct {
		action action.Action
		code   int
		header string
	}{
		action.Accept:   {action.Accept, 0, "Authentication-Results From Subject"},
		action.Mark:     {action.Accept, 0, "Authentication-Results X-Mark From Subject"},
		action.Hold:     {action.Hold, 0, "Authentication-Results From Subject"},
		action.Tempfail: {action.Tempfail, 451, "From Subject"},
		action.Reject:   {action.Reject, 550, "From Subject"},
		action.Discard:  {action.Discard, 0, "From Subject"},
	}
	for _, a := range action.All() {
		f, _ := newFilter(t, "good")
		f.Policy.DMARC.Reject = a
		o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, fromAway, plainText)
		if w, ok := want[a]; !ok || o.Action != w.action || o.Reply.Code != w.code ||
			names(h) != w.header {
			t.Errorf("%s: %s %d, header %s; want %+v", a, o.Action, o.Reply.Code, names(h), w)
		}
	}
}

// TestInvalidDecision holds that the filter itself takes no unknown decision for one to accept: the
// policy gives none, but it is another package.
func TestInvalidDecision(t *testing.T) {
	for _, a := range []action.Action{0, 200} {
		f, _ := newFilter(t, "good")
		in := &inbound{mail: mail{filter: f}}
		o := in.outcome(t.Context(), judgment{
			message:  &message.Message{},
			results:  &verify.Results{},
			decision: policy.Decision{Action: a, Wanted: a},
		})
		if o.Action != action.Tempfail || len(o.Edits.Insert) > 0 ||
			!strings.Contains(fmt.Sprint(o.Details), "invalid action") {
			t.Errorf("%d: %s %v, inserts %v", a, o.Action, o.Details, o.Edits.Insert)
		}
	}
}

// mismatched signs with another key than it says.
type mismatched struct{ ed25519.PrivateKey }

func (m mismatched) Public() crypto.PublicKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 1
	return ed25519.NewKeyFromSeed(seed).Public()
}

type mismatchedKeys struct{}

func (mismatchedKeys) Key(context.Context, string) (keys.Key, error) {
	k, err := testKeys{}.Key(context.Background(), "good")
	k.Signer = mismatched{k.Signer.(ed25519.PrivateKey)}
	return k, err
}

// TestSelfCheck holds that a signature which the second implementation does not verify leaves only
// where the setting says accept.
func TestSelfCheck(t *testing.T) {
	for _, tc := range []struct {
		setting, want action.Action
	}{
		{action.Accept, action.Accept},
		{action.Tempfail, action.Tempfail},
		{0, action.Tempfail},
		{200, action.Tempfail},
	} {
		f, counts := newFilter(t, "good")
		// the second implementation knows no other clock
		f.Signer.Keys, f.Signer.Now = mismatchedKeys{}, nil
		f.SelfCheck = SelfCheck{Share: 1, Action: tc.setting}
		o, _ := decideRaw(t, f, action.RoleOurs, milter.ByNetwork, local, plainText,
			[]byte("body\r\n"))
		if o.Action != tc.want || !strings.Contains(strings.Join(counts.words, " "),
			"self-check: disagree") {
			t.Errorf("%s: got %s, counted %q; want %s", tc.setting, o.Action, counts.words, tc.want)
		}
	}
}
