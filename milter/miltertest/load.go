package miltertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load is how a milter is measured.
type Load struct {
	Count         int           // messages; 0: until Duration is over
	Duration      time.Duration // 0: until Count is reached
	Rate          float64       // messages a second; 0: as many as possible
	Concurrency   int           // connections at a time
	PerConnection int           // messages for each connection
	// bytes of the body of a message that is made up; 0: messages are given
	Size int
}

// maxSize is more than any MTA takes by default.
const maxSize = 1 << 30

// IsWanted reports whether there is anything to measure.
func (l Load) IsWanted() bool { return l.Count > 0 || l.Duration > 0 || l.Rate > 0 }

// Check reports a load that makes no sense, by the flag of "mailseal mta".
func (l Load) Check() error {
	switch {
	case l.Count < 0 || l.Duration < 0 || l.Rate < 0 || l.Size < 0 || math.IsInf(l.Rate, 0) ||
		math.IsNaN(l.Rate):
		return errors.New("--count, --duration, --rate and --size cannot be less than nothing")
	case l.Concurrency < 1 || l.Concurrency > 10000:
		return errors.New("--concurrency is from 1 to 10000")
	case l.Size > maxSize:
		return fmt.Errorf("--size is at most %d", maxSize)
	case l.PerConnection < 1:
		return errors.New("--per-connection is at least 1")
	case l.Rate > 0 && l.Count == 0 && l.Duration == 0:
		return errors.New("--rate needs --count or --duration")
	}
	return nil
}

// MadeUp is a message with a body of the given size, in lines of common length.
func MadeUp(envelope Message, size int) []byte {
	header := fmt.Sprintf("From: Sender <%s>\r\nTo: Recipient <%s>\r\nSubject: A message that was made up\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		cmp.Or(envelope.From, "user@example.com"), strings.Join(envelope.To, ">, <"))
	const line = "No one has to read  what stands here, but it has to be hashed in full. \r\n"
	body := strings.Repeat(line, size/len(line)+1)[:max(size, 2)-2]
	return []byte(header + body + "\r\n")
}

// measurement is a Load at work, and what was measured so far.
type measurement struct {
	Load
	dial     func(context.Context) (*Conn, error)
	messages []Message
	start    time.Time

	next     atomic.Int64 // messages begun
	refused  atomic.Int64
	edited   atomic.Int64
	octets   atomic.Int64
	mu       sync.Mutex
	took     []time.Duration
	failures []error
}

// Measure sends messages over several connections at a time to a milter that dial reaches, and
// returns how fast that was. The error is the reason why connections failed; the figures are valid
// nevertheless. The end of the context is not an error.
func (l Load) Measure(ctx context.Context, dial func(context.Context) (*Conn, error),
	messages []Message) (Figures, error) {
	if l.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.Duration)
		defer cancel()
	}
	m := measurement{Load: l, dial: dial, messages: messages, start: time.Now()}
	var workers sync.WaitGroup
	for range l.Concurrency {
		workers.Go(func() { m.work(ctx) })
	}
	workers.Wait()
	figures := m.figures(time.Since(m.start))
	if len(m.failures) > 0 {
		return figures, fmt.Errorf("%d connections failed, the first of them: %w", len(m.failures),
			m.failures[0])
	}
	return figures, nil
}

// work opens one connection after the other until there is no more to send. A failure ends it: a
// milter that is gone is not asked again and again.
func (m *measurement) work(ctx context.Context) {
	var took []time.Duration
	more, err := true, error(nil)
	for more && err == nil {
		more, err = m.session(ctx, &took)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, took...)
	if err != nil {
		m.failures = append(m.failures, err)
	}
}

// session is one connection. It returns whether there is more to send.
func (m *measurement) session(ctx context.Context, took *[]time.Duration) (bool, error) {
	var c *Conn
	for range m.PerConnection {
		n := m.next.Add(1)
		if !m.wait(ctx, m.start, n) {
			return false, quit(c)
		}
		if c == nil {
			var err error
			if c, err = m.dial(context.WithoutCancel(ctx)); err != nil {
				return false, err
			}
		}
		message := m.messages[int(n-1)%len(m.messages)]
		outcome, err := c.Send(message)
		if err != nil {
			return false, errors.Join(err, c.Close())
		}
		*took = append(*took, outcome.Took)
		m.count(message, outcome)
	}
	return true, quit(c)
}

func quit(c *Conn) error {
	if c == nil {
		return nil
	}
	return c.Quit()
}

// wait waits for the time of the n-th message. It is false when there is none.
func (l Load) wait(ctx context.Context, start time.Time, n int64) bool {
	if ctx.Err() != nil || l.Count > 0 && n > int64(l.Count) {
		return false
	}
	if l.Rate == 0 {
		return true
	}
	at := start.Add(time.Duration(float64(n-1) / l.Rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

func (m *measurement) count(sent Message, o Outcome) {
	if o.Refused() {
		m.refused.Add(1)
	}
	m.edited.Add(int64(min(len(o.Edits), 1)))
	m.octets.Add(int64(len(sent.Raw)))
}

// Figures are what was measured. Times are from MAIL to the reply, in milliseconds.
type Figures struct {
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

func (m *measurement) figures(elapsed time.Duration) Figures {
	slices.Sort(m.took)
	seconds := elapsed.Seconds()
	return Figures{
		Messages: len(m.took), Refused: m.refused.Load(), Edited: m.edited.Load(), Failures: len(m.failures),
		Seconds: seconds, Rate: float64(len(m.took)) / seconds, MBRate: float64(m.octets.Load()) / seconds / 1e6,
		P50: quantile(m.took, 0.5), P95: quantile(m.took, 0.95), P99: quantile(m.took, 0.99), Max: quantile(m.took, 1),
	}
}

// quantile returns the time that a share of the sorted times does not exceed, in milliseconds.
func quantile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return Milliseconds(sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)])
}

// Milliseconds is a duration in milliseconds, to the microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
