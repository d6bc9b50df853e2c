package reporting

import (
	"cmp"
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/store"
)

// lead has one of the hosts that share a store do what must not be done twice. With SQLite, which
// one host has, it always leads.
type lead struct {
	process *Process
	name    string        // of the lease
	gained  chan struct{} // has a value once this host leads

	mu     sync.Mutex
	lease  *store.Lease  // nil: another host leads, or none
	since  time.Time     // of lease
	other  *store.Holder // which host leads, or did last; nil where this is not known
	isAway bool          // the store did not answer, and that is logged
}

// newLead adds a lease to those that the process requests, and gives up at its end.
func newLead(p *Process, name string) *lead {
	l := &lead{process: p, name: name, gained: make(chan struct{}, 1)}
	if !isShared(p.Config) {
		l.lease = &store.Lease{Name: name}
		return l
	}
	p.leads = append(p.leads, l)
	return l
}

// job requests the lease at intervals, and proves it; there is none if the store belongs to one
// host.
func (l *lead) job() []jobs.Job {
	if !isShared(l.process.Config) {
		return nil
	}
	return []jobs.Job{{Name: "lead_" + l.name, Interval: every(store.LeaseEvery),
		First: every(time.Millisecond), Do: l.keep}}
}

// keep proves the lease, or requests it. A store that is unavailable is not a failure of this job:
// jobs that need the store say so.
func (l *lead) keep(ctx context.Context) error {
	s, err := l.process.Store(ctx)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lease != nil {
		err := l.lease.Prove(ctx)
		if err == nil {
			return nil
		}
		l.lease.End()
		l.lease = nil
		if ctx.Err() == nil {
			l.process.Log.Warn("this host no longer leads", "lease", l.name, "error", err)
		}
	}
	l.other = nil
	now := l.process.Now()
	lease, err := s.Lease(ctx, l.name, now)
	if err == nil && lease == nil {
		l.other, err = holder(ctx, s, l.name)
	}
	switch {
	case err != nil && !l.isAway && ctx.Err() == nil:
		l.process.Log.Warn("cannot find out which host leads; the next try is in seconds",
			"lease", l.name, "error", err)
	case lease != nil:
		l.process.Log.Info("this host leads", "lease", l.name, "number", lease.Number)
		select {
		case l.gained <- struct{}{}:
		default:
		}
	}
	l.lease, l.since, l.isAway = lease, now, err != nil
	return nil
}

// holder returns the host that has a lease, or had it last.
func holder(ctx context.Context, s *store.Store, name string) (*store.Holder, error) {
	list, err := s.Holders(ctx)
	for _, h := range list {
		if h.Lease == name {
			return &h, err
		}
	}
	return nil, err
}

// end gives the lease up, so that another host can take it at once.
func (l *lead) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lease != nil {
		l.lease.End()
		l.lease = nil
	}
}

// held returns the lease, or nil if this host does not have it.
func (l *lead) held() *store.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lease
}

// only runs work on the host that leads: the store refuses its changes once another host leads.
func (l *lead) only(do func(context.Context, *store.Store) error) func(context.Context) error {
	return func(ctx context.Context) error {
		lease := l.held()
		if lease == nil {
			return nil
		}
		s, err := l.process.Store(ctx)
		if err != nil {
			return err
		}
		err = do(ctx, s.Under(lease))
		if errors.Is(err, store.ErrLeaseLost) {
			l.process.Log.Warn("another host leads now, and continues the work of this one",
				"lease", l.name)
			return nil
		}
		return err
	}
}

// jobs are those of the host that leads, and the one that asks for the lease. They are made with a
// store whose changes are refused once another host leads.
func (l *lead) jobs(s *store.Store, list func(*store.Store) []jobs.Job) []jobs.Job {
	out := l.job()
	for _, j := range list(s.UnderHeld(l.held)) {
		do := j.Do
		j.Do = l.only(func(ctx context.Context, _ *store.Store) error { return do(ctx) })
		out = append(out, j)
	}
	return out
}

// leading lists the hosts that lead, for the command status; empty with SQLite.
func (p *Process) leading() []control.Lead {
	var out []control.Lead
	for _, l := range p.leads {
		l.mu.Lock()
		x := control.Lead{Lease: l.name}
		switch {
		case l.lease != nil:
			x.Host, x.Here, x.Since = p.host(), true, l.since
		case l.other != nil && l.other.Holds:
			x.Host, x.Since = l.other.Host, l.other.Since
		}
		l.mu.Unlock()
		out = append(out, x)
	}
	return out
}

// host is the name of this process among those that share a store.
func (p *Process) host() string { return cmp.Or(p.Host, hostName()) }

// hostName is the name of this host.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}
