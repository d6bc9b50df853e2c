package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailseal/milter/report/advice"
)

// Bounds of the cached facts about domains.
const (
	// Reverse names are looked up later than reports are stored, so facts grow old even if nothing
	// else changes.
	factsFor = 15 * time.Minute

	maxFacts = 400_000 // identities in all, of about 250 bytes: 100 MB; beyond it all are dropped
)

// cachedFacts are facts with the time at which they were gathered.
type cachedFacts struct {
	facts *facts
	at    time.Time
}

// factsCache caches the facts that a server has gathered, until something changes.
type factsCache struct {
	mu      sync.Mutex
	mark    Mark
	changes int // how often something changed: what was gathered across a change is not kept
	facts   map[string]cachedFacts
	weight  int
	domains []Domain // nil: not asked for yet

	intake   Intake
	intakeAt time.Time

	outgoing   Outgoing
	outgoingAt time.Time
}

// weight is about how much memory facts take, in identities.
func (x *facts) weight() int {
	return 20 + len(x.ids) + len(x.receiver) + len(x.reporter) + len(x.events)
}

// look drops entries that a change made stale. It is cheap enough to be called for every page.
func (r *factsCache) look(ctx context.Context, read Reader) error {
	r.mu.Lock()
	mark := r.mark
	r.mu.Unlock()
	c, err := read.Changed(ctx, mark)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil, c.All:
		r.drop()
	case len(c.Domains) > 0:
		r.changes++
		r.domains, r.intakeAt = nil, time.Time{}
		for key, x := range r.facts {
			if slices.Contains(c.Domains, x.facts.domain.Name) {
				r.weight -= x.facts.weight()
				delete(r.facts, key)
			}
		}
	}
	if err == nil {
		if c.Mark != r.mark {
			r.intakeAt = time.Time{} // arrivals that no domain has a part in show there
			if c.Mark.differs(r.mark, restRecords) {
				r.domains = nil // retention may have removed all reports on one
			}
		}
		r.mark = c.Mark
	}
	return err
}

// drop forgets everything. The caller holds the lock.
func (r *factsCache) drop() {
	r.changes++
	r.facts, r.weight, r.domains, r.intakeAt = map[string]cachedFacts{}, 0, nil, time.Time{}
	r.outgoingAt = time.Time{}
}

// get returns remembered facts of today that are younger than age.
func (r *factsCache) get(key string, now time.Time, age time.Duration) (x *facts, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, has := r.facts[key]
	if !has || now.Sub(kept.at) >= age || kept.facts.now != advice.DayOf(now) {
		return nil, r.changes
	}
	return kept.facts, r.changes
}

// keep remembers facts, unless something has changed since they began to be gathered.
func (r *factsCache) keep(key string, x *facts, now time.Time, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if changes != r.changes {
		return
	}
	if old, has := r.facts[key]; has {
		r.weight -= old.facts.weight()
	}
	if r.weight+x.weight() > maxFacts {
		r.facts, r.weight = map[string]cachedFacts{}, 0
	}
	r.facts[key] = cachedFacts{x, now}
	r.weight += x.weight()
}

// facts returns the facts about a domain, from the cache if they are there.
func (s *Server) facts(ctx context.Context, d Domain, f Filter) (*facts, error) {
	key := d.Name + "?" + f.query()
	x, changes := s.cache.get(key, s.now(), factsFor)
	if x != nil {
		return x, nil
	}
	x, err := s.gather(ctx, d, f)
	if err != nil {
		return nil, err
	}
	if f.Receiver == "" || len(x.ids) > 0 { // a receiver that there is not is any text
		s.cache.keep(key, x, s.now(), changes)
	}
	return x, nil
}

// listed returns all domains.
func (s *Server) listed(ctx context.Context) ([]Domain, error) {
	s.cache.mu.Lock()
	list, changes := s.cache.domains, s.cache.changes
	s.cache.mu.Unlock()
	if list != nil {
		return list, nil
	}
	list, err := s.read.Domains(ctx)
	if err != nil {
		return nil, err
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if changes == s.cache.changes {
		s.cache.domains = list
	}
	return list, nil
}

// intakeFor is how long the state of the intake is used again: it compares with the same hour of
// other days, so it changes by itself.
const intakeFor = 30 * time.Second

// intake returns how reports arrive.
func (s *Server) intake(ctx context.Context) (Intake, error) {
	now := s.now()
	s.cache.mu.Lock()
	in, at, changes := s.cache.intake, s.cache.intakeAt, s.cache.changes
	s.cache.mu.Unlock()
	if !at.IsZero() && now.Sub(at) < intakeFor {
		return in, nil
	}
	in, err := s.read.Intake(ctx, now)
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if err == nil && changes == s.cache.changes {
		s.cache.intake, s.cache.intakeAt = in, now
	}
	return in, err
}

// forget empties the cache after a verdict.
func (s *Server) forget() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.drop()
}

// Refresh gathers the data of the overview in advance, at once and then at each tick
// so, until ctx ends.
func (s *Server) Refresh(ctx context.Context, tick <-chan time.Time) {
	for {
		if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the first page could not be computed in advance, so it takes longer to "+
				"load; the next try is in 15 seconds",
				"error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

func (s *Server) refresh(ctx context.Context) error {
	if err := s.cache.look(ctx, s.read); err != nil {
		return err
	}
	if _, _, _, err := s.domainStates(ctx); err != nil {
		return err
	}
	if _, err := s.intake(ctx); err != nil {
		return err
	}
	if s.read.HasOutgoing() {
		if _, err := s.outgoing(ctx); err != nil {
			return err
		}
	}
	_, err := s.listed(ctx)
	return err
}
