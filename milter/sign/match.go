package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// Match are the rules of a table that sign one message, in the order of the file.
type Match []*Rule

// Resigning returns the rules that sign mail of strangers, too.
func (m Match) Resigning() Match {
	return slices.DeleteFunc(slices.Clone(m), func(r *Rule) bool { return !r.Resign })
}

// BodyHashes are the digests of the body that the signatures need, each once.
func (m Match) BodyHashes() []message.BodyHash {
	var out []message.BodyHash
	for _, r := range m {
		if h := r.BodyHash(); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// OnKeyError returns the action for a message that none of the rules could sign:
// KeyTempfail, KeyReject or KeyAccept. If the rules differ, it is KeyTempfail: a deferred
// message can still be signed.
func (m Match) OnKeyError() action.OnKeyError {
	return strictest(m, func(r *Rule) bool { return r.OnKeyError != action.KeyAccept })
}

// strictest returns what the rules that object to a failure want.
func strictest(m Match, objects func(*Rule) bool) action.OnKeyError {
	out := action.KeyAccept
	for _, r := range m {
		switch {
		case !objects(r):
		case r.OnKeyError == action.KeyReject && out != action.KeyTempfail:
			out = action.KeyReject
		case r.OnKeyError != action.KeyReject:
			out = action.KeyTempfail
		}
	}
	return out
}

// Found holds the keys that a rule has to sign a message with.
type Found struct {
	Rule   *Rule
	Keys   []keys.Key // as they are to be written into d=
	Failed []KeyFailure
	// that of the rule as a whole; it wraps ErrUnsigned or, where no key is for the sender,
	// ErrNoRule
	Err error
}

// hasFailed reports whether a key of the rule could not be used.
func (w *Found) hasFailed() bool {
	return len(w.Failed) > 0 || w.Err != nil && !errors.Is(w.Err, ErrNoRule)
}

// Sign signs m by the rules, each with its own keys and options. If two rules would make the same
// signature, it is made once, with the options of the first. The error wraps ErrUnsigned or
// ErrNoRule; Signed then still has the keys that failed with their errors, and the action for the
// message.
func (s *Signer) Sign(ctx context.Context, rules Match, q Query, m *message.Message) (Signed,
	error) {
	var out Signed
	found := s.find(ctx, rules, q, m.Header, &out)
	out.Fit = s.fit(found, out.Remove, q, m.Header)
	var made []made
	for i := range found {
		made = s.sign(&out, &found[i], made, q, m)
	}
	if len(out.Fields) == 0 {
		out.Remove = nil // those of others are better than none
		out.Fit = Fit{}
	}
	return out, out.verdict(found, len(out.Fields)+len(out.Held)+len(out.Withheld) > 0)
}

// Look fetches the keys with which the rules would sign a message. The error and the Signed are
// those of Sign, had each key made its signature, but for what only shows in the message.
func (s *Signer) Look(ctx context.Context, rules Match, q Query) ([]Found, Signed, error) {
	var out Signed
	found := s.find(ctx, rules, q, nil, &out)
	hasKey := slices.ContainsFunc(found, func(f Found) bool { return len(f.Keys) > 0 })
	return found, out, out.verdict(found, hasKey)
}

// find fetches the keys of the rules, and settles which old signatures are removed, and which keys
// are not needed.
func (s *Signer) find(ctx context.Context, rules Match, q Query, h message.Header,
	out *Signed) []Found {
	found := make([]Found, len(rules))
	removes := false
	for i, r := range rules {
		w := &found[i]
		var got Signed
		w.Rule = r
		w.Keys, w.Err = s.Find(ctx, r, q, &got)
		w.Keys = out.withhold(w.Keys, q.Forged)
		w.Failed = got.Failed
		removes = removes || r.RemoveOld && w.Err == nil
	}
	if removes {
		out.Remove = signatures(h)
		return found
	}
	for i := range found {
		if w := &found[i]; w.Rule.SkipIfSigned {
			w.Keys = out.hold(w.Keys, h)
		}
	}
	return found
}

// made is what makes a signature different from others.
type made struct {
	domain, selector, identifier string
	public                       crypto.PublicKey
}

func (a made) equal(b made) bool {
	public, ok := a.public.(interface{ Equal(crypto.PublicKey) bool })
	return a.domain == b.domain && a.selector == b.selector && a.identifier == b.identifier && ok &&
		public.Equal(b.public)
}

// sign makes the signatures of one rule, but for those that are made already, all from the same
// digests and canonical fields. It returns made with those that it added.
func (s *Signer) sign(out *Signed, w *Found, before []made, q Query, m *message.Message) []made {
	if len(w.Keys) == 0 {
		return before
	}
	edits := message.Edits{Remove: out.Remove, Change: out.Fit.Change}
	o := s.options(w.Rule)
	o.Omit = out.Fit.Omit
	prepared, err := dkim.Prepare(m.Header.With(edits), m.Body, o)
	if err != nil {
		w.Err = fmt.Errorf("%w: %s: %w", ErrUnsigned, w.Rule.Name, err)
		return before
	}
	for _, k := range w.Keys {
		one := made{k.Domain, k.Selector, s.identifier(k, w.Rule, q), k.Signer.Public()}
		if slices.ContainsFunc(before, one.equal) {
			continue
		}
		key := dkim.Key{Domain: k.Domain, Selector: k.Selector, Signer: k.Signer,
			Identifier: one.identifier}
		f, err := prepared.Sign(m.Body, key)
		if err != nil {
			w.Failed = append(w.Failed, KeyFailure{k.Name, err})
			continue
		}
		before = append(before, one)
		out.Fields = append(out.Fields, f)
		out.Made = append(out.Made, Signature{k.Domain, k.Selector, algorithm(k), k})
		out.addCovered(prepared.Names())
	}
	return before
}

// addCovered adds names of fields, each once.
func (out *Signed) addCovered(names []string) {
	for i, name := range names {
		if i > 0 && name == names[i-1] || containsName(out.Covers, name) {
			continue
		}
		out.Covers = append(out.Covers, name)
	}
}

// verdict gathers what failed. It is nil when what was made is enough for every rule; signed is
// whether any signature was made, or was there.
func (out *Signed) verdict(found []Found, signed bool) error {
	var rules Match
	var first, noRule error
	for i := range found {
		w := &found[i]
		out.addFailed(w.Failed)
		switch {
		case w.hasFailed():
			rules = append(rules, w.Rule)
			first = orError(first, w)
		case w.Err != nil && !errors.Is(noRule, ErrFirstKey):
			noRule = w.Err
		}
	}
	if first == nil {
		if signed {
			return nil
		}
		return noRule
	}
	isStrict := func(r *Rule) bool { return r.OnKeyError.IsStrict() }
	if out.OnKeyError = strictest(rules, isStrict); out.OnKeyError != action.KeyAccept {
		return first
	}
	if !signed {
		out.OnKeyError = rules.OnKeyError()
		return first
	}
	out.addBroken(found)
	return nil
}

// orError returns the error that comes first: the one so far, or that of a rule.
func orError(first error, w *Found) error {
	switch {
	case first != nil:
		return first
	case w.Err != nil:
		return w.Err
	}
	return fmt.Errorf("%w: %s: key %s: %w", ErrUnsigned, w.Rule.Name, w.Failed[0].Key,
		w.Failed[0].Err)
}

// addFailed adds keys that failed, each once: several rules may name one.
func (out *Signed) addFailed(failed []KeyFailure) {
	for _, f := range failed {
		if !slices.ContainsFunc(out.Failed,
			func(have KeyFailure) bool { return have.Key == f.Key }) {
			out.Failed = append(out.Failed, f)
		}
	}
}

// addBroken adds the rules that failed as a whole, of a message that others have signed: no error
// reports them.
func (out *Signed) addBroken(found []Found) {
	for i := range found {
		if w := &found[i]; w.Err != nil && !errors.Is(w.Err, ErrNoRule) {
			out.Failed = append(out.Failed, KeyFailure{w.Rule.Name, w.Err})
		}
	}
}
