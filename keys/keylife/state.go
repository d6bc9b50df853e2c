// Package keylife stores the keys that Mailseal makes and rotates: the stage of each key, in one
// small file of the state directory, and the private keys beside it. Package keys decides which
// step a key may take when.
package keylife

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/keys"
)

// Key is one key and its life so far.
type Key struct {
	Domain    string         `json:"domain"`
	Selector  string         `json:"selector"`
	Algorithm keys.Algorithm `json:"algorithm,omitempty"`
	Bits      int            `json:"bits,omitempty"`
	// another system signs with it: we publish and watch
	Vendor bool `json:"vendor,omitempty"`
	// the TXT value; "" for a vendor's that we do not know
	Text        string     `json:"text,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	Stage       keys.Stage `json:"stage"`
	Since       time.Time  `json:"since"` // when it came to the stage
	History     []Step     `json:"history,omitempty"`
	// until when resolvers may remember another record that was seen at its name
	Other time.Time `json:"other,omitzero"`
}

// Step is one change of a stage.
type Step struct {
	At time.Time  `json:"at"`
	To keys.Stage `json:"to"`
	// the operator's reason for a step that was refused
	Forced string `json:"forced,omitempty"`
	Over   string `json:"over,omitempty"` // why it had been refused
}

// Name is where the key is published.
func (k Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Record returns the record to be published for the key at its stage: that of the key, or
// that of a revoked key. Nothing has to be published for a removed key.
func (k Key) Record() keys.Record {
	r := keys.Record{Name: k.Name(), Text: k.Text, Fingerprint: k.Fingerprint}
	if before, _, ok := strings.Cut(k.Text, "p="); ok && k.Stage == keys.Revoked {
		r.Text = before + "p="
	}
	return r
}

// RevokedRecord returns the record that replaces that of a retiring key.
func (k Key) RevokedRecord() keys.Record {
	k.Stage = keys.Revoked
	return k.Record()
}

// file is the private key's, relative to the state directory.
func (k Key) file() string { return "keys/" + k.Domain + "/" + k.Selector + ".pem" }

// State is all keys, in the order in which they were made.
type State struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

// version of the file's form. A file of a later version is refused rather than misread.
const version = 1

// Find returns the key that is published at a name, or nil.
func (s *State) Find(name string) *Key {
	for i := range s.Keys {
		if s.Keys[i].Name() == name {
			return &s.Keys[i]
		}
	}
	return nil
}

// Domains returns the domains that have keys which are not removed, sorted.
func (s *State) Domains() []string {
	var out []string
	for _, k := range s.Keys {
		if k.Stage != keys.Removed {
			out = append(out, k.Domain)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Of returns the keys of a domain at any of some stages, oldest first.
func (s *State) Of(domain string, stages ...keys.Stage) []*Key {
	var out []*Key
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Domain == domain && slices.Contains(stages, k.Stage) {
			out = append(out, k)
		}
	}
	return out
}

// Add puts a new key into the state. A vendor's that was removed may come back: its selector is not
// ours to use up.
func (s *State) Add(k Key, now time.Time) error {
	k.Stage, k.Since = keys.Generated, now.UTC()
	k.History = []Step{{At: k.Since, To: k.Stage}}
	switch before := s.Find(k.Name()); {
	case before == nil:
		s.Keys = append(s.Keys, k)
	case k.Vendor && before.Vendor && before.Stage == keys.Removed:
		k.History = append(before.History, k.History...)
		*before = k
	default:
		return fmt.Errorf("there is already a key at %s, and a selector is used only once",
			k.Name())
	}
	return nil
}

// hasSigned reports whether the key signs, or ever did.
func (k Key) hasSigned() bool {
	return k.Stage == keys.Active || slices.ContainsFunc(k.History,
		func(s Step) bool { return s.To == keys.Active })
}

// isFirst reports whether no key of ours like k, of its domain and algorithm, has ever signed.
func (s *State) isFirst(k *Key) bool {
	return !k.Vendor && !slices.ContainsFunc(s.Keys, func(other Key) bool {
		return other.Domain == k.Domain && other.Algorithm == k.Algorithm && !other.Vendor &&
			other.hasSigned()
	})
}

// HasSigned reports whether a key of ours of the domain has ever signed.
func (s *State) HasSigned(domain string) bool {
	return slices.ContainsFunc(s.Keys, func(k Key) bool {
		return k.Domain == domain && !k.Vendor && k.hasSigned()
	})
}

// IsBeginning reports whether keys of ours of the domain are on their way, and none has ever
// signed.
func (s *State) IsBeginning(domain string) bool {
	return len(s.own(domain, keys.Generated, keys.Published)) > 0 && !s.HasSigned(domain)
}

// Observe records which other records were seen at the names of keys that are not published yet.
func (s *State) Observe(v View) {
	for i := range s.Keys {
		k := &s.Keys[i]
		if until, seen := v.Others[k.Name()]; seen && k.Stage == keys.Generated &&
			until.After(k.Other) {
			k.Other = until.UTC()
		}
	}
}

// move brings a key to a stage. Refused is why that had to be forced, nil when it had not.
func (k *Key) move(to keys.Stage, now time.Time, reason string, refused error) {
	step := Step{At: now.UTC(), To: to}
	if refused != nil {
		step.Forced, step.Over = reason, refused.Error()
	}
	k.Stage, k.Since = to, now.UTC()
	k.History = append(k.History, step)
	if n := len(k.History); n > maxHistory { // a record that comes and goes makes steps for ever
		k.History = slices.Delete(k.History, 1, n-maxHistory+1)
	}
}

// maxHistory bounds what is remembered of a key's life.
const maxHistory = 50
