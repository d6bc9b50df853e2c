package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/miltertest"
)

// load is how a milter is measured.
type load struct {
	count       int
	duration    time.Duration
	rate        float64
	concurrency int
	perConn     int
	size        int
}

// maxSize is more than any MTA takes by default.
const maxSize = 1 << 30

// wanted tells whether there is anything to measure.
func (l *load) wanted() bool { return l.count > 0 || l.duration > 0 || l.rate > 0 }

func (l *load) check() error {
	switch {
	case l.count < 0 || l.duration < 0 || l.rate < 0 || l.size < 0 || math.IsInf(l.rate, 0) || math.IsNaN(l.rate):
		return errors.New("--count, --duration, --rate and --size cannot be less than nothing")
	case l.concurrency < 1 || l.concurrency > 10000:
		return errors.New("--concurrency is from 1 to 10000")
	case l.size > maxSize:
		return fmt.Errorf("--size is at most %d", maxSize)
	case l.perConn < 1:
		return errors.New("--per-connection is at least 1")
	case l.rate > 0 && l.count == 0 && l.duration == 0:
		return errors.New("--rate needs --count or --duration")
	}
	return nil
}

// madeUp is a message with a body of the given size, in lines of common length.
func madeUp(envelope miltertest.Message, size int) []byte {
	header := fmt.Sprintf("From: Sender <%s>\r\nTo: Recipient <%s>\r\nSubject: A message that was made up\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		cmp.Or(envelope.From, "user@example.com"), strings.Join(envelope.To, ">, <"))
	const line = "Nobody has to read  what stands here, but it has to be hashed in full. \r\n"
	body := strings.Repeat(line, size/len(line)+1)[:max(size, 2)-2]
	return []byte(header + body + "\r\n")
}

// tally is what was measured.
type tally struct {
	next     atomic.Int64 // messages begun
	refused  atomic.Int64
	edited   atomic.Int64
	octets   atomic.Int64
	mu       sync.Mutex
	took     []time.Duration
	failures []error
}

// measure sends messages over several connections at a time and tells how fast that was.
func (f *mtaFlags) measure(ctx context.Context, out io.Writer, o miltertest.Options, messages []mtaMessage) error {
	if f.load.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.load.duration)
		defer cancel()
	}
	var t tally
	var workers sync.WaitGroup
	start := time.Now()
	for range f.load.concurrency {
		workers.Go(func() { f.work(ctx, o, messages, start, &t) })
	}
	workers.Wait()
	if err := f.printTally(out, &t, time.Since(start)); err != nil {
		return err
	}
	switch {
	case len(t.failures) > 0:
		return exit(exitUnknown, fmt.Errorf("%d connections failed, the first of them: %w", len(t.failures), t.failures[0]))
	case t.refused.Load() > 0:
		return exit(exitBad, nil)
	}
	return nil
}

// work opens one connection after the other until there is no more to send. A failure ends it: a milter that is gone is
// not asked again and again.
func (f *mtaFlags) work(ctx context.Context, o miltertest.Options, messages []mtaMessage, start time.Time, t *tally) {
	var took []time.Duration
	more, err := true, error(nil)
	for more && err == nil {
		more, err = f.session(ctx, o, messages, start, t, &took)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, took...)
	if err != nil {
		t.failures = append(t.failures, err)
	}
}

// session is one connection. It returns whether there is more to send.
func (f *mtaFlags) session(ctx context.Context, o miltertest.Options, messages []mtaMessage, start time.Time, t *tally, took *[]time.Duration) (bool, error) {
	var c *miltertest.Conn
	for range f.load.perConn {
		n := t.next.Add(1)
		if !f.load.wait(ctx, start, n) {
			return false, quit(c)
		}
		if c == nil {
			var err error
			if c, err = f.dial(context.WithoutCancel(ctx), o); err != nil {
				return false, err
			}
		}
		m := messages[int(n-1)%len(messages)]
		outcome, err := c.Send(m.Message)
		if err != nil {
			return false, errors.Join(err, c.Close())
		}
		*took = append(*took, outcome.Took)
		t.count(m, outcome)
	}
	return true, quit(c)
}

func quit(c *miltertest.Conn) error {
	if c == nil {
		return nil
	}
	return c.Quit()
}

// wait waits for the time of the n-th message. It is false when there is none.
func (l *load) wait(ctx context.Context, start time.Time, n int64) bool {
	if ctx.Err() != nil || l.count > 0 && n > int64(l.count) {
		return false
	}
	if l.rate == 0 {
		return true
	}
	at := start.Add(time.Duration(float64(n-1) / l.rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

func (t *tally) count(m mtaMessage, o miltertest.Outcome) {
	if o.Refused() {
		t.refused.Add(1)
	}
	t.edited.Add(int64(min(len(o.Edits), 1)))
	t.octets.Add(int64(len(m.Raw)))
}

// figures are a tally as --json shows it.
type figures struct {
	Messages int     `json:"messages"`
	Refused  int64   `json:"refused"`
	Edited   int64   `json:"edited"`
	Failures int     `json:"failures"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"messages_per_second"`
	MBRate   float64 `json:"megabytes_per_second"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
}

func (t *tally) figures(elapsed time.Duration) figures {
	slices.Sort(t.took)
	seconds := elapsed.Seconds()
	return figures{
		Messages: len(t.took), Refused: t.refused.Load(), Edited: t.edited.Load(), Failures: len(t.failures),
		Seconds: seconds, Rate: float64(len(t.took)) / seconds, MBRate: float64(t.octets.Load()) / seconds / 1e6,
		P50: quantile(t.took, 0.5), P95: quantile(t.took, 0.95), P99: quantile(t.took, 0.99), Max: quantile(t.took, 1),
	}
}

// quantile returns the time that a share of the sorted times does not exceed, in milliseconds.
func quantile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return milliseconds(sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)])
}

func (f *mtaFlags) printTally(w io.Writer, t *tally, elapsed time.Duration) error {
	r := t.figures(elapsed)
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%d messages in %.2f s over %d connections at a time: %.1f/s, %.2f MB/s\n"+
		"%d edited, %d refused, %d connections failed\nfrom MAIL to the reply: p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, at most %.2f ms\n",
		r.Messages, r.Seconds, f.load.concurrency, r.Rate, r.MBRate, r.Edited, r.Refused, r.Failures, r.P50, r.P95, r.P99, r.Max)
	return err
}
