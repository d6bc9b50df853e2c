package shadow

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
)

// Recorder compares messages, writes a line for each, and counts.
type Recorder struct {
	log      *slog.Logger
	comparer *comparer // for the goroutine of run alone

	pairs     chan *pair
	done      chan struct{}
	unlogged  atomic.Int64 // messages for which the log had no room
	unseen    atomic.Int64 // sessions that the upstream decided on before any message
	unreached atomic.Int64

	mu  sync.Mutex
	sum Summary
}

// Summary says what was seen since the start.
type Summary struct {
	Messages  int            `json:"messages"`
	Same      int            `json:"same"`
	Differing int            `json:"differing"`
	Kinds     map[string]int `json:"kinds"`      // messages that differ, by what in
	NotJudged map[string]int `json:"not_judged"` // messages, by the reason
	Aborted   int            `json:"aborted"`    // messages that the client gave up; not among Messages
	Sessions  int64          `json:"sessions"`   // that the upstream accepted or refused before any message
	Unreached int64          `json:"unreached"`  // connections for which the upstream could not be reached
	Unlogged  int64          `json:"unlogged"`   // messages that were dropped because the log was too slow
}

// waiting is how many messages wait for the log.
const waiting = 4096

// NewRecorder returns a Recorder that writes to log. Close ends it.
func NewRecorder(log *slog.Logger) *Recorder {
	r := &Recorder{log: log, comparer: newComparer(), pairs: make(chan *pair, waiting), done: make(chan struct{})}
	r.sum.Kinds, r.sum.NotJudged = map[string]int{}, map[string]int{}
	go r.run()
	return r
}

// Close writes what waits. No Proxy may still use the Recorder.
func (r *Recorder) Close() {
	close(r.pairs)
	<-r.done
}

// report takes a message without ever waiting.
func (r *Recorder) report(p *pair) {
	select {
	case r.pairs <- p:
	default:
		r.unlogged.Add(1)
	}
}

func (r *Recorder) run() {
	defer close(r.done)
	for p := range r.pairs {
		r.record(p)
	}
}

// record compares one message and writes its line.
func (r *Recorder) record(p *pair) {
	defer func() {
		if v := recover(); v != nil {
			r.count(func(s *Summary) { s.Messages++; s.NotJudged[whyPanic]++ })
			r.log.Error("panic", "error", fmt.Sprint(v))
		}
	}()
	p.mu.Lock()
	theirs, ours := p.theirs, p.ours
	about := []slog.Attr{slog.String("queue", p.queue), slog.String("sender", clip(p.sender)), slog.String("author", clip(p.author))}
	p.mu.Unlock()
	if theirs.fate == aborted {
		r.count(func(s *Summary) { s.Aborted++ })
		return
	}
	old := theirs.view()
	if ours.fate == unjudged {
		r.count(func(s *Summary) { s.Messages++; s.NotJudged[reason(ours.why)]++ })
		r.line(slog.LevelInfo, "not judged", about, slog.String("why", ours.why), slog.String("verdict", old.Verdict), slog.String("signed", text(old.Signed)))
		return
	}
	r.compared(about, old, ours.view(), ours.fate == partly)
}

// compared writes the line of a message on which both filters have spoken.
func (r *Recorder) compared(about []slog.Attr, old, now View, bodiless bool) {
	differ := r.comparer.compare(old, now, bodiless)
	r.count(func(s *Summary) { s.add(differ) })
	if bodiless {
		about = append(about, slog.Bool("body_unseen", true))
	}
	if len(differ) == 0 {
		r.line(slog.LevelInfo, "same", about, slog.String("verdict", old.Verdict), slog.String("signed", text(old.Signed)),
			slog.String("results", results(old)))
		return
	}
	var in []string
	var details []slog.Attr
	for _, d := range differ {
		in = append(in, d.Kind)
		details = append(details, slog.String(d.Kind+"_theirs", clip(d.Theirs)), slog.String(d.Kind+"_ours", clip(d.Ours)))
	}
	r.line(slog.LevelWarn, "differs", append(about, slog.String("in", strings.Join(in, ","))), details...)
}

func (r *Recorder) line(level slog.Level, what string, about []slog.Attr, more ...slog.Attr) {
	r.log.LogAttrs(context.Background(), level, what, append(about, more...)...)
}

// results writes what a filter found.
func results(v View) string {
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

// reason returns what a reason is counted under: errors of the network are one.
func reason(why string) string {
	what, _, _ := strings.Cut(why, ":")
	return what
}

// clip bounds what a stranger can put into a line.
func clip(s string) string { return s[:min(len(s), 256)] }

func (r *Recorder) count(f func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.sum)
}

func (s *Summary) add(differ []Difference) {
	s.Messages++
	if len(differ) == 0 {
		s.Same++
		return
	}
	s.Differing++
	for _, d := range differ {
		s.Kinds[d.Kind]++
	}
}

// Summary returns the counts.
func (r *Recorder) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sum
	s.Kinds, s.NotJudged = maps.Clone(s.Kinds), maps.Clone(s.NotJudged)
	s.Sessions, s.Unreached, s.Unlogged = r.unseen.Load(), r.unreached.Load(), r.unlogged.Load()
	return s
}

// WriteTable writes the counts as a table, without rows that say nothing.
func (s Summary) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(n int64, what string) { fmt.Fprintf(t, "%d\t  %s\n", n, what) }
	some := func(n int64, what string) {
		if n > 0 {
			row(n, what)
		}
	}
	row(int64(s.Messages), "messages")
	row(int64(s.Same), "same")
	row(int64(s.Differing), "differ")
	for _, k := range kinds {
		some(int64(s.Kinds[k]), "differ in: "+k)
	}
	for _, why := range slices.Sorted(maps.Keys(s.NotJudged)) {
		row(int64(s.NotJudged[why]), "not judged: "+why)
	}
	some(int64(s.Aborted), "more given up by the client")
	some(s.Sessions, "sessions decided by the upstream before any message")
	some(s.Unreached, "connections for which the upstream could not be reached")
	some(s.Unlogged, "more not logged: the log was too slow")
	return t.Flush()
}

func number(n int) string { return strconv.Itoa(n) }
