package shadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Recorder compares messages, writes a line for each, and counts.
type Recorder struct {
	log, trouble *slog.Logger
	comparer     *comparer // for the goroutine of run alone
	isFull       bool      // the log could not be written; for the goroutine of run alone
	missing      int64     // lines that could not be written since the last one that was; likewise

	entries chan entry
	size    atomic.Int64 // octets of those that wait
	done    chan struct{}
	missed  atomic.Int64 // entries for which there was no room

	mu  sync.Mutex
	sum Summary
}

// entry is what is to be recorded, and about how many octets it keeps.
type entry struct {
	record func()
	size   int
}

// What waits for the log at most.
const (
	waiting     = 4096
	waitingSize = 16 << 20
)

// NewRecorder returns a Recorder that writes to log, and to trouble when that cannot be written.
// Both may be nil. Differences of the kinds in ignore are not reported. Close ends it.
func NewRecorder(log, trouble *slog.Logger, ignore ...string) *Recorder {
	r := &Recorder{log: orDiscard(log), trouble: orDiscard(trouble), comparer: newComparer(ignore),
		entries: make(chan entry, waiting), done: make(chan struct{}), sum: newSummary()}
	go r.run()
	return r
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// ErrStuck reports that the log could no longer be written.
var ErrStuck = errors.New("the log cannot be written")

// Close writes what waits, and gives up after a time. No Proxy may still use the Recorder. The
// error is nil or ErrStuck.
func (r *Recorder) Close(wait time.Duration) error {
	close(r.entries)
	select {
	case <-r.done:
		return nil
	case <-time.After(wait):
		return ErrStuck
	}
}

// enter takes what is to be recorded without ever waiting.
func (r *Recorder) enter(size int, record func()) {
	if r.size.Add(int64(size)) <= waitingSize {
		select {
		case r.entries <- entry{record, size}:
			return
		default:
		}
	}
	r.size.Add(-int64(size))
	r.missed.Add(1)
}

func (r *Recorder) run() {
	defer close(r.done)
	defer r.guarded(func() { _ = r.catchUp() }) // who has lost lines, and writes no more of them
	for e := range r.entries {
		r.guarded(e.record)
		r.size.Add(-int64(e.size))
		if n := r.missed.Swap(0); n > 0 {
			r.guarded(func() { r.lose(n) })
		}
	}
}

// guarded records one entry. One that panics counts once: as what it is, or, if it did not come to
// that, as not judged.
func (r *Recorder) guarded(record func()) {
	before := r.sum.lines() // nothing else changes it
	defer func() {
		if v := recover(); v != nil {
			if r.sum.lines() == before {
				r.count(func(s *Summary) {
					s.add(map[string]string{"msg": eventNotJudged, "why": whyPanic})
				})
			}
			r.trouble.Error("panic: a bug in Mailseal, please report this line", "in", "comparison",
				"error", fmt.Sprint(v))
		}
	}()
	record()
}

// What the lines say in msg. A Summary is made of them.
const (
	eventSame      = "same"
	eventDiffers   = "differs"
	eventNotJudged = "not judged"
	eventAborted   = "aborted by the client"
	eventSession   = "session decided by the old milter"
	eventUnreached = "old milter unreached"
	eventBroken    = "connection ended by the old milter"
	eventUnlogged  = "lines missing"

	// Nothing differs of what was compared, and some signatures were not.
	eventNotCompared = "not compared"
)

// report takes a message on which both filters have spoken.
func (r *Recorder) report(p *pair) { r.enter(p.size(), func() { r.record(p) }) }

// unreached takes a connection for which there was no upstream.
func (r *Recorder) unreached(err error) {
	r.enter(itemCost, func() { r.event(eventUnreached, slog.String("error", err.Error())) })
}

// broke takes a connection that the upstream ended, and not the MTA.
func (r *Recorder) broke(err error) {
	r.enter(itemCost, func() { r.event(eventBroken, slog.String("error", err.Error())) })
}

// session takes one on which the upstream decided before any message.
func (r *Recorder) session(verdict string) {
	r.enter(itemCost, func() { r.event(eventSession, slog.String("verdict", verdict)) })
}

// record compares one message and writes its line.
func (r *Recorder) record(p *pair) {
	p.mu.Lock()
	theirs, ours := p.theirs, p.ours
	about := []slog.Attr{slog.String("queue", p.queue), slog.String("sender", clip(p.sender)),
		slog.String("author", clip(p.author))}
	p.mu.Unlock()
	if theirs.fate == aborted {
		r.event(eventAborted, about...)
		return
	}
	old := theirs.outcome()
	if theirs.fate == unjudged {
		r.event(eventNotJudged, append(about, slog.String("why", theirs.why))...)
		return
	}
	if ours.fate == unjudged {
		r.event(eventNotJudged, append(about, slog.String("why", ours.why),
			slog.String("verdict", old.Verdict), slog.String("signed", text(old.Signed)))...)
		return
	}
	r.compared(about, old, ours.outcome(), ours.fate == partly)
}

// compared writes the line of a message on which both filters have spoken. A message is the same
// only if all of it was compared: where the signatures are of different domains or algorithms and
// that is to be ignored, it is not compared.
func (r *Recorder) compared(about []slog.Attr, old, now Outcome, bodiless bool) {
	found := r.comparer.compare(old, now, bodiless)
	if bodiless {
		about = append(about, slog.Bool("body_unseen", true))
	}
	if len(found.alone) > 0 {
		about = append(about, slog.String("not_compared", clip(text(found.alone))))
	}
	if len(found.differ) > 0 {
		r.event(eventDiffers, append(about, details(found.differ)...)...)
		return
	}
	what := eventSame
	if len(found.alone) > 0 {
		what = eventNotCompared
	}
	r.event(what, append(about, slog.String("verdict", old.Verdict),
		slog.String("signed", text(old.Signed)),
		slog.String("results", results(old)))...)
}

// details are the fields of a line that say what differs: the kinds, and for each what both filters
// say. Of the fields that are signed it is those that one filter signs and the other one does not.
func details(differ []Difference) []slog.Attr {
	var in []string
	var out []slog.Attr
	for _, d := range differ {
		in = append(in, d.Kind)
		theirs, ours := d.Kind+"_theirs", d.Kind+"_ours"
		if d.Kind == "fields" {
			theirs, ours = "only_theirs", "only_ours"
		}
		out = append(out, slog.String(theirs, clip(d.Theirs)), slog.String(ours, clip(d.Ours)))
	}
	return append([]slog.Attr{slog.String("in", strings.Join(in, ","))}, out...)
}

// event counts a line and writes it.
func (r *Recorder) event(what string, about ...slog.Attr) {
	fields := map[string]string{"msg": what}
	for _, a := range about {
		fields[a.Key] = a.Value.String()
	}
	r.count(func(s *Summary) { s.add(fields) })
	level := slog.LevelInfo
	if what == eventDiffers || what == eventUnreached || what == eventBroken ||
		what == eventUnlogged {
		level = slog.LevelWarn
	}
	r.line(level, what, about)
}

// line writes a line past slog's Logger, which would not tell that it could not be written: a disk
// that is full is reported once, and the lines that are missing are counted. The log says how many
// there are as soon as it can be written again, where they are missing.
func (r *Recorder) line(level slog.Level, what string, about []slog.Attr) {
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	err := r.catchUp()
	if err == nil {
		err = r.write(level, what, about)
	}
	if err != nil {
		r.lose(1)
	}
	if isFull := err != nil; isFull != r.isFull {
		r.isFull = isFull
		r.reportFull(err)
	}
}

// missingLines is the field of eventUnlogged that says how many lines are missing.
const missingLines = "lines"

// lose notes lines that are not in the log.
func (r *Recorder) lose(n int64) {
	r.missing += n
	r.count(func(s *Summary) { s.Unlogged += int(n) })
}

// catchUp writes how many lines are missing since the last one that was written.
func (r *Recorder) catchUp() error {
	if r.missing == 0 {
		return nil
	}
	err := r.write(slog.LevelWarn, eventUnlogged, []slog.Attr{slog.Int64(missingLines, r.missing)})
	if err == nil {
		r.missing = 0
	}
	return err
}

func (r *Recorder) write(level slog.Level, what string, about []slog.Attr) error {
	record := slog.NewRecord(time.Now(), level, what, 0)
	record.AddAttrs(about...)
	return r.log.Handler().Handle(context.Background(), record)
}

func (r *Recorder) reportFull(err error) {
	if err == nil {
		r.trouble.Info("the log can be written again")
		return
	}
	r.trouble.Error(
		"the log cannot be written; mail is not affected, and missing lines are counted", "error",
		err)
}

// results writes what a filter found.
func results(v Outcome) string {
	var out []string
	for _, m := range []struct {
		name string
		list []string
	}{{"dkim", v.DKIM}, {"spf", v.SPF}, {"dmarc", v.DMARC}} {
		for _, s := range m.list {
			out = append(out, m.name+"="+s)
		}
	}
	return text(out)
}

// clip bounds what a stranger can put into a line.
func clip(s string) string { return s[:min(len(s), maxDetail)] }

const maxDetail = 512

func (r *Recorder) count(f func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.sum)
}

// Summary returns the counts.
func (r *Recorder) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum.clone()
}

func number(n int) string { return strconv.Itoa(n) }
