// Package jobs runs work on a timer, and remembers the result of the last run. A job that fails or
// panics does not end the program, and does not keep the others from running.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Job is work that is done at intervals.
type Job struct {
	Name string

	// Interval is how long after a run has ended the next one begins; 0 stands for never. It is
	// asked after each run and after each Reloaded.
	Interval func() time.Duration

	// First is how long after the start the first run begins, where that is not Interval; 0 stands
	// for never here, too.
	First func() time.Duration

	// Wake has a run begin at once; nil: nothing does.
	Wake <-chan struct{}

	// Do is one run. Its error is logged and remembered.
	Do func(ctx context.Context) error
}

// Status is the state of a job.
type Status struct {
	Name     string
	Interval time.Duration // 0: it does not run at present
	Running  bool
	Last     time.Time     // when the last run began; zero before the first has ended
	Took     time.Duration // how long that run took
	Err      error         // why it failed; nil when it did not
	Next     time.Time     // when the next run begins; zero when none is due
}

// Runner runs jobs.
type Runner struct {
	log  *slog.Logger
	jobs []*job
}

// job is a Job at work.
type job struct {
	Job
	changed chan struct{} // the interval may be another one

	mu     sync.Mutex
	status Status
}

// New returns a Runner for jobs, whose names are different. Nothing runs before Run.
func New(log *slog.Logger, list ...Job) *Runner {
	r := &Runner{log: log}
	for _, j := range list {
		if j.First == nil {
			j.First = j.Interval
		}
		r.jobs = append(r.jobs, &job{Job: j, changed: make(chan struct{}, 1),
			status: Status{Name: j.Name}})
	}
	return r
}

// Run runs the jobs until ctx ends. It returns when all jobs have ended.
func (r *Runner) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, j := range r.jobs {
		all.Go(func() { r.repeat(ctx, j) })
	}
	all.Wait()
}

// Reloaded makes the jobs read their intervals again, which the configuration may have changed. A
// job that is overdue by its new interval runs at once.
func (r *Runner) Reloaded() {
	for _, j := range r.jobs {
		select {
		case j.changed <- struct{}{}:
		default: // it has not yet heard of the last one
		}
	}
}

// Status returns the status of each job, in the order of New.
func (r *Runner) Status() []Status {
	var out []Status
	for _, j := range r.jobs {
		j.mu.Lock()
		out = append(out, j.status)
		j.mu.Unlock()
	}
	return out
}

// repeat runs one job until ctx ends.
func (r *Runner) repeat(ctx context.Context, j *job) {
	since, interval := time.Now(), j.First
	for {
		due := j.plan(since, interval())
		select {
		case <-ctx.Done():
			return
		case <-j.changed:
		case <-j.Wake:
			r.run(ctx, j)
			since, interval = time.Now(), j.Interval
		case <-due:
			r.run(ctx, j)
			since, interval = time.Now(), j.Interval
		}
	}
}

// plan notes when the next run is due, and returns what says so then; nil for never.
func (j *job) plan(since time.Time, wait time.Duration) <-chan time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Interval, j.status.Next = j.Interval(), time.Time{}
	if wait <= 0 {
		return nil
	}
	j.status.Next = since.Add(wait)
	return time.After(time.Until(j.status.Next))
}

// run runs a job once.
func (r *Runner) run(ctx context.Context, j *job) {
	began := time.Now()
	j.set(func(s *Status) { s.Running, s.Next = true, time.Time{} })
	err := survive(ctx, j.Do)
	j.set(func(s *Status) {
		s.Running, s.Last, s.Took, s.Err = false, began, time.Since(began), err
	})
	if err != nil && ctx.Err() == nil {
		r.log.Error("a job failed and will run again", "job", j.Name, "error", err)
	}
}

func (j *job) set(change func(*Status)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.status)
}

// survive turns a panic, which is a bug in Mailseal, into an error: mail matters more.
func survive(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return do(ctx)
}
