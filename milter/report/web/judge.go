package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mailseal/milter/report/advice"
)

// Bounds of how often a domain is judged.
const (
	judgeAfter = time.Minute // a domain that reports have come on is not judged more often
	judgeShare = 20          // and waits so many times what it took

	maxFailures = 10 // domains that cannot be judged; then the run ends

	// agedFor is how much of a run goes into domains that are judged again only because it is
	// another day: of a run a minute, so that ten thousand domains take some ten minutes.
	agedFor = 5 * time.Second
)

// Judge computes the states of domains, and keeps them in the store. The role that may write has
// one Judge, and calls Run from one goroutine.
type Judge struct {
	Read *Stored
	Now  func() time.Time

	kept   keeping
	aged   time.Duration        // 0: agedFor
	failed map[string]time.Time // domains that could not be judged: when, by the host's clock
}

// judgment is what a Judge remembers of a domainState, which may take some 10 KB.
func judgment(x *domainState) *domainState {
	return &domainState{Day: x.Day, At: x.At, Took: x.Took, Mark: x.Mark}
}

// Run judges the domains on which something has changed since they were judged, and each once a
// day. It returns how many it judged. Those that must wait, or that could not be judged, stay owed
// and leave the others as they are: an error names some of the latter.
func (j *Judge) Run(ctx context.Context) (judged int, err error) {
	j.kept.slim = judgment
	kept, err := j.kept.read(ctx, j.Read, j.Now())
	if err != nil {
		return 0, err
	}
	change, err := j.Read.Changed(ctx, kept.Mark)
	if err != nil {
		return 0, err
	}
	domains, err := j.Read.Domains(ctx)
	if err != nil {
		return 0, err
	}
	if err := j.drop(ctx, kept, domains); err != nil {
		return 0, err
	}
	due, aged := j.due(kept, change, domains)
	if len(due) > 0 || change.Mark != kept.Mark || len(kept.unjudged()) > 0 {
		if judged, err = j.changed(ctx, kept, change, due); err != nil {
			return judged, err
		}
	}
	n, err := j.another(ctx, kept, change, aged)
	return judged + n, err
}

// changed judges the domains on which something has changed.
func (j *Judge) changed(ctx context.Context, kept DomainStates, change Change,
	due []Domain) (judged int, err error) {
	// The mark moves first, with the names of all that is owed: how far the others were judged must
	// not depend on when the last of them is.
	if err := j.Read.keepMark(ctx, change.Mark, due); err != nil {
		return 0, err
	}
	left, judged, err := j.all(ctx, kept, change, due)
	if len(due) == 0 || ctx.Err() != nil {
		return judged, err
	}
	return judged, errors.Join(err, j.Read.keepMark(ctx, change.Mark, left))
}

// another judges domains for which another day has come and nothing else, those that were judged
// the longest ago first, as far as the time for them goes. The rest follows in the next runs; until
// then pages show them as they were on the day before. Those that could not be judged the last time
// come after all others, and their time does not count.
func (j *Judge) another(ctx context.Context, kept DomainStates, change Change,
	aged []Domain) (judged int, err error) {
	slices.SortStableFunc(aged, func(a, b Domain) int {
		return cmp.Or(j.failed[a.Name].Compare(j.failed[b.Name]),
			kept.Domains[a.Name].At.Compare(kept.Domains[b.Name].At))
	})
	var failed []error
	var spent time.Duration
	for _, d := range aged {
		if judged > 0 && spent > cmp.Or(j.aged, agedFor) {
			break
		}
		began := time.Now()
		if err := j.one(ctx, d, change.Mark); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", d.Name, err))
			if len(failed) == maxFailures || ctx.Err() != nil {
				break
			}
			continue
		}
		spent += time.Since(began)
		judged++
	}
	return judged, errors.Join(failed...)
}

// all judges the domains that are due, the quick ones first and those last that could not be judged
// before, and returns those that are left.
func (j *Judge) all(ctx context.Context, kept DomainStates, change Change,
	due []Domain) (left []Domain, judged int,
	err error) {
	took := func(d Domain) time.Duration {
		if x := kept.Domains[d.Name]; x != nil {
			return x.Took
		}
		return 0
	}
	due = slices.Clone(due)
	slices.SortStableFunc(due, func(a, b Domain) int {
		return cmp.Or(j.failed[a.Name].Compare(j.failed[b.Name]), cmp.Compare(took(a), took(b)))
	})
	var failed []error
	for i, d := range due {
		if x := kept.Domains[d.Name]; x != nil && j.mustWait(x, change) {
			left = append(left, d)
			continue
		}
		if err := j.one(ctx, d, change.Mark); err != nil {
			left = append(left, d)
			failed = append(failed, fmt.Errorf("%s: %w", d.Name, err))
			if len(failed) == maxFailures || ctx.Err() != nil { // it is not the domains
				return append(left, due[i+1:]...), judged, errors.Join(failed...)
			}
			continue
		}
		judged++
	}
	return left, judged, errors.Join(failed...)
}

// due returns the domains that may stand otherwise than they are said to, and those for which only
// another day has come.
func (j *Judge) due(kept DomainStates, c Change, domains []Domain) (due, aged []Domain) {
	changed := kept.unjudged()
	for _, n := range c.Domains {
		changed[n] = true
	}
	today := advice.DayOf(j.Now())
	for _, d := range domains {
		x := kept.Domains[d.Name]
		switch {
		case x == nil || x.isNew() || c.All || changed[d.Name]:
			due = append(due, d)
		case x.Day != today:
			aged = append(aged, d)
		}
	}
	return due, aged
}

// mustWait reports whether a domain was judged too short a time ago. What a person changed is
// judged at once.
func (j *Judge) mustWait(x *domainState, c Change) bool {
	if x.Day != advice.DayOf(j.Now()) || c.Mark.byHand(x.Mark) {
		return false
	}
	return j.Now().Sub(x.At) < max(judgeAfter, judgeShare*x.Took)
}

// byHand reports whether a person changed something between two marks.
func (m Mark) byHand(since Mark) bool {
	return m.differs(since, restAccepted, restVerdict, restUndone, restReread, restUses)
}

// one judges a domain, and remembers whether that failed.
func (j *Judge) one(ctx context.Context, d Domain, mark Mark) error {
	err := j.judge(ctx, d, mark)
	switch {
	case err == nil:
		delete(j.failed, d.Name)
	case ctx.Err() == nil: // else it is not the domain
		if j.failed == nil {
			j.failed = map[string]time.Time{}
		}
		j.failed[d.Name] = time.Now()
	}
	return err
}

func (j *Judge) judge(ctx context.Context, d Domain, mark Mark) error {
	began := time.Now()
	s := &Server{read: j.Read, now: j.Now, cache: factsCache{facts: map[string]cachedFacts{}}}
	facts, err := s.facts(ctx, d, usual(advice.DayOf(j.Now())))
	if err != nil {
		return err
	}
	x := facts.domainState()
	if err := x.sum(ctx, j.Read); err != nil {
		return err
	}
	if err := x.draw(ctx, j.Read); err != nil {
		return err
	}
	j.Read.mu.Lock()
	x.Spans = j.Read.policies[d.Name]
	j.Read.mu.Unlock()
	x.At, x.Mark, x.Took = j.Now(), mark, time.Since(began)
	return j.Read.keep(ctx, d.Name, x)
}

// drop removes what is kept of domains that are not ours any more.
func (j *Judge) drop(ctx context.Context, kept DomainStates, domains []Domain) error {
	ours := map[string]bool{}
	for _, d := range domains {
		ours[d.Name] = true
	}
	maps.DeleteFunc(j.failed, func(n string, _ time.Time) bool { return !ours[n] })
	var gone []string
	for n := range kept.Domains {
		if !ours[n] {
			gone = append(gone, n)
			delete(kept.Domains, n)
		}
	}
	return j.Read.Store.DropDomainStates(ctx, gone)
}
