package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// foot is below the matrix: how reports come in and go out, for those who see all domains, and what
// changed in the last week.
func (s *Server) foot(ctx context.Context, v visit, all []scored) []footPart {
	var out []footPart
	if v.all() {
		if in, err := s.intake(ctx); err == nil {
			out = append(out, intakeFoot(in, all, v.now))
		}
		if o, err := s.outgoing(ctx); err == nil {
			out = append(out, outgoingFoot(o, v.now))
		}
	}
	return append(out, footPart{ID: "changes", Title: "Changes this week",
		Rows:  changes(all, v.now),
		Empty: "None: no policy, record or key changed, and no new source began to send."})
}

// intakeFoot sums up how reports arrive.
func intakeFoot(in Intake, all []scored, now time.Time) footPart {
	out := footPart{ID: "in", Title: "Reports in", URL: "/ingest"}
	add := func(term, text template.HTML) { out.Rows = append(out.Rows, footRow{term, text}) }
	today := say("%s stored, %s, ", in.Today,
		plain(advice.Plural(in.Duplicates, "duplicate", "duplicates")))
	add("Today", today+link("/ingest#errors", say("%s not read", in.UnreadToday)))
	var unverified, others int64
	for _, u := range in.Unverified {
		unverified += u.Reports
	}
	for _, o := range in.Others {
		others += o.Reports
	}
	add("Not counted", link("/ingest#unverified", say("%s not verified", unverified))+", "+
		link("/ingest#others", say("%s for domains not yours", others)))
	if r, domains := silentest(all); r != nil {
		text := say("%s, no day after %s", r.Receiver,
			dayHTML(r.Last, advice.DayOf(now)))
		if domains > 1 {
			text += say(", and for %s more", plain(advice.Plural(domains-1, "domain", "domains")))
		}
		add("Silent", link("/ingest#silent", text))
	}
	return out
}

// silentest is the receiver that is silent for longest, and for how many domains one is.
func silentest(all []scored) (longest *silence, domains int64) {
	for _, l := range all {
		s := l.x.grounds().Silent
		if s == nil {
			continue
		}
		domains++
		if longest == nil || s.Last < longest.Last {
			longest = s
		}
	}
	return longest, domains
}

// outgoingFoot sums up which reports go to others.
func outgoingFoot(o Outgoing, now time.Time) footPart {
	out := footPart{ID: "out", Title: "Reports out", URL: "/out"}
	add := func(term, text template.HTML) { out.Rows = append(out.Rows, footRow{term, text}) }
	var sends, waits int64
	next := time.Time{}
	for _, r := range o.Rows {
		if r.State != "sends" {
			waits++
			continue
		}
		sends++
		if !r.At.IsZero() && (next.IsZero() || r.At.Before(next)) {
			next = r.At
		}
	}
	tonight := say("reports to %s", plain(advice.Plural(sends, "domain", "domains")))
	if !next.IsZero() {
		tonight += say(", from %s UTC", timeHTML(next))
	}
	if !o.On {
		tonight = "none: sending is off"
	}
	add("To send", link("/out#tonight", tonight))
	sent, failed := sentSince(o, now.Add(-24*time.Hour))
	latest := say("%s sent, %s failed", sent, failed)
	if n := len(o.Sent); n == listedRows && !o.Sent[n-1].At.Before(now.Add(-24*time.Hour)) {
		latest = say("of the last %s mails %s were sent, and %s failed", n, sent, failed)
	}
	add("Last 24 h", link("/out#sent", latest))
	not := link("/out#tonight", plain(advice.Plural(waits, "domain", "domains"))) +
		", " + link("/out#supp", say("%s suppressed",
		plain(advice.Plural(int64(len(o.Blocked)), "address", "addresses"))))
	add("Not told", not)
	return out
}

// sentSince counts the reports that were handed over since a time, and those that failed.
func sentSince(o Outgoing, since time.Time) (sent, failed int64) {
	for _, r := range o.Sent {
		switch {
		case r.At.Before(since):
		case r.Failed || strings.HasPrefix(r.State, store.Failed):
			failed++
		case strings.HasPrefix(r.State, store.HandedOver):
			sent++
		}
	}
	return sent, failed
}

// outgoingFor is how long what goes out is shown as it was: to find it out, each domain that asks
// for reports is looked at.
const outgoingFor = 5 * time.Minute

// outgoing returns what goes out, from memory if it is young enough.
func (s *Server) outgoing(ctx context.Context) (Outgoing, error) {
	now := s.now()
	s.cache.mu.Lock()
	out, at := s.cache.outgoing, s.cache.outgoingAt
	s.cache.mu.Unlock()
	if !at.IsZero() && now.Sub(at) < outgoingFor && !now.Before(at) {
		return out, nil
	}
	out, err := s.read.Outgoing(ctx, now)
	if err != nil {
		return out, err
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.outgoing, s.cache.outgoingAt = out, now
	return out, nil
}

// maxChanges is how many changes the overview lists.
const maxChanges = 8

// changes lists what changed in the last week.
func changes(all []scored, now time.Time) []footRow {
	var events []Event
	for _, s := range all {
		for _, e := range s.x.events {
			if now.Sub(e.At) <= 7*24*time.Hour {
				events = append(events, e)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Domain, b.Domain))
	})
	var out []footRow
	for _, e := range events[:min(maxChanges, len(events))] {
		out = append(out, footRow{timeHTML(e.At), link(domainURL(e.Domain)+"#time",
			say("%s", e.Domain)) + ": " + esc(e.Text)})
	}
	if more := len(events) - maxChanges; more > 0 {
		out = append(out, footRow{"", say("and %s more", more)})
	}
	return out
}
