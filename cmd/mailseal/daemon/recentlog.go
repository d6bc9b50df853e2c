package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"mailseal/cmd/mailseal/control"
)

const (
	// maxRecent is how many errors and how many warnings are remembered for "mailseal status".
	// Warnings do not drive out errors. Strangers may fill it by mail that is logged as a warning;
	// older lines are in the log.
	maxRecent = 10

	// maxRecentLine bounds each of them, in bytes.
	maxRecentLine = 400
)

// memory is what is remembered of a log.
type memory struct {
	now func() time.Time

	mu       sync.Mutex
	day      time.Time
	errors   uint64 // of the day
	warnings uint64 // of the day
	last     map[slog.Level][]control.Record
}

// recentHandler is a handler that remembers the latest warnings and errors, and passes all on.
type recentHandler struct {
	slog.Handler
	to    *memory
	attrs []slog.Attr // of WithAttrs, those of the groups included
}

// withRecent returns a logger that to remembers.
func withRecent(log *slog.Logger, to *memory) *slog.Logger {
	return slog.New(recentHandler{Handler: log.Handler(), to: to})
}

// Enabled implements slog.Handler. Lines below the level of the log are remembered, too.
func (r recentHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || r.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (r recentHandler) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelWarn {
		r.to.add(rec, r.attrs)
	}
	if !r.Handler.Enabled(ctx, rec.Level) {
		return nil
	}
	return r.Handler.Handle(ctx, rec)
}

// WithAttrs implements slog.Handler.
func (r recentHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return recentHandler{r.Handler.WithAttrs(a), r.to, slices.Concat(r.attrs, a)}
}

// WithGroup implements slog.Handler. The daemon's log has no groups: their attributes are
// remembered without their name.
func (r recentHandler) WithGroup(name string) slog.Handler {
	return recentHandler{r.Handler.WithGroup(name), r.to, r.attrs}
}

// add remembers a record as the text handler writes it, without the time and the level.
func (m *memory) add(rec slog.Record, attrs []slog.Attr) {
	var text bytes.Buffer
	h := slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: lineOnly}).WithAttrs(attrs)
	_ = h.Handle(context.Background(), rec) // a buffer takes all
	line := shorten(strings.TrimSuffix(text.String(), "\n"))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	level := slog.LevelWarn
	if rec.Level >= slog.LevelError {
		level = slog.LevelError
		m.errors++
	} else {
		m.warnings++
	}
	if m.last == nil {
		m.last = map[slog.Level][]control.Record{}
	}
	list := append(m.last[level], control.Record{Time: m.now(), Level: level.String(), Text: line})
	if len(list) > maxRecent {
		list = list[1:]
	}
	m.last[level] = list
}

// shorten cuts what is shown on one line.
func shorten(line string) string {
	if len(line) <= maxRecentLine {
		return line
	}
	return strings.ToValidUTF8(line[:maxRecentLine], "") + "…"
}

// turn begins a new day if there is one.
func (m *memory) turn() {
	if today := m.now().UTC().Truncate(24 * time.Hour); m.day.Before(today) {
		m.day, m.errors, m.warnings = today, 0, 0
	}
}

// lineOnly leaves out what a control.Record has fields for.
func lineOnly(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return masked(groups, a)
}

// log returns what is remembered.
func (m *memory) log() control.Log {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	out := control.Log{Errors: m.errors, Warnings: m.warnings, Last: []control.Record{}}
	for _, level := range []slog.Level{slog.LevelError, slog.LevelWarn} {
		for _, r := range slices.Backward(m.last[level]) {
			out.Last = append(out.Last, r)
		}
	}
	return out
}
