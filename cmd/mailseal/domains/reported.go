package domains

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/origin"
	"mailseal/milter/report/store"
	"mailseal/milter/report/tally"
)

// Bounds of what is read of reports, in days: of all, and of the signatures whose keys must still
// be there. A key that no longer signs may be gone a week later.
const (
	reportedDays = 90
	signedDays   = 7
	lateDays     = 2 // whose reports are still coming in
)

// maxReported bounds how many selectors that reports name are looked at, those with most messages.
const maxReported = 20

// Reported summarizes the DMARC reports of the last 90 days on a domain.
type Reported struct {
	From, To  advice.Day
	Days      []advice.Day // on which some receiver reported
	Messages  int64
	Sources   []advice.Source
	Receivers []advice.Receiver
	Since     advice.Day  // of the policy that the latest report names; 0 if there is none
	Policy    advice.Step // that one
	// messages of the last days with a good signature as the domain, by selector
	Signed map[string]int64

	// Below are messages of the last days whose From is of a name below the domain, and that are
	// signed as the domain, by the address that they came from and the selector.
	Below map[[2]string]verified
}

// verified counts messages whose signature verified, and all.
type verified struct{ good, all int64 }

// Reports are the DMARC reports that came in.
type Reports struct {
	Store    *store.Store
	Networks []netip.Prefix // of this host, as far as they are known
	Now      func() time.Time

	policies map[string][]store.Published // of the domains
}

// OpenReports opens the store that reports.store of a configuration names, to be read only. The
// caller closes it.
func OpenReports(ctx context.Context, cfg *config.Config) (*Reports, error) {
	o, err := store.ParseSetting(cfg.Reports.Store)
	if err != nil {
		return nil, answer.NewUsage(fmt.Errorf("reports.store: %w", err))
	}
	o.Read = true
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, answer.NewUnknown(fmt.Errorf("the DMARC reports cannot be read: %w", err))
	}
	return &Reports{Store: s, Networks: cfg.Ours.Networks, Now: time.Now}, nil
}

// Close closes the store.
func (r *Reports) Close() error { return r.Store.Close() }

// Of returns what reports say of a domain.
func (r *Reports) Of(ctx context.Context, name string) (*Reported, error) {
	if err := r.common(ctx); err != nil {
		return nil, err
	}
	today := advice.DayOf(r.Now())
	out := &Reported{
		From: today - reportedDays, To: today - lateDays, Signed: map[string]int64{}, Below: map[[2]string]verified{},
	}
	days := map[advice.Day]bool{}
	receivers := map[string]map[advice.Day]int64{}
	sum := tally.New()
	f := store.Filter{Domain: name, Since: out.From.Time()}
	err := r.Store.EachRow(ctx, f, func(fb *report.Feedback, row *report.Row) {
		day := advice.DayOf(fb.Metadata.Begin)
		days[day] = true
		if receivers[fb.Metadata.Org] == nil {
			receivers[fb.Metadata.Org] = map[advice.Day]int64{}
		}
		receivers[fb.Metadata.Org][day] += row.Count
		sum.Add(fb, row)
		if day >= today-signedDays {
			out.signatures(name, row)
		}
	})
	if err != nil {
		return nil, err
	}
	known, err := origin.Read(ctx, r.Store, f, r.Networks)
	if err != nil {
		return nil, err
	}
	out.Days = slices.Sorted(maps.Keys(days))
	for _, d := range sum.Domains() {
		out.Messages += d.Messages
		for _, s := range d.Sources(known.About) {
			out.Sources = append(out.Sources, s.Source)
		}
	}
	for _, who := range slices.Sorted(maps.Keys(receivers)) {
		out.Receivers = append(out.Receivers, receiver(who, receivers[who]))
	}
	out.policy(r.policies[name])
	return out, nil
}

// common reads what is the same for all domains.
func (r *Reports) common(ctx context.Context) error {
	if r.policies != nil {
		return nil
	}
	policies := map[string][]store.Published{}
	err := r.Store.EachPolicy(ctx, r.Now().AddDate(-1, 0, 0), func(p store.Published) {
		policies[p.Domain] = append(policies[p.Domain], p)
	})
	if err != nil {
		return err
	}
	r.policies = policies
	return nil
}

// signatures counts signatures as the domain itself. Signed has the good ones alone: anyone can
// write a signature that does not verify.
func (r *Reported) signatures(name string, row *report.Row) {
	for _, s := range row.Signatures {
		if !strings.EqualFold(s.Domain, name) || s.Selector == "" {
			continue
		}
		selector, good := strings.ToLower(s.Selector), int64(0)
		if report.ResultClass(s.Result) == "pass" {
			good = row.Count
			r.Signed[selector] += good
		}
		if within(row.HeaderFrom, name) {
			key := [2]string{row.Source, selector}
			sum := r.Below[key]
			r.Below[key] = verified{sum.good + good, sum.all + row.Count}
		}
	}
}

// selectors are those of good signatures, the most frequent first.
func (r *Reported) selectors() []string {
	list := slices.SortedFunc(maps.Keys(r.Signed), func(a, b string) int {
		if n := r.Signed[b] - r.Signed[a]; n != 0 {
			return int(max(min(n, 1), -1))
		}
		return strings.Compare(a, b)
	})
	return list[:min(len(list), maxReported)]
}

// receiver sums what one receiver reported.
func receiver(name string, days map[advice.Day]int64) advice.Receiver {
	out := advice.Receiver{Name: name}
	first := advice.Day(math.MaxInt32)
	for day, n := range days {
		out.Messages += n
		out.Last = max(out.Last, day)
		first = min(first, day)
	}
	out.Daily = advice.IsDaily(len(days), first, out.Last)
	return out
}

// policy finds the policy that reports name last, and since when they name no other.
func (r *Reported) policy(list []store.Published) {
	slices.SortStableFunc(list, func(a, b store.Published) int { return a.Begin.Compare(b.Begin) })
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i].Policy
		step, err := stepOf(p.P, p.Testing == "y" && p.P != "none")
		if err != nil {
			continue
		}
		if r.Since != 0 && step != r.Policy {
			return
		}
		r.Policy, r.Since = step, advice.DayOf(list[i].Begin)
	}
}
