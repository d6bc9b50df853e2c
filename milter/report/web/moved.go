package web

import (
	"context"
	"html/template"

	"mailseal/milter/report/advice"
)

// Days that a movement is looked for in: the last full ones, and those before.
const (
	recentDays = 3
	beforeDays = 28
	// an event so many days before the recent ones, or on one of them, may be the cause
	causeDays = 7
)

// month reads what a movement is looked for in: it does not depend on the period of the page.
func (s *Server) month(ctx context.Context, x *facts) (map[advice.Day]Counts, error) {
	end := min(x.filter.To, x.late-1)
	f := Filter{From: end - recentDays - beforeDays + 1, To: end, Domains: x.filter.Domains,
		Receiver: x.filter.Receiver}
	sums, err := s.read.Sums(ctx, f, ByDay)
	if err != nil {
		return nil, err
	}
	out := map[advice.Day]Counts{}
	for _, sum := range sums {
		out[sum.Day] = sum.Counts
	}
	return out, nil
}

// moved says what moved, if the share of failures of the last three full days is more than three
// standard deviations of the days from that of the 28 days before.
func (x *facts) moved(days map[advice.Day]Counts) template.HTML {
	end := min(x.filter.To, x.late-1)
	var recent, before Counts
	for d := end - recentDays + 1; d <= end; d++ {
		recent.Add(days[d])
	}
	var n, sum, square float64
	for d := end - recentDays - beforeDays + 1; d <= end-recentDays; d++ {
		c := days[d]
		before.Add(c)
		if c.Messages < 20 { // its share says nothing
			continue
		}
		r := float64(c.Fail()) / float64(c.Messages)
		n, sum, square = n+1, sum+r, square+r*r
	}
	if n < beforeDays/2 || recent.Messages < 60 {
		return ""
	}
	mean := sum / n
	variance := max(square/n-mean*mean, 0.00001)
	now := float64(recent.Fail()) / float64(recent.Messages)
	if delta := now - mean; delta*delta <= 9*variance {
		return ""
	}
	verb := "rose"
	if now < mean {
		verb = "fell"
	}
	text := say("Failures %s to %s%% of the mail of the last 3 full days; in the 28 days before "+
		"it was %s%%.", plain(verb), plain(advice.Rate(recent.Fail(), recent.Messages)),
		plain(advice.Rate(before.Fail(), before.Messages)))
	if e := x.cause(end); e != nil {
		at := advice.DayOf(e.At)
		ago := "on the days of this change"
		if gap := int64(end - recentDays + 1 - at); gap > 0 {
			ago = advice.Plural(gap, "day", "days") + " after this change"
		}
		text += say(" That is %s, on %s: %s.", plain(ago), dayHTML(at, x.now), esc(e.Text))
	}
	return text
}

// cause returns the latest event that may be the cause of what moved in the days up to end.
func (x *facts) cause(end advice.Day) (latest *Event) {
	for i := range x.events {
		at := advice.DayOf(x.events[i].At)
		if at <= end && at > end-recentDays-causeDays &&
			(latest == nil || !x.events[i].At.Before(latest.At)) {
			latest = &x.events[i]
		}
	}
	return latest
}
