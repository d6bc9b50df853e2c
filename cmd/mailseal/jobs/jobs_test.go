package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// every is a fixed interval.
func every(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// run runs jobs with a clock of its own until the test ends.
func run(t *testing.T, log *slog.Logger, list ...Job) *Runner {
	t.Helper()
	r := New(log, list...)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait()
	return r
}

// pass lets so much time pass, and what is due then come to its end.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var n, others atomic.Int64
		broken := errors.New("broken")
		job := Job{Name: "watch", Interval: every(time.Hour), First: every(time.Minute),
			Do: func(context.Context) error {
				time.Sleep(time.Second)
				return []error{nil, broken, nil}[n.Add(1)-1]
			}}
		other := Job{Name: "other", Interval: every(10 * time.Minute),
			Do: func(context.Context) error {
				others.Add(1)
				panic("boom")
			}}
		var log bytes.Buffer
		r := run(t, slog.New(slog.NewTextHandler(&log, nil)), job, other)
		if s := r.Status()[0]; s.Name != "watch" || s.Interval != time.Hour || !s.Last.IsZero() ||
			!s.Next.Equal(began.Add(time.Minute)) {
			t.Errorf("before the first run: %+v", s)
		}
		pass(time.Minute)
		if s := r.Status()[0]; n.Load() != 0 || !s.Running {
			t.Errorf("during the first run: %d, %+v", n.Load(), s)
		}
		pass(time.Second)
		s := r.Status()[0]
		if s.Running || s.Took != time.Second || s.Err != nil ||
			!s.Last.Equal(began.Add(time.Minute)) ||
			!s.Next.Equal(began.Add(time.Hour+time.Minute+time.Second)) {
			t.Errorf("after the first run: %+v", s)
		}
		pass(time.Hour + time.Second)
		if s := r.Status()[0]; n.Load() != 2 || !errors.Is(s.Err, broken) {
			t.Errorf("after the second run: %d, %+v", n.Load(), s)
		}
		pass(time.Hour + time.Second)
		if s := r.Status()[0]; n.Load() != 3 || s.Err != nil {
			t.Errorf("after the third run: %d, %+v", n.Load(), s)
		}
		if s := r.Status()[1]; others.Load() != 12 || s.Err == nil ||
			!strings.Contains(s.Err.Error(), "panic: boom") {
			t.Errorf("the job that panics: %d, %+v", others.Load(), s)
		}
		if text := log.String(); strings.Count(text, "job=other") != 12 ||
			strings.Count(text, "job=watch error=broken") != 1 {
			t.Errorf("the log:\n%s", text)
		}
	})
}

// An interval that a reload has changed counts from the end of the last run.
func TestJobReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var interval atomic.Int64
		var n atomic.Int64
		r := run(t, slog.New(slog.DiscardHandler), Job{
			Name:     "watch",
			Interval: func() time.Duration { return time.Duration(interval.Load()) },
			Do:       func(context.Context) error { n.Add(1); return nil },
		})
		for _, step := range []struct {
			name     string
			interval time.Duration
			pass     time.Duration
			want     int64
		}{
			{"never", 0, 100 * time.Hour, 0},
			{"overdue", time.Hour, 0, 1},
			{"as it was", time.Hour, 30 * time.Minute, 1},
			{"reloads do not put it off", time.Hour, 30 * time.Minute, 2},
			{"less often", 3 * time.Hour, 2 * time.Hour, 2},
			{"more often", time.Hour, 0, 3},
			{"no more", 0, 100 * time.Hour, 3},
		} {
			interval.Store(int64(step.interval))
			r.Reloaded()
			pass(step.pass)
			if n.Load() != step.want {
				t.Errorf("%s: %d runs, want %d", step.name, n.Load(), step.want)
			}
		}
		if s := r.Status()[0]; s.Interval != 0 || !s.Next.IsZero() {
			t.Errorf("a job that is switched off: %+v", s)
		}
	})
}

// What a job returns since it was told to end is not a failure.
func TestJobEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := New(slog.New(slog.NewTextHandler(&log, nil)),
			Job{Name: "watch", Interval: every(time.Minute), Do: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}})
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		r.Run(ctx)
		if log.Len() > 0 {
			t.Errorf("the log: %s", &log)
		}
	})
}

// A job that is woken runs at once, and its interval counts from there.
func TestJobWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		wake := make(chan struct{}, 1)
		run(t, slog.New(slog.DiscardHandler),
			Job{Name: "send", Interval: every(time.Hour), Wake: wake,
				Do: func(context.Context) error { n.Add(1); return nil }})
		pass(30 * time.Minute)
		wake <- struct{}{}
		pass(0)
		if n.Load() != 1 {
			t.Fatalf("%d runs after it was woken", n.Load())
		}
		pass(59 * time.Minute)
		if n.Load() != 1 {
			t.Errorf("%d runs before the interval was over", n.Load())
		}
		pass(time.Minute)
		if n.Load() != 2 {
			t.Errorf("%d runs after the interval", n.Load())
		}
	})
}
