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

// lead makes sure that only one of the hosts that share a store does the work that must not be done
// twice. A store in SQLite belongs to one host, which always leads.
type lead struct {
	process *Process
	name    string        // of the lease
	gained  chan struct{} // has a value once this host leads

	mu     sync.Mutex
	lease  *store.Lease  // nil: another host leads, or none
	since  time.Time     // of lease
	other  *store.Holder // the host that leads, or led last; nil if unknown
	isAway bool          // the store did not answer, and this was logged
}

// newLead adds a lease to those that the process requests while it runs and releases at its end.
func newLead(p *Process, name string) *lead {
	l := &lead{process: p, name: name, gained: make(chan struct{}, 1)}
	if !isShared(p.Config) {
		l.lease = &store.Lease{Name: name}
		return l
	}
	p.leads = append(p.leads, l)
	return l
}

// job requests or confirms the lease at intervals. There is no job if the store belongs to one
// host.
func (l *lead) job() []jobs.Job {
	if !isShared(l.process.Config) {
		return nil
	}
	return []jobs.Job{{Name: "lead_" + l.name, Interval: every(store.LeaseEvery),
		First: every(time.Millisecond), Do: l.keep}}
}

// keep confirms the lease, or requests it. An unavailable store is not a failure of this job: the
// jobs that need the store report it.
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
			l.process.Log.Warn("this host no longer leads a task, because the database does not "+
				"confirm its lease; another host takes over within half a minute. Act only if "+
				"this repeats: check the connection to the database",
				"lease", l.name, "error", err)
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
		l.process.Log.Warn("cannot find out which host leads a task; trying again in a few seconds",
			"lease", l.name, "error", err)
	case lease != nil:
		l.process.Log.Info("this host now leads a task", "lease", l.name, "number", lease.Number)
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

// end releases the lease, so that another host can get it at once.
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

// only returns a function that runs work if this host leads. The store refuses its changes once
// another host leads.
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
			l.process.Log.Warn("another host now leads a task and continues the work of this "+
				"one; nothing to do", "lease", l.name)
			return nil
		}
		return err
	}
}

// jobs returns the jobs of the host that leads, and the one that requests the lease. They use a
// store that refuses their changes once another host leads.
func (l *lead) jobs(s *store.Store, list func(*store.Store) []jobs.Job) []jobs.Job {
	out := l.job()
	for _, j := range list(s.UnderHeld(l.held)) {
		do := j.Do
		j.Do = l.only(func(ctx context.Context, _ *store.Store) error { return do(ctx) })
		out = append(out, j)
	}
	return out
}

// leading lists the hosts that lead, for "mailseal status"; the list is empty with SQLite.
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
