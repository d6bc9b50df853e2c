package web

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"

	"mailseal/milter/report/advice"
)

// forgeries is the name of the source that holds all addresses that never passed and sent little.
const forgeries = "forgeries"

// aloneAt is the number of messages from which an address that never passed is a source of its own.
const aloneAt = 50

// facts are the data of a domain's pages and of its row in the overview.
type facts struct {
	domain   Domain
	filter   Filter
	now      advice.Day
	late     advice.Day
	total    Counts
	judged   Counts // of sources that a person judged not ours or a scanner: they leave the rate
	sources  []source
	byIP     map[netip.Addr]*source
	ids      []Identity
	days     dayBars
	receiver []Sum
	reporter []Reporter
	events   []Event
	advice   advice.Advice
	advised  Filter // the period that advice rests on
	rules    []Rule
	base     *facts       // of all receivers, if these are of one
	stored   *domainState // what was found out before, if these are sums alone
	exact    bool         // of those, the sums are of now
	reasons  keptReasons
}

// gather reads the facts about a domain in the period of f.
func (s *Server) gather(ctx context.Context, d Domain, f Filter) (*facts, error) {
	f.Domains = []string{d.Name}
	now := advice.DayOf(s.now())
	x := &facts{domain: d, filter: f, now: now, late: now - 1, byIP: map[netip.Addr]*source{}}
	var err error
	keep := func(e error) { err = cmp.Or(err, e) }
	var addresses []Address
	var days []Sum
	rules, e := s.read.Rules(ctx)
	keep(e)
	x.ids, e = s.read.Identities(ctx, f)
	keep(e)
	addresses, e = s.read.Sources(ctx, f)
	keep(e)
	days, e = s.read.Sums(ctx, f, ByDay)
	keep(e)
	x.receiver, e = s.read.Sums(ctx, f, ByReceiver)
	keep(e)
	x.reporter, e = s.read.Receivers(ctx, f)
	keep(e)
	x.events, e = s.read.Events(ctx, f)
	keep(e)
	if err != nil {
		return nil, err
	}
	x.rules = rules
	if f.Receiver != "" { // whose a source is does not depend on who reports it
		all := f
		all.Receiver = ""
		if x.base, err = s.facts(ctx, d, all); err != nil {
			return nil, err
		}
	}
	x.days = dayBars{from: f.From, to: f.To, late: x.late, days: map[advice.Day]Counts{}}
	for _, sum := range days {
		x.days.days[sum.Day] = sum.Counts
		x.total.Add(sum.Counts)
	}
	slices.SortFunc(x.receiver, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver))
	})
	if f.Receiver != "" { // days of addresses are those of all receivers
		if err := s.daysOf(ctx, f, addresses); err != nil {
			return nil, err
		}
	}
	x.group(addresses)
	if err := s.markNew(ctx, x); err != nil {
		return nil, err
	}
	return x, s.advise(ctx, x)
}

// daysOf replaces the days of addresses by those on which f selects messages of them.
func (s *Server) daysOf(ctx context.Context, f Filter, addresses []Address) error {
	sums, err := s.read.Sums(ctx, f, ByAddress, ByDay)
	if err != nil {
		return err
	}
	days := map[netip.Addr][]DaySum{}
	for _, sum := range sums {
		days[sum.Address] = append(days[sum.Address], DaySum{sum.Day, sum.Messages})
	}
	for i := range addresses {
		addresses[i].Days = days[addresses[i].IP]
	}
	return nil
}

// adviceDays is the period that advice rests on, whatever period a page shows: SPF terms need 90
// days of reports, and monthly senders must be seen twice.
const adviceDays = 90

// advise finds the advice of the last 90 days of all receivers.
func (s *Server) advise(ctx context.Context, x *facts) error {
	if x.base != nil {
		x.advice, x.advised = x.base.advice, x.base.advised
		return nil
	}
	f := Filter{From: x.late - adviceDays, To: x.late - 1} // full days alone
	if x.filter.From == f.From && x.filter.To == f.To {
		x.advice, x.advised = advice.Judge(x.history()), x.filter
		return nil
	}
	kept, err := s.keptAdvice(ctx, x)
	if err != nil {
		return err
	}
	if kept != nil {
		x.advice, x.advised = *kept, f
		return nil
	}
	long, err := s.facts(ctx, x.domain, f)
	if err != nil {
		return err
	}
	x.advice, x.advised = long.advice, long.filter
	return nil
}

// keptAdvice returns the advice that role intake kept, or nil if it may be another one by now:
// reports have come, a person said something, or sources are classed otherwise, since their names
// were looked up.
func (s *Server) keptAdvice(ctx context.Context, x *facts) (*advice.Advice, error) {
	if u := usual(x.now); x.filter.From != u.From || x.filter.To != u.To {
		return nil, nil // the classes of another period cannot be compared
	}
	all, change, ok, err := s.domainStates(ctx)
	if err != nil || !ok || change.All || slices.Contains(change.Domains, x.domain.Name) ||
		all.Domains[x.domain.Name] == nil {
		return nil, err
	}
	stored, err := s.read.(keeper).DomainState(ctx, x.domain.Name)
	if err != nil || stored == nil || stored.Day != x.now ||
		!maps.Equal(stored.Classes, x.classes()) {
		return nil, err
	}
	return stored.Advice, nil
}

// group combines addresses and their mail into sources.
func (x *facts) group(addresses []Address) {
	known := map[netip.Addr]Address{}
	for _, a := range addresses {
		known[a.IP] = a
	}
	byIP := map[netip.Addr][]Identity{}
	for _, id := range x.ids {
		byIP[id.Address] = append(byIP[id.Address], id)
	}
	for i := range x.ids {
		x.ids[i].Receivers = nil // counted below from byIP, and not kept
	}
	named := map[string]*source{}
	networks := hasNetworks(x.rules, x.domain.Name)
	for ip, ids := range byIP {
		n := nameOf(known[ip], ids, x.domain.Name)
		if networks {
			if net, ok := networkOf(x.rules, x.domain.Name, ip); ok {
				n = net
			}
		}
		if x.base != nil && x.base.byIP[ip] != nil {
			n = x.base.byIP[ip].Name
		}
		if named[n] == nil {
			named[n] = &source{Source: advice.Source{Name: n}}
		}
		named[n].add(ip, known[ip], ids, x)
	}
	var all []advice.Source
	for _, s := range named {
		all = append(all, s.Source)
	}
	ctx := advice.Context{Domain: x.domain.Name, OwnSelectors: advice.OwnSelectors(all),
		Parked: x.domain.Parked}
	rest := &source{Source: advice.Source{Name: forgeries, Class: advice.Spoof},
		why: "no message ever passed"}
	for _, s := range named {
		s.Class, s.why = advice.Classify(&s.Source, ctx)
		s.judge(x.rules, x.domain.Name)
		if x.base != nil {
			if all := x.base.find(s.Name); all != nil {
				s.Class, s.why, s.Judged, s.rule = all.Class, all.why, all.Judged, all.rule
				s.SPFAccepted, s.accepted = all.SPFAccepted, all.accepted
			}
			x.sources = append(x.sources, *s)
			continue
		}
		if s.Class == advice.Spoof && !s.Judged && s.Messages < aloneAt {
			rest.merge(s)
			continue
		}
		x.sources = append(x.sources, *s)
	}
	if rest.Messages > 0 {
		x.sources = append(x.sources, *rest)
	}
	x.suspect()
	for i := range x.sources {
		s := &x.sources[i]
		s.cause = advice.Diagnose(&s.Source, x.domain.Name)
		slices.SortFunc(s.Addresses, netip.Addr.Compare)
		for _, ip := range s.Addresses {
			x.byIP[ip] = s
		}
		if s.Class == advice.NotOurs || s.Class == advice.Scanner {
			x.judged.Add(s.counts)
		}
	}
	slices.SortFunc(x.sources, func(a, b source) int {
		return cmp.Or(cmp.Compare(rank(&b), rank(&a)), cmp.Compare(b.Messages, a.Messages),
			cmp.Compare(a.Name, b.Name))
	})
	for i := range x.sources {
		for _, ip := range x.sources[i].Addresses {
			x.byIP[ip] = &x.sources[i]
		}
	}
}

// suspects is how many sources that never passed a person is asked about at once.
const suspects = 3

// suspect makes unknown what never passed but sends much from few addresses: a forgery, or a host
// that no rule names.
func (x *facts) suspect() {
	if x.base != nil || x.domain.Parked {
		return
	}
	var list []*source
	for i := range x.sources {
		if s := &x.sources[i]; s.Class == advice.Spoof && !s.Judged && s.Name != forgeries &&
			len(s.Addresses) <= 4 {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *source) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range list[:min(len(list), suspects)] {
		s.Class, s.why = advice.Unknown, "no message ever passed, but there are many: it is a "+
			"forgery, or a host that is not known here"
	}
}

// rank orders sources: those that need attention first.
func rank(s *source) int {
	if s.Messages < 20 {
		return 0
	}
	return int(s.cause.Severity)
}

// rated returns the counts that the pass rate is made of.
func (x *facts) rated() (pass, all int64) {
	return x.total.Pass - x.judged.Pass, x.total.Messages - x.judged.Messages
}

// history is what advice is made of: the last full days of the period.
func (x *facts) history() advice.History {
	h := advice.History{Domain: x.domain.Name, From: x.filter.From, To: min(x.filter.To, x.late-1),
		Policy: x.domain.Policy,
		Parked: x.domain.Parked, Use: x.domain.Use, UseBy: x.domain.UseBy, UseSince: x.domain.UseAt,
		ToLists: x.domain.ToList, Replies: x.domain.Reply,
		SPFAll: x.domain.SPFAll, NoSPF: x.domain.NoSPF, Terms: x.domain.Terms,
		Selectors: x.domain.Selectors}
	for d := range x.days.days {
		if d <= h.To {
			h.Reported = append(h.Reported, d)
		}
	}
	for _, r := range x.reporter {
		h.Receivers = append(h.Receivers, advice.Receiver{Name: r.Receiver, Messages: r.Messages,
			Last: r.Last, Daily: advice.IsDaily(r.Days, r.First, r.Last)})
	}
	for i := range x.sources {
		s := x.sources[i].Source
		s.Days = nil
		h.Sources = append(h.Sources, s)
	}
	x.rhythm(h.Sources)
	return h
}

// rhythm gives each source the days on which it was last seen with some combination; with first and
// last day that is enough to tell a daily sender from one that was seen once.
func (x *facts) rhythm(sources []advice.Source) {
	for i := range sources {
		seen := map[advice.Day]bool{x.sources[i].first: true, x.sources[i].last: true}
		for _, id := range x.sources[i].ids {
			seen[id.Last] = true
		}
		for d := range seen {
			sources[i].Days = append(sources[i].Days, d)
		}
	}
}
