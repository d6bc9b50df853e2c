package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"
	"sync"
	"time"

	"mailseal/milter/report/advice"
)

const (
	// maxSummed is the number of domains whose messages the overview adds up when it is asked for.
	// Of more it does so for those that it shows; the rest is as it was when each was judged.
	maxSummed = 60

	// usualPatience is how long the overview may take to judge domains on which reports have come
	// since role intake judged them.
	usualPatience = 150 * time.Millisecond

	// maxJudgedNow is the number of domains up to which the overview judges again. Of more, role
	// intake alone does.
	maxJudgedNow = 200

	// keptAnew is how often all states are read: of two processes that write at once, the later
	// one may have the smaller serial.
	keptAnew = 10 * time.Minute
)

// keeping caches the stored states of domains, and reads those that were written since.
type keeping struct {
	mu   sync.Mutex
	all  DomainStates
	full time.Time                       // when all were read
	slim func(*domainState) *domainState // what is remembered of each; nil: all of it
}

// read returns how domains stand.
func (x *keeping) read(ctx context.Context, k keeper, now time.Time) (DomainStates, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	after := x.all.serial
	if now.Sub(x.full) >= keptAnew || now.Before(x.full) {
		after = 0
	}
	fresh, err := k.DomainStates(ctx, after)
	if err != nil {
		return fresh, err
	}
	if x.slim != nil {
		for n, d := range fresh.Domains {
			fresh.Domains[n] = x.slim(d)
		}
	}
	if after == 0 {
		x.full = now
	} else {
		fresh = x.all.merge(fresh)
	}
	x.all = fresh
	return fresh, nil
}

// domainStates returns how domains stand, and what has changed since; ok is false if the reader
// does not keep that.
func (s *Server) domainStates(
	ctx context.Context,
) (all DomainStates, c Change, ok bool, err error) {
	k, ok := s.read.(keeper)
	if !ok {
		return all, c, false, nil
	}
	fresh, err := s.kept.read(ctx, k, s.now())
	if err != nil {
		return all, c, false, err
	}
	c, err = s.read.Changed(ctx, fresh.Mark)
	for n := range fresh.unjudged() {
		c.Domains = append(c.Domains, n)
	}
	return fresh, c, true, err
}

// merge adds what was written later. The old maps are read by others.
func (x DomainStates) merge(later DomainStates) DomainStates {
	if len(later.Domains) > 0 {
		domains := make(map[string]*domainState, len(x.Domains)+len(later.Domains))
		for n, old := range x.Domains {
			domains[n] = old
		}
		for n, fresh := range later.Domains {
			domains[n] = fresh
		}
		x.Domains = domains
	}
	if later.Mark != (Mark{}) {
		x.Mark, x.Pending = later.Mark, later.Pending
	}
	x.serial = later.serial
	return x
}

// board is the data of the overview.
type board struct {
	lines  []scored
	summed bool      // the sums of all lines are of now
	since  time.Time // if not: what they are of, or later; zero: they are not known
}

// board gathers the data of the overview for the domains that the visitor chose, the most urgent
// first.
func (s *Server) board(ctx context.Context, v visit) (board, error) {
	kept, change, ok, err := s.domainStates(ctx)
	if err != nil {
		return board{}, err
	}
	if !ok {
		return s.boardOfFacts(ctx, v)
	}
	var b board
	known, err := s.known(ctx, kept)
	if err != nil {
		return b, err
	}
	for _, d := range known {
		if v.may(d.Name) {
			b.lines = append(b.lines, scored{x: s.line(d, kept.Domains[d.Name], v.filter)})
		}
	}
	if err := s.judgeNow(ctx, b.lines, change); err != nil {
		return b, err
	}
	b.lines = slices.DeleteFunc(b.lines,
		func(l scored) bool { return !s.shows(v, l.x.domain) })
	old, has := b.restoreSums(change)
	if b.summed = len(old) <= s.summed; b.summed {
		err = s.sumLines(ctx, old, v.filter)
	} else if has {
		b.since = kept.since()
	}
	b.sort()
	return b, err
}

// since is when the first of them was found out.
func (x DomainStates) since() (first time.Time) {
	for _, d := range x.Domains {
		if first.IsZero() || d.At.Before(first) {
			first = d.At
		}
	}
	return first
}

// boardOfFacts is the board of a reader that keeps nothing.
func (s *Server) boardOfFacts(ctx context.Context, v visit) (board, error) {
	domains, err := s.domains(ctx, v)
	if err != nil {
		return board{}, err
	}
	b := board{summed: true}
	for _, d := range domains {
		if !s.shows(v, d) {
			continue
		}
		x, err := s.facts(ctx, d, usual(advice.DayOf(s.now())))
		if err != nil {
			return b, err
		}
		fresh := x.domainState()
		fresh.At = s.now()
		b.lines = append(b.lines, scored{x: s.line(d, fresh, v.filter)})
	}
	if err := s.sumLines(ctx, b.lines, v.filter); err != nil {
		return b, err
	}
	b.sort()
	return b, nil
}

// sort judges the lines and puts the most urgent first.
func (b *board) sort() {
	for i := range b.lines {
		b.lines[i].h = b.lines[i].x.healthOf()
	}
	slices.SortStableFunc(b.lines, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.h.level, b.h.level),
			cmp.Compare(b.x.total.Messages, a.x.total.Messages),
			cmp.Compare(a.x.domain.Name, b.x.domain.Name))
	})
}

// known are the domains of the configuration and those that stand somehow, by name; all that
// reports are on where none was judged yet.
func (s *Server) known(ctx context.Context, kept DomainStates) ([]Domain, error) {
	if kept.Mark == (Mark{}) {
		return s.listed(ctx)
	}
	var out []Domain
	for _, x := range kept.Domains {
		out = append(out, x.Domain)
	}
	more := map[string]Domain{}
	for _, n := range kept.Pending {
		more[n] = Domain{Name: n}
	}
	if k, ok := s.read.(keeper); ok {
		for _, d := range k.Configured() {
			more[d.Name] = d
		}
	}
	for n, d := range more {
		if kept.Domains[n] == nil {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Domain) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// reporter returns what is kept of a receiver. An older version kept no first day: it is that of
// the usual period at the latest.
func (r lastReport) reporter(domain string, judged advice.Day) Reporter {
	return Reporter{Domain: domain, Receiver: r.Receiver, Days: r.Days, Last: r.Last,
		First: cmp.Or(r.First, usual(judged).From)}
}

// line returns the line of a domain from its state; it has no sums yet.
func (s *Server) line(d Domain, stored *domainState, f Filter) *facts {
	if stored == nil {
		stored = &domainState{Domain: d}
	}
	f.Domains = []string{d.Name}
	now := advice.DayOf(s.now())
	x := &facts{domain: d, filter: f, now: now, late: now - 1, stored: stored}
	for _, r := range stored.Reporters {
		x.reporter = append(x.reporter, r.reporter(d.Name, stored.Day))
	}
	for _, e := range stored.Events {
		if day := advice.DayOf(e.At); day >= f.From && day <= f.To {
			x.events = append(x.events, e)
		}
	}
	x.days = dayBars{from: f.From, to: f.To, late: x.late}
	return x
}

// judgeNow judges the lines that are not judged yet or may stand otherwise by now, as far as the
// patience of the server goes: those of a small host all, so that they are right at once.
func (s *Server) judgeNow(ctx context.Context, lines []scored, c Change) error {
	began := time.Now()
	today := advice.DayOf(s.now())
	stale := map[string]bool{}
	for _, n := range c.Domains {
		stale[n] = true
	}
	var domains map[string]Domain
	if len(lines) > maxJudgedNow {
		return nil
	}
	for i := range lines {
		x := lines[i].x
		if !x.stored.isNew() && !c.All && !stale[x.domain.Name] && x.stored.Day == today {
			continue
		}
		left := s.patience - time.Since(began)
		if left <= x.stored.Took {
			continue
		}
		if domains == nil {
			list, err := s.listed(ctx)
			if err != nil {
				return err
			}
			domains = map[string]Domain{}
			for _, d := range list {
				domains[d.Name] = d
			}
		}
		d, has := domains[x.domain.Name]
		if !has {
			continue
		}
		within, stop := context.WithTimeout(ctx, left)
		full, err := s.facts(within, d, usual(today))
		stop()
		if err == nil {
			fresh := full.domainState()
			fresh.At, fresh.Periods = s.now(), x.stored.Periods
			lines[i].x = s.line(d, fresh, x.filter)
		}
	}
	return ctx.Err()
}

// sumLines adds up the messages of lines in the period.
func (s *Server) sumLines(ctx context.Context, lines []scored, f Filter) error {
	f.Domains, f.Receiver = []string{}, ""
	at := map[string]*facts{}
	for _, l := range lines {
		x := l.x
		if x.exact {
			continue
		}
		f.Domains = append(f.Domains, x.domain.Name)
		at[x.domain.Name] = x
		x.total, x.judged, x.receiver, x.exact = Counts{}, Counts{}, nil, true
		x.days.days = map[advice.Day]Counts{}
	}
	if len(at) == 0 {
		return nil
	}
	days, err := s.read.Sums(ctx, f, ByDomain, ByDay)
	if err != nil {
		return err
	}
	for _, sum := range days {
		if x := at[sum.Domain]; x != nil {
			x.days.days[sum.Day] = sum.Counts
			x.total.Add(sum.Counts)
		}
	}
	receivers, err := s.read.Sums(ctx, f, ByDomain, ByReceiver)
	if err != nil {
		return err
	}
	for _, sum := range receivers {
		if x := at[sum.Domain]; x != nil {
			x.receiver = append(x.receiver, sum)
		}
	}
	for name, x := range at {
		one := f
		one.Domains = []string{name}
		if x.judged, err = judgedSums(ctx, s.read, one, x.stored.Judged); err != nil {
			return err
		}
	}
	return nil
}

// restoreSums gives lines the sums of the period as they were when each was judged, and returns the
// lines whose sums are others by now, and whether those of all are known. Where they are not, those
// of the usual period order the lines.
func (b board) restoreSums(c Change) (old []scored, known bool) {
	came := map[string]bool{}
	for _, n := range c.Domains {
		came[n] = true
	}
	known = true
	for _, l := range b.lines {
		x := l.x
		p, isOfNow, has := x.period()
		if !has {
			known = known && x.stored.isNew()
			x.total.Messages = x.stored.Grounds.Messages
			old = append(old, l)
			continue
		}
		x.total, x.judged, x.receiver = p.Counts, p.Judged, nil
		for _, r := range p.Receivers {
			x.receiver = append(x.receiver, r.sum(x.domain.Name))
		}
		if x.exact = !c.Sums && !came[x.domain.Name] && isOfNow; !x.exact {
			old = append(old, l)
		}
	}
	return old, known
}

// age says how old the sums of all lines are.
func (b board) age(v visit) []template.HTML {
	switch {
	case b.summed:
		return nil
	case b.since.IsZero():
		return []template.HTML{say("With more than %s domains, sums over all of them are "+
			"available only for 7, 30, 90 and 365 days. The rows below show the period that you "+
			"chose.",
			int64(maxSummed))}
	}
	return []template.HTML{say("The sums over all domains were computed at %s or later; the rows "+
		"below are current.",
		timeHTML(b.since))}
}
