package changes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// rereading is the one run at a time that reads mails and files again: all of a kind may be
// thousands, and take longer than a page waits.
type rereading struct {
	ctx context.Context // of the server

	mu         sync.Mutex
	wait       sync.WaitGroup
	total      int // 0: none is in progress
	read, left int // so far: those read without a problem, and those with one
}

// begin has runs end with ctx. The function that it returns waits until the last one has.
func (r *rereading) begin(ctx context.Context) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx = ctx
	return r.wait.Wait
}

// start begins a run of so many, unless one is in progress.
func (r *rereading) start(total int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total > 0 {
		return fmt.Errorf("%w: mail is being read again already, %d of %d so far; try again "+
			"when that is done", errNotNow, r.read+r.left, r.total)
	}
	r.total, r.read, r.left = total, 0, 0
	return nil
}

func (r *rereading) add(isRead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isRead {
		r.read++
	} else {
		r.left++
	}
}

func (r *rereading) stop() (read, left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total = 0
	return r.read, r.left
}

// reread reads one mail or file again, or all of a kind, as after an upgrade to a version that can
// read more. What takes longer than a page waits goes on afterwards.
func (s *Server) reread(ctx context.Context, c change) (string, error) {
	ids := []int64{c.Mail}
	if c.Mail == 0 {
		var err error
		if ids, err = s.Intake.Store.UnreadOf(ctx, c.Kind); err != nil {
			return "", err
		}
		if len(ids) == 0 {
			return "", fmt.Errorf("%w: no mail of kind %q is unread and kept as it came",
				errNotNow, c.Kind)
		}
	} else if _, err := s.Intake.Store.Unread(ctx, c.Mail); err != nil {
		return "", err
	}
	if err := s.rereading.start(len(ids)); err != nil {
		return "", err
	}
	done := make(chan error, 1)
	sum := &sum{}
	run := s.rereading.ctx
	if run == nil {
		run = ctx
	}
	s.rereading.wait.Go(func() { done <- s.rereadAll(run, c, ids, sum) })
	select {
	case err := <-done:
		return "Read again. " + sum.String(), err
	case <-time.After(rereadWait):
		return fmt.Sprintf("%s are read again, which takes longer. Open the page again to see "+
			"what is left.", advice.Count(int64(len(ids)))), nil
	}
}

// rereadAll is one run. What was deleted meanwhile is left out; the first error of the store ends
// it, and what is left stays as it was.
func (s *Server) rereadAll(ctx context.Context, c change, ids []int64, sum *sum) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic, please report it: %v", p)
		}
		read, left := s.rereading.stop()
		if err != nil {
			s.Log.Error("reading stored mail again stopped early; try again on the page /ingest",
				"by", c.By, "mails", len(ids),
				"read", read, "not_read", left, "error", err)
			return
		}
		s.Log.Info("stored mail was read again", "by", c.By, "mails", len(ids), "mail", c.Mail,
			"kind", c.Kind, "read", read, "not_read", left, "reports", sum.reports)
	}()
	for _, id := range ids {
		taken, err := s.Intake.AgainOne(ctx, id)
		switch {
		case len(ids) > 1 && (errors.Is(err, store.ErrNoUnread) || errors.Is(err,
			store.ErrNotHeld)):
			continue
		case err != nil:
			return err
		}
		s.rereading.add(len(taken.Problems) == 0)
		sum.add(fmt.Sprint("number ", id), taken)
	}
	return nil
}

// discard removes a mail or file in which something could not be read.
func (s *Server) discard(ctx context.Context, c change) (string, error) {
	stay, err := s.Intake.Store.Discard(ctx, c.Mail)
	if err != nil {
		return "", err
	}
	s.Log.Info("a mail that could not be read was deleted", "by", c.By, "mail", c.Mail,
		"reports_kept", stay)
	if stay > 0 {
		return fmt.Sprintf("Deleted. %s read from it, which count as before.",
			advice.Plural(stay, "report was", "reports were")), nil
	}
	return "Deleted.", nil
}
