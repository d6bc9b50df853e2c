package rotation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/keydns"
)

// Metrics counts what a pass of the watch found.
type Metrics interface {
	// Watched sets how many of the keys that sign the DNS shows as they are: "good", "bad" and
	// "unknown".
	Watched(count map[string]int)
}

// Signers are the keys of the store as mail is signed with them.
type Signers interface {
	// Look has the store read again.
	Look()
	// FallBack has other keys sign in place of active ones: names by names. What was set before is
	// forgotten. An error means that it will be forgotten at a restart.
	FallBack(names map[string]string, now time.Time) error
	// FallenBack returns what is in effect of it.
	FallenBack() map[string]string
}

// Watch is what one pass is to do.
type Watch struct {
	Rotator  *Rotator
	Rotates  bool    // make the steps that are due
	Compares bool    // compare the keys that sign with what the name servers show
	FallBack bool    // while the DNS does not show an active key, have the key before it sign
	Signers  Signers // nil when nothing signs with the keys of the store

	// Others yields the records of the keys beside the store that sign now.
	Others func(ctx context.Context) iter.Seq[Record]
}

// Record is a record that must be published, and the domain that signs with its key.
type Record struct {
	keys.Record
	Domain string
}

// Watcher makes passes over the keys that sign, and logs what it finds. It is for one goroutine,
// but for Last.
type Watcher struct {
	log     *slog.Logger
	metrics Metrics
	last    lastSurvey
}

// NewWatcher returns a Watcher.
func NewWatcher(log *slog.Logger, m Metrics) *Watcher { return &Watcher{log: log, metrics: m} }

// atOnce is how many keys beside the store are looked at before their answers are let go of: a
// source may hold a million.
const atOnce = 256

// Pass rotates, compares and falls back, as far as it is asked to. The error is why part of it
// could not be done.
func (w *Watcher) Pass(ctx context.Context, p Watch) error {
	var rotateErr error
	if p.Rotates {
		rotateErr = w.report(p.Rotator.Rotate(ctx, nil))
		if p.Signers != nil {
			p.Signers.Look()
		}
	}
	if !p.Compares {
		return rotateErr
	}
	return errors.Join(rotateErr, w.compareAll(ctx, p))
}

func (w *Watcher) compareAll(ctx context.Context, p Watch) error {
	_, seen, err := p.Rotator.view(ctx, nil)
	if err != nil {
		return fmt.Errorf("the keys cannot be compared with the DNS: %w", err)
	}
	if p.Signers != nil {
		w.fallBack(p, seen)
	}
	var t findings
	w.compare(&t, signing(seen))
	w.compareOthers(ctx, &t, p)
	if ctx.Err() != nil {
		return ctx.Err() // half a pass says nothing
	}
	if t.unsaid > 0 {
		w.log.Error(
			"further keys that the DNS does not show, or that could not be looked up, are not "+
				"logged one by one; \"mailseal check --dns\" lists them",
			"more",
			t.unsaid,
		)
	}
	w.metrics.Watched(t.count)
	w.last.Store(t.survey(p.Rotator.o.Now()))
	return nil
}

// Begin has first keys sign as soon as the DNS shows them. Signers, if not nil, hears of it at
// once.
func (w *Watcher) Begin(ctx context.Context, r *Rotator, signers Signers) error {
	done, err := r.Begin(ctx)
	steps := slices.DeleteFunc(done.Events, func(e keylife.Event) bool { return e.Step == "" })
	if len(steps) > 0 && signers != nil {
		signers.Look()
	}
	return w.report(Done{Events: steps}, err) // what the keys wait for would be said every time
}

// report logs what a rotation did.
func (w *Watcher) report(done Done, err error) error {
	if err != nil {
		err = fmt.Errorf("the keys cannot be rotated: %w", err)
	}
	for _, e := range done.Events {
		if e.Step != "" {
			w.log.Info("key "+string(e.Step), "key", e.Name)
		}
		switch {
		case e.Publish != nil:
			w.log.Warn("a key "+e.Waiting(), "key", e.Name, "publish", e.Publish.Line())
		case e.Waits != "":
			w.log.Info("a key "+e.Waiting(), "key", e.Name)
		}
	}
	return err
}

// signing are the keys that mail is signed with now: of the store's, the active ones.
func signing(seen []Seen) []Seen {
	var out []Seen
	for _, k := range seen {
		if k.Stage == keys.Active || k.Vendor && k.Stage == keys.Published {
			out = append(out, k)
		}
	}
	return out
}

// compareOthers compares the keys beside the store.
func (w *Watcher) compareOthers(ctx context.Context, t *findings, p Watch) {
	var some []keylife.Key
	for r := range p.Others(ctx) {
		if some = append(some, r.watched()); len(some) == atOnce {
			w.compare(t, p.Rotator.Look(ctx, some))
			some = some[:0]
		}
	}
	w.compare(t, p.Rotator.Look(ctx, some))
}

// watched is the record in the form that Look takes.
func (r Record) watched() keylife.Key {
	selector := strings.TrimSuffix(r.Name, "._domainkey."+r.Domain)
	return keylife.Key{Domain: r.Domain, Selector: selector, Text: r.Text,
		Fingerprint: r.Fingerprint}
}

// findings are what a pass has found so far.
type findings struct {
	count  map[string]int // good, bad and unknown
	said   int            // lines logged
	unsaid int            // lines not logged, since there were enough
	keys   []Surveyed
}

// maxSaid bounds the lines that one pass logs: a zone that is gone can make a hundred thousand keys
// wrong at once.
const maxSaid = 100

// compare logs and counts.
func (w *Watcher) compare(t *findings, seen []Seen) {
	if t.count == nil {
		t.count = map[string]int{}
	}
	for _, k := range seen {
		t.note(k)
		switch k.Sight {
		case keys.SightKey:
			t.count["good"]++
			continue
		case keys.SightUnknown:
			t.count["unknown"]++
		default:
			t.count["bad"]++
		}
		if t.said == maxSaid {
			t.unsaid++
			continue
		}
		t.said++
		if k.Sight == keys.SightUnknown {
			w.log.Warn("cannot find out whether a key that signs is published: the name servers did not answer", "key",
				k.Name(), "shown", k.shown())
		} else {
			w.log.Error("the DNS does not show a key that signs, so receivers cannot verify our "+
				"mail: \"mailseal check --dns\" prints the record to publish",
				"key", k.Name(), "shown", k.shown())
		}
	}
}

// shown is what the first server that disagrees shows of a key, in a sentence.
func (s Seen) shown() string {
	if s.Err != nil {
		return s.Err.Error()
	}
	for _, server := range s.Servers {
		for _, f := range server.View.Findings {
			if f.Harms || f.Cause == keydns.NoAnswer {
				return server.Server + ": " + f.Text
			}
		}
	}
	return string(s.Sight)
}

// fallBack has the youngest retiring key that is published sign for an active one that is not. When
// nothing is to fall back any more, every key signs for itself.
func (w *Watcher) fallBack(p Watch, seen []Seen) {
	fallen := p.Signers.FallenBack()
	names := map[string]string{}
	if p.FallBack {
		names = replacements(seen, fallen)
	}
	for name, before := range names {
		if fallen[name] != before {
			w.log.Warn("the previous key signs until the DNS shows the current one (rotation.fall_back)", "key",
				name, "signs", before)
		}
	}
	for name := range fallen {
		if names[name] == "" {
			w.log.Info("the current key signs again, since the DNS shows it", "key", name)
		}
	}
	if err := p.Signers.FallBack(names, p.Rotator.o.Now()); err != nil {
		w.log.Error("fallback.json cannot be written, so after a restart keys sign that the DNS "+
			"does not show", "error", err)
	}
}

// replacements are the keys that are to sign in place of active ones: names by names. A server that
// does not answer is no reason, and no reason to end it.
func replacements(seen []Seen, fallen map[string]string) map[string]string {
	names := map[string]string{}
	for _, k := range signing(seen) {
		switch {
		case k.Vendor || k.Sight == keys.SightKey:
		case k.Sight == keys.SightUnknown:
			if other, fell := fallen[k.Name()]; fell {
				names[k.Name()] = other
			}
		default:
			if before := predecessor(k, seen); before != "" {
				names[k.Name()] = before
			}
		}
	}
	return names
}

// predecessor is the name of the youngest retiring key like k that every server shows, "" when
// there is none.
func predecessor(k Seen, seen []Seen) string {
	out, youngest := "", time.Time{}
	for _, p := range seen {
		isLike := p.Domain == k.Domain && p.Algorithm == k.Algorithm && !p.Vendor
		if isLike && p.Stage == keys.Retiring && p.Sight == keys.SightKey &&
			p.Since.After(youngest) {
			out, youngest = p.Name(), p.Since
		}
	}
	return out
}
