package web

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailseal/milter/report/advice"
)

// Bounds of how often a domain is judged.
const (
	judgeAfter = time.Minute // a domain that reports have come on is not judged more often
	judgeShare = 20          // and waits so many times what it took
)

// Judge finds out how domains stand, and keeps it in the store: the role that may write has one.
type Judge struct {
	Read *Stored
	Now  func() time.Time
}

// Run judges the domains on which something has changed since they were judged, and each once a day.
// It returns how many it judged.
func (j *Judge) Run(ctx context.Context) (judged int, err error) {
	kept, err := j.Read.Standings(ctx, 0)
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
	later := false
	for _, d := range domains {
		x := kept.Domains[d.Name]
		switch {
		case !j.isDue(x, d.Name, change):
			continue
		case x != nil && j.mustWait(x, change):
			later = true
			continue
		}
		if err := j.one(ctx, d, change.Mark); err != nil {
			return judged, fmt.Errorf("%s: %w", d.Name, err)
		}
		judged++
	}
	if err := j.drop(ctx, kept, domains); err != nil {
		return judged, err
	}
	if later || change.Mark == kept.Mark {
		return judged, nil
	}
	return judged, j.Read.keep(ctx, "", change.Mark)
}

// isDue reports whether a domain may stand otherwise than it is said to.
func (j *Judge) isDue(x *standing, name string, c Change) bool {
	if x == nil || x.isNew() || x.Day != advice.DayOf(j.Now()) {
		return true
	}
	if x.Mark == c.Mark { // by a run that did not come to its end
		return false
	}
	return c.All || slices.Contains(c.Domains, name)
}

// mustWait reports whether a domain was judged too short a time ago. What a person changed is judged
// at once.
func (j *Judge) mustWait(x *standing, c Change) bool {
	if x.Day != advice.DayOf(j.Now()) || c.Mark.byHand(x.Mark) {
		return false
	}
	return j.Now().Sub(x.At) < max(judgeAfter, judgeShare*x.Took)
}

// byHand reports whether a person changed something between two marks.
func (m Mark) byHand(since Mark) bool {
	for _, i := range []int{0, 1, 2, 4, 7} {
		if m.Rest[i] != since.Rest[i] {
			return true
		}
	}
	return false
}

// one judges a domain.
func (j *Judge) one(ctx context.Context, d Domain, mark Mark) error {
	began := time.Now()
	s := &Server{read: j.Read, now: j.Now, recall: recall{facts: map[string]remembered{}}}
	facts, err := s.facts(ctx, d, usual(advice.DayOf(j.Now())))
	if err != nil {
		return err
	}
	x := facts.standing()
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
func (j *Judge) drop(ctx context.Context, kept Standings, domains []Domain) error {
	ours := map[string]bool{}
	for _, d := range domains {
		ours[d.Name] = true
	}
	var gone []string
	for n := range kept.Domains {
		if !ours[n] {
			gone = append(gone, n)
		}
	}
	return j.Read.Store.DropStandings(ctx, gone)
}
