package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mailseal/cmd/mailseal/jobs"
)

// endpoint is a socket for operators, which mail does not depend on: where it cannot be opened, as
// when another process has the address, the daemon warns, serves mail, and tries again.
type endpoint struct {
	log *slog.Logger
	// what is missing while it is not open, "metrics are not served"
	what string
	open func(context.Context) error // nil: it is not wanted

	mu     sync.Mutex
	isOpen bool
	failed bool
}

// tryAgain is how long after a failure the next try comes.
const tryAgain = time.Minute

// try opens the endpoint, unless it is open, and logs the first failure and the success after it.
func (e *endpoint) try(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isOpen || e.open == nil {
		return
	}
	err := e.open(ctx)
	switch {
	case err == nil && e.failed:
		e.log.Info("it works again", "was", e.what)
	case err != nil && !e.failed:
		e.log.Warn(e.what+"; the next try is in a minute", "error", err)
	}
	e.isOpen, e.failed = err == nil, err != nil
}

// closed notes that it is open no more.
func (e *endpoint) closed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isOpen = false
}

// job tries until it is open.
func (e *endpoint) job(name string) jobs.Job {
	return jobs.Job{
		Name: name,
		Interval: func() time.Duration {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.open == nil {
				return 0
			}
			return tryAgain
		},
		Do: func(ctx context.Context) error {
			e.try(ctx)
			return nil
		},
	}
}
