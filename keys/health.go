package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// patience is how long a caller waits for an answer that memory could give as well, or for the
	// probe of a source that hangs. A source that is well answers in some milliseconds.
	patience = 500 * time.Millisecond

	// retryAfter is the time from the failure of one probe to the next.
	retryAfter = time.Second

	// maxBehind bounds the questions that are in progress for answers that were given from memory.
	// They share a source's connections with those that mail waits for, so they are fewer than
	// keysql has connections.
	maxBehind = 8
)

// health is what a Cache knows of its source: whether it is away, whether it hangs, and who may ask
// it.
//
// A source is away when the last question failed, and hangs when questions take longer than
// patience. An away source gets one question at a time, a probe, and none for a second after one
// that failed. Everything that memory holds is answered from it meanwhile. What it does not hold is
// asked for all the same if the source fails at once, as one that refuses connections does; if it
// hangs, that fails at once, or else each message would wait out the time-out.
type health struct {
	behind chan struct{} // one place for each question in the background

	mu       sync.Mutex
	answered bool      // at least once
	away     bool      // the last question failed
	hangs    bool      // a question took longer than patience, and none has been answered since
	probing  bool      // a probe is in progress
	retry    time.Time // no probe before
	cause    error     // why the last question failed
}

func newHealth() health { return health{behind: make(chan struct{}, maxBehind)} }

// isFailure reports whether an error means that the source is away, rather than that it answered
// something useless.
func isFailure(err error) bool { return err != nil && !errors.Is(err, ErrAnswer) }

// role is the purpose of a background question, passed in its context.
type role int

const (
	refreshing role = iota + 1 // an answer that is still good for a while
	probing                    // finding out whether the source is back
)

type roleKey struct{}

func as(ctx context.Context, r role) context.Context { return context.WithValue(ctx, roleKey{}, r) }

// done gives back what a question was let in with.
func (h *health) done(ctx context.Context) {
	switch ctx.Value(roleKey{}) {
	case refreshing:
		<-h.behind
	case probing:
		h.endProbe()
	}
}

func (h *health) endProbe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probing = false
}

// turn notes how a question ended, and reports whether the source has gone or come back with it.
// One that gave an answer is there, even if the answer cannot be used.
func (h *health) turn(now time.Time, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.away
	h.away = isFailure(err)
	if h.away {
		h.retry, h.cause = now.Add(retryAfter), err
	} else {
		h.answered, h.hangs, h.cause = true, false, nil
	}
	return h.away != was
}

// hang notes that a question took longer than patience.
func (h *health) hang() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hangs = true
}

// isSick reports whether memory is to be preferred to the source.
func (h *health) isSick() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away || h.hangs
}

// isStuck reports whether a question that memory cannot answer would wait for nothing.
func (h *health) isStuck() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away && h.hangs
}

// mayProbe reports whether it is time for a probe, which the caller then makes.
func (h *health) mayProbe(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.probing || now.Before(h.retry) {
		return false
	}
	h.probing = true
	return true
}

// unasked is the error for a question that a source which hangs is not asked.
func (h *health) unasked() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Errorf("the source of keys is unavailable, and tried again once a second: %w",
		h.cause)
}

// IsAway reports whether the source failed when it was last asked.
func (c *Cache) IsAway() bool {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return c.health.away
}

// HasAnswered reports whether the source has answered at least once.
func (c *Cache) HasAnswered() bool {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return c.health.answered
}

// askAgain answers a question whose answer in memory is past its time, and may still be given:
// there are keys. How long a well source may be behind its answers is bounded by twice the TTL;
// beyond that, the caller waits for it.
func (c *Cache) askAgain(ctx context.Context, q question, e *entry, now time.Time) ([]Key, error) {
	switch {
	case c.health.isSick():
		c.probe(ctx, q, now)
	case now.Before(e.Fresh.Add(c.options.TTL)):
		c.refresh(ctx, q)
	default:
		found, err := c.askBriefly(ctx, q)
		if !errors.Is(err, errSlow) {
			return found, err
		}
	}
	c.Counters.Stale.Add(1)
	return e.Value, nil
}

// askUnknown asks the source for what memory does not hold.
func (c *Cache) askUnknown(ctx context.Context, q question, now time.Time) ([]Key, error) {
	if !c.health.isStuck() {
		return c.memory.Wait(ctx, q)
	}
	if c.probe(ctx, q, now) {
		found, err := c.askBriefly(ctx, q)
		if !errors.Is(err, errSlow) {
			return found, err
		}
	}
	c.Counters.Failures.Add(1)
	return nil, c.health.unasked()
}

// errSlow means that an answer did not come within patience.
var errSlow = errors.New("no answer yet")

// askBriefly waits for an answer as long as patience lasts, and then no longer; the question goes
// on.
func (c *Cache) askBriefly(ctx context.Context, q question) ([]Key, error) {
	brief, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	found, err := c.memory.Wait(brief, q)
	if errors.Is(err, errSlow) {
		c.health.hang()
	}
	return found, err
}

// refresh asks for an answer again that has just been given from memory, unless enough such
// questions are in progress: then the next caller does.
func (c *Cache) refresh(ctx context.Context, q question) {
	select {
	case c.health.behind <- struct{}{}:
		if !c.memory.Refresh(as(ctx, refreshing), q) {
			<-c.health.behind
		}
	default:
	}
}

// probe asks a source that is sick whether it is back, if it is time for that, and reports whether
// it did.
func (c *Cache) probe(ctx context.Context, q question, now time.Time) bool {
	if !c.health.mayProbe(now) {
		return false
	}
	if !c.memory.Refresh(as(ctx, probing), q) { // the same question is in progress
		c.health.endProbe()
	}
	return true
}
