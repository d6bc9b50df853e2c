package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
)

// step brings keys to a stage.
type step struct {
	to keys.Stage // where it brings them
	// of a domain's keys; a key that is named may come from wherever there is a step
	from []keys.Stage
}

// steps are the steps that can be ordered by hand.
var steps = map[string]step{
	"activate": {keys.Active, []keys.Stage{keys.Published}},
	"retire":   {keys.Retiring, []keys.Stage{keys.Active}},
	"revoke":   {keys.Revoked, []keys.Stage{keys.Retiring}},
	"remove":   {keys.Removed, []keys.Stage{keys.Revoked}},
}

// StepNames are the words for the steps that can be ordered by hand, sorted.
func StepNames() []string { return slices.Sorted(maps.Keys(steps)) }

// Move takes one of the steps in StepNames with the keys named by record or by domain. A key for
// which the DNS is not ready, or it is too early, stays at its stage, with an event that has the
// reason, unless force is a reason to take the step nevertheless.
func (r *Rotator) Move(ctx context.Context, verb string, names []string, force string) (Done,
	error) {
	step, ok := steps[verb]
	if !ok {
		return Done{}, fmt.Errorf("no step %q; there are %s", verb, strings.Join(StepNames(), ", "))
	}
	v, _, err := r.view(ctx, domainsOf(names))
	if err != nil {
		return Done{}, err
	}
	var done Done
	err = r.update(func(state *keylife.State) error {
		done = Done{}
		state.Observe(v)
		for _, name := range names {
			wanted := step.keys(state, name)
			if len(wanted) == 0 {
				return fmt.Errorf("%s: no key to %s%s; see mailseal keys list%s", name, verb,
					stagesOf(state, name), inFull(state, name, verb))
			}
			for _, k := range wanted {
				e := stepEvent(k, step.to, state.Move(k, step.to, v, force))
				isSilent := v.Sights[k.Name()] == keys.SightUnknown
				done.Events = append(done.Events, e)
				done.Refused = done.Refused || e.Refused && !isSilent
				done.Silent = done.Silent || e.Refused && isSilent
			}
		}
		return nil
	})
	return done, err
}

// PublishCheck looks at the keys that are named by record or by domain, all of them for no name,
// and moves those that were only generated and that every server shows to Published; with a reason
// in effect, those that it does not show, too.
func (r *Rotator) PublishCheck(ctx context.Context, names []string, force string) ([]Seen, Done,
	error) {
	v, seen, err := r.view(ctx, names)
	switch {
	case err != nil:
		return nil, Done{}, err
	case len(seen) == 0 && len(names) > 0:
		return nil, Done{}, errNoKeys(names)
	}
	var done Done
	err = r.update(func(state *keylife.State) error {
		done = Done{}
		state.Observe(v)
		for _, k := range seen {
			now := state.Find(k.Name())
			if now == nil || now.Stage != keys.Generated {
				continue
			}
			e := stepEvent(now, keys.Published, state.Move(now, keys.Published, v, force))
			done.Events = append(done.Events, e)
			done.Refused = done.Refused || force != "" && e.Refused
		}
		return nil
	})
	for _, k := range seen {
		if force == "" && !k.isAsWanted() {
			done.Refused = done.Refused || k.Sight != keys.SightUnknown
			done.Silent = done.Silent || k.Sight == keys.SightUnknown
		}
	}
	return seen, done, mark(ErrUnknown, err)
}

// isAsWanted reports whether the DNS shows what it should of a key at its stage.
func (s Seen) isAsWanted() bool {
	if s.Stage == keys.Revoked {
		return s.Sight == keys.SightRevoked || s.Sight == keys.SightNothing
	}
	return s.Sight == keys.SightKey
}

// stepEvent reports a step, or why it was refused.
func stepEvent(k *keylife.Key, to keys.Stage, refused error) keylife.Event {
	if refused == nil {
		return keylife.Event{Name: k.Name(), Step: to}
	}
	e := keylife.Event{Name: k.Name(), Stays: k.Stage, Waits: keylife.Cause(refused), Refused: true}
	record := k.Record()
	switch to {
	case keys.Published:
		e.Publish = &record
	case keys.Revoked:
		record = k.RevokedRecord()
		e.Publish = &record
	case keys.Removed:
		e.Remove = errors.Is(refused, keys.ErrSight)
	}
	return e
}

// errNoKeys is the error of a command about keys that do not exist.
func errNoKeys(names []string) error {
	return fmt.Errorf("%s: %w; see mailseal keys list", strings.Join(names, ", "), ErrNoKey)
}

// isNamed reports whether a key is one of those named, by its domain or by the name of its record;
// for no name, all are.
func isNamed(k keylife.Key, names []string) bool {
	for _, name := range names {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if name == k.Name() || domain.ASCII(name) == k.Domain {
			return true
		}
	}
	return len(names) == 0
}

// domainsOf are the domains of keys that are named by domain or by record: what succeeds a key is
// of its domain, too.
func domainsOf(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		if _, d, ok := strings.Cut(strings.ToLower(name), "._domainkey."); ok {
			name = d
		}
		out[i] = domain.ASCII(strings.TrimSuffix(name, "."))
	}
	return out
}

// stagesOf says where the keys of a domain are that are not where a step begins: ": 2026q4r is
// generated".
func stagesOf(state *keylife.State, name string) string {
	var out []string
	for _, k := range state.Keys {
		if k.Domain == domain.ASCII(strings.TrimSuffix(name, ".")) && k.Stage != keys.Removed {
			out = append(out, k.Selector+" is "+string(k.Stage))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

// inFull returns how to remove the generated keys of a domain: its name alone does not stand for
// them, since they may be the next to sign.
func inFull(state *keylife.State, name, verb string) string {
	waiting := state.Of(domain.ASCII(strings.TrimSuffix(name, ".")), keys.Generated)
	if verb != "remove" || len(waiting) == 0 {
		return ""
	}
	return "; to remove a key that is only generated, give its full name: mailseal keys remove " +
		waiting[0].Name()
}

// keys are those that a name stands for: a record's, or a domain's.
func (s step) keys(state *keylife.State, name string) []*keylife.Key {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if k := state.Find(name); k != nil {
		return []*keylife.Key{k}
	}
	ofDomain := state.Of(domain.ASCII(name), s.from...)
	return slices.DeleteFunc(ofDomain, func(k *keylife.Key) bool { return k.Vendor })
}
