package keylife

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/keys"
)

// Policy is how a site rotates its keys.
type Policy struct {
	Every   time.Duration // the age at which an active key is replaced; 0: never by itself
	Publish time.Duration // how long a record is seen before its key signs
	Overlap time.Duration // how long a key stays published when it no longer signs
}

// View is the moment of a decision: what the DNS shows of each key, by the name of its record, and
// the time. Keys that it does not hold are unknown.
type View struct {
	Policy
	Sights map[string]keys.Sight
	Shown  map[string]string // what each server shows of a key, in words
	Now    time.Time

	// Until says, by name, when retiring keys signed in place of active ones for the last time:
	// FallBack.Until.
	Until map[string]time.Time

	// Others are the names at which another record than the key's is seen, and until when resolvers
	// may remember it.
	Others map[string]time.Time

	// Usable returns why signatures with the private key of a key would not verify; nil when they
	// is not to be tried.
	Usable func(Key) error
}

// ErrUnusable reports that a key cannot become active because its private key does not work. It
// cannot be forced.
var ErrUnusable = errors.New("the private key does not work")

// usable is asked before a key signs.
func (v View) usable(k *Key) error {
	if v.Usable == nil || k.Vendor {
		return nil
	}
	if err := v.Usable(*k); err != nil {
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return nil
}

func (v View) observe(k *Key) keys.Sight {
	if s, ok := v.Sights[k.Name()]; ok {
		return s
	}
	return keys.SightUnknown
}

func (s *State) situation(k *Key, v View) keys.Situation {
	return keys.Situation{
		Stage: k.Stage, Since: v.since(k), Sight: v.observe(k), Servers: v.Shown[k.Name()],
		Successor: s.successor(k, v),
		Now:       v.Now, Publish: v.Publish, Overlap: v.Overlap,
		First: s.isFirst(k), Other: k.Other,
	}
}

// since is when a key came to its stage; a retiring one that signed again retires again.
func (v View) since(k *Key) time.Time {
	if until := v.Until[k.Name()]; k.Stage == keys.Retiring && until.After(k.Since) {
		return until
	}
	return k.Since
}

// successor reports whether another key of the same domain and algorithm signs, and is published.
// A vendor's key has no successor: the vendor reports when it no longer signs.
func (s *State) successor(k *Key, v View) bool {
	if k.Vendor {
		return true
	}
	for _, other := range s.Of(k.Domain, keys.Active) {
		if other != k && !other.Vendor && other.Algorithm == k.Algorithm &&
			v.observe(other) == keys.SightKey {
			return true
		}
	}
	return false
}

// Move brings a key to a stage if its situation allows that. A force other than "" is the reason
// for the step although the situation does not allow it; both are recorded. Force does not allow a
// step that does not exist (keys.ErrStep), nor a key that cannot sign to become active. When a key
// becomes active, its predecessors become retiring.
func (s *State) Move(k *Key, to keys.Stage, v View, force string) error {
	refused := s.situation(k, v).Allows(to)
	if refused != nil && (force == "" || errors.Is(refused, keys.ErrStep)) {
		return fmt.Errorf("%s: %w", k.Name(), refused)
	}
	if to == keys.Active {
		if err := v.usable(k); err != nil {
			return fmt.Errorf("%s: %w", k.Name(), err)
		}
		s.retireOthers(k, v)
	}
	k.move(to, v.Now, force, refused)
	return nil
}

// retireOthers makes way for k in the same step: at no time does the domain have no key that signs.
func (s *State) retireOthers(k *Key, v View) {
	if k.Vendor {
		return
	}
	for _, before := range s.Of(k.Domain, keys.Active) {
		if before != k && !before.Vendor && before.Algorithm == k.Algorithm {
			before.move(keys.Retiring, v.Now, "", nil)
		}
	}
}

// Event is a step that Rotate made, or what it waits for.
type Event struct {
	Name string     `json:"name"` // of the record, or the domain
	Step keys.Stage `json:"step,omitempty"`
	// where a key is that could not be moved as asked
	Stays keys.Stage `json:"stays,omitempty"`
	Waits string     `json:"waits,omitempty"` // a sentence
	// a sentence about what needs nothing to be done
	Note    string       `json:"note,omitempty"`
	Publish *keys.Record `json:"publish,omitempty"` // the record that it waits for
	Remove  bool         `json:"remove,omitempty"`  // it waits for its record to be removed
	Unknown bool         `json:"unknown,omitempty"` // not every name server answered
	// a step was asked for that is not allowed now
	Refused bool `json:"refused,omitempty"`
}

// Rotate takes the step that is due for the keys of a domain, at most one for each, and says what
// it waits for. Vendors' keys stay at the stage published. It also reports whether a new generation
// of keys is due, which the caller makes.
func (s *State) Rotate(domain string, v View) (events []Event, generate bool) {
	for _, k := range s.Of(domain, keys.Revoked, keys.Retiring, keys.Published, keys.Generated) {
		events = append(events, s.advance(k, v)...)
	}
	return events, s.due(domain, v)
}

// due reports whether the domain's youngest keys will be too old by the time that their successors
// have been published. A domain of which only vendors' keys are known gets none.
func (s *State) due(domain string, v View) bool {
	if v.Every <= 0 || len(s.own(domain, keys.Generated, keys.Published)) > 0 {
		return false
	}
	active := s.own(domain, keys.Active)
	if len(active) == 0 {
		return false
	}
	return !v.Now.Before(v.next(active))
}

// next is when the successors of keys are to be made: in time to be published before these come of
// age.
func (v View) next(active []*Key) time.Time {
	youngest := active[0].Since
	for _, k := range active[1:] {
		if k.Since.After(youngest) {
			youngest = k.Since
		}
	}
	return youngest.Add(max(0, v.Every-v.Publish))
}

// Plan returns when a domain with nothing to do will have a step to take.
func (s *State) Plan(domain string, v View) string {
	active := s.own(domain, keys.Active)
	switch {
	case len(active) == 0:
		return "nothing is due"
	case v.Every <= 0:
		return "nothing is due; without rotation.every or --every, no new keys are made; " +
			"\"mailseal keys generate\" makes them"
	}
	return "nothing is due; its next keys are made on " + minute(v.next(active))
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func (s *State) own(domain string, stages ...keys.Stage) []*Key {
	var out []*Key
	for _, k := range s.Of(domain, stages...) {
		if !k.Vendor {
			out = append(out, k)
		}
	}
	return out
}

// advance makes the next step of one key, or says what it waits for.
func (s *State) advance(k *Key, v View) []Event {
	if k.Stage == keys.Published && s.Move(k, keys.Generated, v, "") == nil {
		return []Event{{Name: k.Name(), Step: keys.Generated,
			Waits:   "until all name servers show its record again",
			Publish: record(k.Record())}}
	}
	to := map[keys.Stage]keys.Stage{
		keys.Generated: keys.Published, keys.Published: keys.Active, keys.Retiring: keys.Revoked,
		keys.Revoked: keys.Removed,
	}[k.Stage]
	if k.Vendor && k.Stage != keys.Generated {
		return []Event{{Name: k.Name(),
			Note: fmt.Sprintf("a vendor's key, %s; Mailseal only checks its record", k.Stage)}}
	}
	if to == keys.Active && s.isAlone(k) {
		return []Event{{Name: k.Name(), Waits: "until an RSA key of " + k.Domain +
			" signs, since few receivers verify Ed25519",
			Unknown: v.observe(k) == keys.SightUnknown}}
	}
	isFirst := s.isFirst(k)
	err := s.Move(k, to, v, "")
	if err != nil {
		return []Event{s.wait(k, v, err)}
	}
	done := []Event{{Name: k.Name(), Step: to}}
	if to == keys.Published && isFirst {
		return append(done, s.advance(k, v)...) // a first key need not be seen for long
	}
	return done
}

// isAlone reports whether an Ed25519 key would be the only one to sign, although an RSA key is on
// its way.
func (s *State) isAlone(k *Key) bool {
	isRSA := func(other *Key) bool { return other.Algorithm == keys.RSA }
	return k.Algorithm == keys.Ed25519 && !slices.ContainsFunc(s.own(k.Domain, keys.Active),
		isRSA) &&
		slices.ContainsFunc(s.own(k.Domain, keys.Generated, keys.Published), isRSA)
}

// wait returns the event that a key's next step waits for.
func (s *State) wait(k *Key, v View, err error) Event {
	e := Event{Name: k.Name(), Unknown: v.observe(k) == keys.SightUnknown}
	shown := v.Shown[k.Name()]
	if shown != "" {
		shown = " (" + shown + ")"
	}
	switch {
	case errors.Is(err, keys.ErrEarly):
		e.Waits = Cause(err)
	case k.Stage == keys.Generated:
		e.Waits, e.Publish = "until all name servers show its record"+shown, record(k.Record())
	case k.Stage == keys.Retiring && !s.successor(k, v):
		e.Waits = "until its successor is published and signs: leave its record in the DNS"
	case k.Stage == keys.Retiring:
		e.Waits, e.Publish = "until all name servers show its record with the empty p="+shown,
			record(k.RevokedRecord())
	case k.Stage == keys.Revoked:
		e.Waits, e.Remove = "until its record is deleted from the DNS"+shown, true
	default:
		e.Waits = Cause(err)
	}
	return e
}

// Waiting returns the condition that a key waits for, as the end of a sentence: "waits
// until ..." or "waits: ...".
func (e Event) Waiting() string {
	if strings.HasPrefix(e.Waits, "until ") {
		return "waits " + e.Waits
	}
	return "waits: " + e.Waits
}

func record(r keys.Record) *keys.Record { return &r }

// Wanted returns the record that the DNS must show for a key now, so that the key can go to its
// next stage: a publisher that follows Wanted needs no other input. The result is false for a key
// that must not be published. It agrees with Rotate: the record of a retiring key is revoked once
// its overlap is over and its successor signs and is published, and then the revoked key's record
// is removed.
func (s *State) Wanted(k *Key, v View) (keys.Record, bool) {
	switch {
	case k.Stage == keys.Removed || k.Text == "":
		return keys.Record{}, false
	case k.Vendor:
		return k.Record(), true
	case k.Stage == keys.Revoked:
		return keys.Record{}, false
	case k.Stage == keys.Retiring && v.IsOver(k) && s.successor(k, v):
		return k.RevokedRecord(), true
	}
	return k.Record(), true
}

// IsOver reports whether a key has not signed for so long that no mail with its signature is still
// on its way.
func (v View) IsOver(k *Key) bool { return !v.Now.Before(v.since(k).Add(v.Overlap)) }

// Cause returns the reason of a refusal, without the name of the key, which the reader has seen.
func Cause(err error) string {
	for _, known := range []error{keys.ErrStep, keys.ErrEarly, keys.ErrSight, keys.ErrSilent,
		keys.ErrLast} {
		if _, text, ok := strings.Cut(err.Error(), known.Error()+": "); ok &&
			errors.Is(err, known) {
			return text
		}
	}
	return err.Error()
}
