// Package sign signs mail: it finds the rules of the signing table that match, fetches the keys,
// signs, and seals.
package sign

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/message"
)

// ErrUnsigned means that a rule requires a signature and that none could be made. Such a
// message must not be sent on silently.
var ErrUnsigned = errors.New("no signature could be made")

// ErrNoRule means that the table in which a rule looks up its keys does not have the
// sender.
var ErrNoRule = errors.New("no keys for the sender")

// ErrFirstKey is in the error of a rule whose keys have never signed yet: mail goes unsigned until
// they do. It comes with ErrNoRule.
var ErrFirstKey = errors.New("no key has ever signed")

// Rule is one line of the signing table: whose mail, which keys, how.
type Rule struct {
	Name string // its place in the configuration, "sign[2]", for the log
	From message.Patterns
	Keys []string // names of keys; "%" is replaced by the author's domain
	// d= instead of the key's; "%" is replaced by the author's domain; "" for the key's
	Domain string
	When   When
	// of what is known at the end of the header; nil: nothing is asked
	If           *expression.Condition
	Options      dkim.SignOptions
	SkipIfSigned bool // a signature with the same d= and s= is there already: do not add another
	RemoveOld    bool // remove the signatures that the message came with
	Resign       bool // sign mail of strangers too: a mailing list's host
	OnKeyError   action.OnKeyError

	// Choose, when set, answers the keys for a message instead of Keys: a table in a database. A
	// key without a Signer is looked up by its name. No key and no error means that the message is
	// not to be signed.
	Choose func(context.Context, Query) ([]keys.Key, error)

	Source keys.Source // where keys are looked up; nil for the signer's Keys

	// Suits, when set, reports why a key must not sign for a sender, once its d= is settled. Such a
	// key has failed.
	Suits func(keys.Key, Query) error
}

// BodyHash is the digest of the body that the rule's signatures need.
func (r *Rule) BodyHash() message.BodyHash {
	w := message.BodyHash{Canonicalization: message.Relaxed, Limit: message.Whole}
	if r.Options.SimpleBody {
		w.Canonicalization = message.Simple
	}
	return w
}

// Signer signs mail by a table. It is safe for concurrent use.
type Signer struct {
	Table *Table
	Keys  keys.Source
	Now   func() time.Time // nil for time.Now

	// Identifiers are the i= tags of single keys by their names, instead of those of the rules;
	// "%" is replaced by the author's domain.
	Identifiers map[string]string
}

// Signed is the result of signing one message.
type Signed struct {
	Fields []message.Field // DKIM-Signature fields, top first
	Made   []Signature     // what they say, in the same order
	Failed []KeyFailure    // the keys that made none
	Held   []string        // the keys not used because their signature is in the message already
	Remove []int           // old signatures to be removed: indices into the header
	Fit    Fit             // how fields with long lines are treated
	Covers []string        // the names of the fields that the signatures cover, each once

	Withheld []string // the keys not used because they would speak for Query.Forged

	// OnKeyError is what happens to the message when the error of Sign wraps ErrUnsigned:
	// KeyAccept, KeyTempfail or KeyReject.
	OnKeyError action.OnKeyError
}

// Signature names one signature that was made.
type Signature struct {
	Domain, Selector, Algorithm string
	Key                         keys.Key
}

func (s Signature) String() string { return s.Selector + "._domainkey." + s.Domain }

// KeyFailure is a key that could not be used, and why.
type KeyFailure struct {
	Key string
	Err error
}

// Match returns the rules that sign the message, if any.
func (s *Signer) Match(q Query) Match { return s.Table.Match(q) }

// Find returns the keys of a rule with the domain for d=, and in out those that cannot be loaded.
// The error wraps ErrUnsigned or ErrNoRule.
func (s *Signer) Find(ctx context.Context, r *Rule, q Query, out *Signed) ([]keys.Key, error) {
	wanted, err := r.wanted(ctx, q)
	if err != nil {
		return nil, err
	}
	source := s.Keys
	if r.Source != nil {
		source = r.Source
	}
	var have []keys.Key
	local, none := false, false
	for _, k := range wanted {
		if k.Signer != nil {
			have = append(have, k)
			continue
		}
		found, err := keys.For(ctx, source, k.Name, string(q.Author.Domain))
		switch {
		case err == nil:
			have = append(have, found)
		case errors.Is(err, keys.ErrNone):
			none = true
		case r.isOfLocal(k.Name, q) && errors.Is(err, keys.ErrNotFound):
			local = true
		default:
			out.Failed = append(out.Failed, KeyFailure{k.Name, err})
		}
	}
	if local && len(have) == 0 && len(out.Failed) == 0 {
		return nil, fmt.Errorf("%w: %s: no key for %s, a domain that could not publish one",
			ErrNoRule, r.Name, q.Author.Domain)
	}
	if none && len(have) == 0 && len(out.Failed) == 0 {
		return nil, fmt.Errorf("%w: %s: no file of a key for %s", ErrNoRule, r.Name,
			q.Author.Domain)
	}
	if have = r.place(have, q); len(have) > 0 && len(out.Failed) == 0 &&
		!slices.ContainsFunc(have, canPublish) {
		return nil, fmt.Errorf("%w: %s: %s is not a domain that could publish a key", ErrNoRule,
			r.Name, have[0].Domain)
	}
	return r.suiting(have, q, out), nil
}

// suiting sets aside the keys that must not sign for the sender.
func (r *Rule) suiting(have []keys.Key, q Query, out *Signed) []keys.Key {
	if r.Suits == nil {
		return have
	}
	return slices.DeleteFunc(have, func(k keys.Key) bool {
		err := r.Suits(k, q)
		if err != nil {
			out.Failed = append(out.Failed, KeyFailure{k.Name, err})
		}
		return err != nil
	})
}

// isOfLocal reports whether a rule asks for the key of the author's domain, and this is one that
// cannot publish a key.
func (r *Rule) isOfLocal(name string, q Query) bool {
	return r.Choose == nil && !slices.Contains(r.Keys, name) &&
		!canPublish(keys.Key{Domain: string(q.Author.Domain)})
}

// canPublish reports whether d= has more than one label, as it must (RFC 6376 section 3.5). Mail of
// root@localhost under a rule for every author's own domain can never be signed: it
// is not deferred for that.
func canPublish(k keys.Key) bool { return strings.Contains(strings.TrimSuffix(k.Domain, "."), ".") }

// wanted returns the keys that the rule names, or chooses.
func (r *Rule) wanted(ctx context.Context, q Query) ([]keys.Key, error) {
	if r.Choose == nil {
		out := make([]keys.Key, len(r.Keys))
		for i, name := range r.Keys {
			out[i].Name = strings.ReplaceAll(name, "%", string(q.Author.Domain))
		}
		return out, nil
	}
	chosen, err := r.Choose(ctx, q)
	switch {
	case errors.Is(err, ErrFirstKey):
		return nil, fmt.Errorf("%w: %s: %w", ErrNoRule, r.Name, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrUnsigned, r.Name, err)
	case len(chosen) == 0:
		return nil, fmt.Errorf("%w: %s", ErrNoRule, r.Name)
	}
	return chosen, nil
}

// place settles the d= of keys: the rule's, or the key's, with the author's domain for "%".
func (r *Rule) place(have []keys.Key, q Query) []keys.Key {
	have = slices.Clone(have)
	for i := range have {
		if r.Domain != "" {
			have[i].Domain = r.Domain
		}
		have[i].Domain = strings.ReplaceAll(have[i].Domain, "%", string(q.Author.Domain))
	}
	return have
}

// options are the rule's, with the clock put in. Each key says its i= itself.
func (s *Signer) options(r *Rule) dkim.SignOptions {
	o := r.Options
	o.Identifier = ""
	if o.Time.IsZero() && s.Now != nil {
		o.Time = s.Now()
	}
	return o
}

// identifier returns the i= tag of a key under a rule, the key's own before the rule's, with the
// author's domain put in. It is "" where the tag is not at or below d=, as it must be (RFC 6376
// section 3.5): OpenDKIM leaves it out, too, and only some authors' mail may have it where "%" is
// in d= or in i=.
func (s *Signer) identifier(k keys.Key, r *Rule, q Query) string {
	tag := cmp.Or(s.Identifiers[k.Name], r.Options.Identifier)
	tag = strings.ReplaceAll(tag, "%", string(q.Author.Domain))
	of, err := domain.Parse(tag[strings.LastIndexByte(tag, '@')+1:])
	d, err2 := domain.Parse(k.Domain)
	if err != nil || err2 != nil || !of.Within(d) {
		return ""
	}
	return tag
}

// hold sets aside the keys whose signature the message carries already, as it does after a content
// filter has handed it back to the same MTA.
func (out *Signed) hold(have []keys.Key, h message.Header) []keys.Key {
	there := map[string]bool{}
	for _, i := range signatures(h) {
		if s, fault := dkim.ParseSignature(h[i]); fault == "" {
			there[strings.ToLower(s.Selector)+"._domainkey."+string(s.Domain)] = true
		}
	}
	return slices.DeleteFunc(have, func(k keys.Key) bool {
		d, err := domain.Parse(k.Domain)
		if err != nil || !there[strings.ToLower(k.Selector)+"._domainkey."+string(d)] {
			return false
		}
		out.Held = append(out.Held, k.Name)
		return true
	})
}

// signatures returns where the DKIM-Signature fields of a header stand.
func signatures(h message.Header) []int {
	var at []int
	for i, f := range h {
		if f.Is("DKIM-Signature") {
			at = append(at, i)
		}
	}
	return at
}

func algorithm(k keys.Key) string {
	if _, ed := k.Signer.Public().(ed25519.PublicKey); ed {
		return "ed25519-sha256"
	}
	return "rsa-sha256"
}
