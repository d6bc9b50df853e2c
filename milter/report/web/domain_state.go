package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// domainState is the state of a domain: what the overview shows of it beside sums of messages. To
// compute it out takes all records of 90 days, so that role intake does so when reports have come,
// and keeps it in the store.
type domainState struct {
	Domain    Domain // without what its own page alone needs
	Spans     []span // of its policies
	Day       advice.Day
	At        time.Time
	Took      time.Duration // to find it out
	Mark      Mark          // how far it had read
	Grounds   grounds
	Judged    []netip.Addr // addresses that a person judged not ours or a scanner
	Reporters []lastReport
	Periods   []periodSums
	Daily     []dayBar // each of the last 90 days, the first one first
	// the last 365 days, sparseDays in each, but for the first one
	Sparse  []dayBar
	Classes map[advice.Class]Counts // of the usual period
	Events  []Event
	Advice  *advice.Advice `json:",omitempty"` // only in the store: see withoutAdvice
}

// withoutAdvice is what pages remember of a domainState: the advice, which has some KB, is read
// where the page of the domain is asked for.
func withoutAdvice(x *domainState) *domainState {
	x.Advice = nil
	return x
}

// lastReport says when a receiver reported last, and on how many days of the usual period.
type lastReport struct {
	Receiver string
	Days     int
	Last     advice.Day
	First    advice.Day `json:",omitempty"` // of the period
}

// dayBar is the bar of a day, or of several, in a line of the overview.
type dayBar [4]int64 // messages, passed, held, refused

func (b dayBar) counts() Counts {
	return Counts{Messages: b[0], Pass: b[1], Held: b[2], Refused: b[3],
		Delivered: b[0] - b[1] - b[2] - b[3]}
}

func (b *dayBar) add(c Counts) {
	for i, n := range []int64{c.Messages, c.Pass, c.Held, c.Refused} {
		b[i] += n
	}
}

// periodSums are sums of the days up to the one before DomainState.Day.
type periodSums struct {
	Days      int
	Counts    Counts
	Judged    Counts // of these, those of DomainState.Judged
	Receivers []keptSum
}

// keptSum are the sums of a receiver in few bytes: there are dozens for each domain.
type keptSum struct {
	Receiver string   `json:"r"`
	Counts   [9]int64 `json:"n"`
}

func keepSum(s *Sum) keptSum {
	c := s.Counts
	return keptSum{s.Receiver, [9]int64{c.Messages, c.Pass, c.DKIM, c.SPF, c.Delivered, c.Held,
		c.Refused,
		c.Forwarded, c.Listed}}
}

func (k keptSum) sum(domain string) Sum {
	n := k.Counts
	return Sum{Domain: domain, Receiver: k.Receiver,
		Counts: Counts{n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]}}
}

// Bounds of what is kept of a domain.
const (
	maxReceivers = 30   // with the most messages, for each period
	maxReporters = 200  // likewise
	maxJudged    = 1000 // addresses
	maxEvents    = 100  // the latest
	keptDays     = 90
	sparseDays   = 4
	sparseBars   = 365/sparseDays + 1
)

// keptPeriods are the periods that the pages offer, in days.
var keptPeriods = []int{7, 30, 90, 365}

func (x *domainState) isNew() bool { return x.At.IsZero() }

// period returns the sums of the period of a line, if they are kept. Until its domain is judged on
// another day, those of the day before stand in for them; isOfNow is false then.
func (x *facts) period() (p periodSums, isOfNow, has bool) {
	f, d := x.filter, x.stored.Day
	for _, p := range x.stored.Periods {
		if (f.To == d-1 || f.To == d && d < x.now) && int(f.To-f.From)+1 == p.Days {
			return p, f.To == d-1, true
		}
	}
	return periodSums{}, false, false
}

// DomainStates are the health and the figures of domains, as the store keeps them.
type DomainStates struct {
	Domains map[string]*domainState
	Mark    Mark     // all that is newer is not in all of them
	Pending []string // when the mark was kept, what is older was not in these yet
	serial  int64    // of the last that was read
}

// commonState is the state that the store keeps for all domains together.
type commonState struct {
	Mark
	Pending []string `json:",omitempty"`
}

// unjudged returns the domains that have not been judged up to the mark.
func (x DomainStates) unjudged() map[string]bool {
	out := map[string]bool{}
	for _, n := range x.Pending {
		if d := x.Domains[n]; d == nil || d.Mark != x.Mark {
			out[n] = true
		}
	}
	return out
}

// keepMark keeps how far all domains were judged, but for some.
func (s *Stored) keepMark(ctx context.Context, mark Mark, but []Domain) error {
	return s.keep(ctx, "", commonState{mark, names(but)})
}

// keeper is a Reader whose store keeps how domains stand.
type keeper interface {
	DomainStates(ctx context.Context, after int64) (DomainStates, error)
	// DomainState returns the state of a domain, or nil if it was not judged.
	DomainState(ctx context.Context, domain string) (*domainState, error)
	Configured() []Domain
}

// Configured returns the domains of the configuration, and which of them are parked.
func (s *Stored) Configured() []Domain {
	var out []Domain
	for _, n := range s.Names {
		if !slices.Contains(s.Parked, n) {
			out = append(out, Domain{Name: n})
		}
	}
	for _, n := range s.Parked {
		out = append(out, Domain{Name: n, Parked: true})
	}
	return out
}

// DomainStates implements keeper. A row that cannot be read is one of another version: as if it
// were not there.
func (s *Stored) DomainStates(ctx context.Context, after int64) (DomainStates, error) {
	out, err := s.loadDomainStates(ctx, after)
	if err == nil && after == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addPolicies(out)
	}
	return out, err
}

func (s *Stored) loadDomainStates(ctx context.Context, after int64) (DomainStates, error) {
	out := DomainStates{Domains: map[string]*domainState{}, serial: after}
	rows, err := s.Store.DomainStates(ctx, after)
	states := decodeStates(rows)
	for i, r := range rows {
		out.serial = r.Serial
		if r.Domain == "" {
			var common commonState
			_ = json.Unmarshal([]byte(r.Data), &common)
			out.Mark, out.Pending = common.Mark, common.Pending
			continue
		}
		if states[i] != nil {
			out.Domains[r.Domain] = states[i]
		}
	}
	return out, err
}

// decodeStates decodes the rows of domains on all processors: the first page after a start waits
// for those of all domains. A row that cannot be read is nil.
func decodeStates(rows []store.DomainState) []*domainState {
	out := make([]*domainState, len(rows))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				var x domainState
				if rows[i].Domain != "" && json.Unmarshal([]byte(rows[i].Data), &x) == nil {
					out[i] = &x
				}
			}
		})
	}
	workers.Wait()
	return out
}

// DomainState implements keeper.
func (s *Stored) DomainState(ctx context.Context, domain string) (*domainState, error) {
	row, err := s.Store.DomainState(ctx, domain)
	var x domainState
	if err != nil || row.Serial == 0 || json.Unmarshal([]byte(row.Data), &x) != nil {
		return nil, err
	}
	return &x, nil
}

// Judged is how a domain stood when role intake judged it last, for metrics.
type Judged struct {
	Domain  string
	Health  string                  // the word of the overview
	Classes map[advice.Class]Counts // of the usual period, by whose the sources are
}

// Judged returns how the domains stood when each was judged last.
func (s *Stored) Judged(ctx context.Context) ([]Judged, error) {
	kept, err := s.DomainStates(ctx, 0)
	var out []Judged
	for n, x := range kept.Domains {
		line := &facts{domain: x.Domain, now: x.Day, stored: x}
		out = append(out, Judged{n, healthWords[line.healthOf().level].word, x.Classes})
	}
	slices.SortFunc(out, func(a, b Judged) int { return cmp.Compare(a.Domain, b.Domain) })
	return out, err
}

// HealthWords are the words of the overview, the most urgent first.
func HealthWords() []string {
	var out []string
	for _, w := range healthWords[:healthNew] {
		out = append(out, w.word)
	}
	return out
}

func (s *Stored) keep(ctx context.Context, domain string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.Store.KeepDomainState(ctx, store.DomainState{Domain: domain, Data: string(text)})
}

// domainState returns the state to store, from the facts of the usual period.
func (x *facts) domainState() *domainState {
	out := &domainState{Domain: x.domain, Day: x.now, Grounds: x.grounds(),
		Events: x.events[max(0, len(x.events)-maxEvents):], Advice: &x.advice}
	out.Domain.Terms, out.Domain.Selectors = nil, nil
	out.Classes = x.classes()
	for i := range x.sources {
		s := &x.sources[i]
		if s.Class == advice.NotOurs || s.Class == advice.Scanner {
			out.Judged = append(out.Judged,
				s.Addresses[:min(len(s.Addresses), maxJudged-len(out.Judged))]...)
		}
	}
	for _, r := range x.reporter[:min(len(x.reporter), maxReporters)] {
		out.Reporters = append(out.Reporters, lastReport{r.Receiver, r.Days, r.Last,
			r.First})
	}
	return out
}

// classes are the messages by whose the sources are.
func (x *facts) classes() map[advice.Class]Counts {
	out := map[advice.Class]Counts{}
	for i := range x.sources {
		c := out[x.sources[i].Class]
		c.Add(x.sources[i].counts)
		out[x.sources[i].Class] = c
	}
	return out
}

// sum fills in the sums of the periods that pages offer.
func (x *domainState) sum(ctx context.Context, read Reader) error {
	for _, days := range keptPeriods {
		f := Filter{From: x.Day - advice.Day(days), To: x.Day - 1, Domains: []string{x.Domain.Name}}
		list, err := read.Sums(ctx, f, ByReceiver)
		if err != nil {
			return err
		}
		p := periodSums{Days: days}
		for _, s := range list {
			p.Counts.Add(s.Counts)
		}
		slices.SortFunc(list, func(a, b Sum) int {
			return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver))
		})
		for i := range list[:min(len(list), maxReceivers)] {
			p.Receivers = append(p.Receivers, keepSum(&list[i]))
		}
		if p.Judged, err = judgedSums(ctx, read, f, x.Judged); err != nil {
			return err
		}
		x.Periods = append(x.Periods, p)
	}
	return nil
}

// draw fills in the bars.
func (x *domainState) draw(ctx context.Context, read Reader) error {
	f := Filter{From: x.Day - 365, To: x.Day - 1, Domains: []string{x.Domain.Name}}
	list, err := read.Sums(ctx, f, ByDay)
	if err != nil || len(list) == 0 {
		return err
	}
	x.Daily, x.Sparse = make([]dayBar, keptDays), make([]dayBar, sparseBars)
	for _, sum := range list {
		back := int(x.Day - sum.Day) // from 1
		if back <= keptDays {
			x.Daily[keptDays-back].add(sum.Counts)
		}
		x.Sparse[sparseBars-1-(back-1)/sparseDays].add(sum.Counts)
	}
	return nil
}

// drawn fills in the days of a line that is shown, from what is kept of the period, unless they
// were added up: there may be thousands of other lines.
func (x *facts) drawn() *facts {
	if x.days.days != nil {
		return x
	}
	x.days.days = map[advice.Day]Counts{}
	if p, _, has := x.period(); has {
		x.stored.bars(p.Days, x.days.days)
	}
	return x
}

// bars copies the stored bars of a period into the days of a line.
func (x *domainState) bars(days int, into map[advice.Day]Counts) {
	if days > keptDays {
		for i, b := range x.Sparse {
			into[x.Day-1-advice.Day((sparseBars-1-i)*sparseDays)] = b.counts()
		}
		return
	}
	for i := max(0, len(x.Daily)-days); i < len(x.Daily); i++ {
		into[x.Day-advice.Day(keptDays-i)] = x.Daily[i].counts()
	}
}

// judgedSums are the messages of addresses that leave the pass rate.
func judgedSums(ctx context.Context, read Reader, f Filter, judged []netip.Addr) (out Counts,
	err error) {
	if len(judged) == 0 {
		return out, nil
	}
	f.Addresses = judged
	list, err := read.Sums(ctx, f, ByDomain)
	for _, s := range list {
		out.Add(s.Counts)
	}
	return out, err
}
