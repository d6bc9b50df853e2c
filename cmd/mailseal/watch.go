package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/keydns"
)

// watcher compares what the daemon signs with and what the name servers show, every rotation.watch; it rotates the keys
// of the state directory when rotation.every is set, and has the key before sign where rotation.fall_back is.
type watcher struct {
	log     *slog.Logger
	metrics *metrics
	parts   atomic.Pointer[assembly.Parts]
	changed chan struct{} // after a reload the interval may be another one

	fallen map[string]string // the keys that sign in place of others, as of the last pass
}

func newWatcher(log *slog.Logger, m *metrics, p *assembly.Parts) *watcher {
	w := &watcher{log: log, metrics: m, changed: make(chan struct{}, 1)}
	w.parts.Store(p)
	return w
}

// reloaded hands over the parts that are in force now.
func (w *watcher) reloaded(p *assembly.Parts) {
	w.parts.Store(p)
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// How long after the start the first pass comes: not in the way of mail that has waited, but at once where a key may be
// signing that the DNS has not shown for days, since falling back is forgotten when the daemon ends.
const (
	firstWatch        = time.Minute
	firstWatchFalling = time.Second
)

func (w *watcher) first() time.Duration {
	if w.parts.Load().Config.Rotation.FallBack {
		return min(firstWatchFalling, w.interval())
	}
	return min(firstWatch, w.interval())
}

// run makes passes until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for interval := w.first(); ; interval = w.interval() {
		var due <-chan time.Time
		if interval > 0 {
			due = time.After(interval)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		case <-due:
			w.tryPass(ctx)
		}
	}
}

// interval between passes; 0 for none.
func (w *watcher) interval() time.Duration {
	switch cfg := w.parts.Load().Config; {
	case !cfg.Signs():
		return 0
	case cfg.Rotation.Watch > 0:
		return cfg.Rotation.Watch
	case cfg.Rotation.Every > 0:
		return time.Hour
	}
	return 0
}

// tryPass survives a bug of ours: mail matters more.
func (w *watcher) tryPass(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("panic", "in", "the watch over the keys", "error", fmt.Errorf("%v", v))
		}
	}()
	p := w.parts.Load()
	r, err := newRotator(p.Config)
	if err != nil {
		w.log.Error("the keys cannot be compared with the DNS", "error", err)
		return
	}
	w.pass(ctx, p, r)
}

// pass rotates, compares and falls back, as far as the configuration wants it.
func (w *watcher) pass(ctx context.Context, p *assembly.Parts, r *rotator) {
	if p.Config.Rotation.Every > 0 {
		w.rotate(ctx, r)
		if p.Managed != nil {
			p.Managed.Look()
		}
	}
	if p.Config.Rotation.Watch <= 0 {
		return
	}
	_, seen, err := r.view(ctx, nil)
	if err != nil {
		w.log.Error("the keys cannot be compared with the DNS", "error", err)
		return
	}
	if p.Config.Rotation.FallBack && p.Managed != nil {
		w.fallBack(p.Managed, seen)
	}
	var t findings
	w.compare(&t, signing(seen))
	w.compare(&t, w.configured(ctx, p, r))
	w.compareRemembered(ctx, &t, p, r)
	if ctx.Err() != nil {
		return // half a pass says nothing
	}
	if t.unsaid > 0 {
		w.log.Error("more keys that the DNS does not show, or that could not be looked up, than are logged one by one", "more", t.unsaid)
	}
	w.metrics.Watched(t.count)
}

func (w *watcher) rotate(ctx context.Context, r *rotator) {
	events, err := r.rotate(ctx, nil)
	if err != nil {
		w.log.Error("the keys cannot be rotated", "error", err)
	}
	for _, e := range events {
		if e.Step != "" {
			w.log.Info("key "+string(e.Step), "key", e.Name)
		}
		switch {
		case e.Publish != nil:
			w.log.Warn("a key waits: "+e.Waits, "key", e.Name, "publish", e.Publish.Line())
		case e.Waits != "":
			w.log.Info("a key waits: "+e.Waits, "key", e.Name)
		}
	}
}

// signing are the keys that mail is signed with now: of the state directory's, the active ones.
func signing(seen []seenKey) []seenKey {
	var out []seenKey
	for _, k := range seen {
		if k.Stage == keys.Active || k.Vendor && k.Stage == keys.Published {
			out = append(out, k)
		}
	}
	return out
}

// configured looks at the keys that the configuration itself names, in files and in sources.
func (w *watcher) configured(ctx context.Context, p *assembly.Parts, r *rotator) []seenKey {
	if p.Keys == nil {
		return nil
	}
	var wanted []keylife.Key
	for _, want := range assembly.Records(ctx, p.Table, assembly.UsedPlacements(p.Config), nil) {
		wanted = append(wanted, watched(want))
	}
	return r.look(ctx, wanted)
}

// watched is the record in the form that the rotator looks for.
func watched(r assembly.Record) keylife.Key {
	selector := r.Name[:len(r.Name)-len("._domainkey.")-len(r.Domain)]
	return keylife.Key{Domain: r.Domain, Selector: selector, Text: r.Text, Fingerprint: r.Fingerprint}
}

// findings are what a pass has found so far.
type findings struct {
	count  map[string]int // good, bad and unknown
	said   int            // lines logged
	unsaid int            // lines not logged, since there were enough
}

// maxSaid bounds the lines that one pass logs: a zone that is gone can make a hundred thousand keys wrong at once.
const maxSaid = 100

// compare logs and counts.
func (w *watcher) compare(t *findings, seen []seenKey) {
	if t.count == nil {
		t.count = map[string]int{}
	}
	for _, k := range seen {
		switch k.sight {
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
		if k.sight == keys.SightUnknown {
			w.log.Warn("it could not be found out whether the key that signs is published", "key", k.Name(), "shown", shown(k))
		} else {
			w.log.Error("the DNS does not show the key that signs: receivers cannot verify our mail", "key", k.Name(), "shown", shown(k))
		}
	}
}

// shown is what the first server that disagrees shows of a key, in a sentence.
func shown(k seenKey) string {
	if k.err != nil {
		return k.err.Error()
	}
	for _, s := range k.seen {
		for _, f := range s.View.Findings {
			if f.Harms || f.Cause == keydns.NoAnswer {
				return s.Server + ": " + f.Text
			}
		}
	}
	return string(k.sight)
}

// fallBack has the youngest retiring key that is published sign for an active one that is not. A server that does not
// answer is no reason.
func (w *watcher) fallBack(source *keylife.Source, seen []seenKey) {
	names := map[string]string{}
	for _, k := range signing(seen) {
		if k.Vendor || k.sight == keys.SightKey || k.sight == keys.SightUnknown {
			if other, fell := w.fallen[k.Name()]; fell && k.sight == keys.SightUnknown {
				names[k.Name()] = other // until it is known better
			}
			continue
		}
		if before := predecessor(k, seen); before != "" {
			names[k.Name()] = before
		}
	}
	for name, before := range names {
		if w.fallen[name] != before {
			w.log.Warn("the key before signs again, until the DNS shows the one that should", "key", name, "signs", before)
		}
	}
	for name := range w.fallen {
		if names[name] == "" {
			w.log.Info("the key signs again", "key", name)
		}
	}
	w.fallen = names
	source.FallBack(names)
}

// predecessor is the name of the youngest retiring key like k that every server shows, "" when there is none.
func predecessor(k seenKey, seen []seenKey) string {
	out, youngest := "", time.Time{}
	for _, p := range seen {
		if p.Stage == keys.Retiring && !p.Vendor && p.Domain == k.Domain && p.Algorithm == k.Algorithm && p.sight == keys.SightKey && p.Since.After(youngest) {
			out, youngest = p.Name(), p.Since
		}
	}
	return out
}
