// Package alert mails the operator about problems that the received reports show: each alert once,
// and a digest every week. The store records what was mailed, so that a restart repeats nothing.
package alert

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// The codes of alerts. They are stable.
const (
	NewSource      = "new-source"
	SourceFailing  = "source-failing"
	ReceiverSilent = "receiver-silent"
	PolicyChanged  = "policy-changed"
	IntakeBroken   = "intake-broken"
	NewReporter    = "new-reporter"
)

// Watcher finds alerts in the store.
type Watcher struct {
	Store      *store.Store
	Messages   int64 // that a new source must have sent
	SilentDays int   // after which a receiver that reported regularly is silent
}

// Periods of watching, in days.
const (
	newFor   = 7  // that a source is new
	history  = 28 // in which a source shows what it is
	recent   = 3  // that are compared with the history
	regular  = 14 // in which a receiver shows that it reports
	changed  = 10 // in which a change of policy is reported
	noMail   = 2  // without mail after which intake is broken
	maxAlert = 20 // alerts of one code that one look raises; more are one sentence

	// MaxDaily is how many alerts of one code are raised in 24 hours; more are one sentence.
	MaxDaily = maxAlert + 1
)

// Look returns the alerts that hold now.
func (w *Watcher) Look(ctx context.Context, now time.Time) ([]store.Alert, error) {
	rules, err := w.Store.Verdicts(ctx)
	if err != nil {
		return nil, err
	}
	broken, err := w.intake(ctx, now)
	if err != nil {
		return nil, err
	}
	sources, err := w.sources(ctx, now, judge(rules))
	if err != nil {
		return nil, err
	}
	policies, err := w.policies(ctx, now)
	if err != nil {
		return nil, err
	}
	reporters, err := w.reporters(ctx, now)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(broken, sources, policies, reporters)
	if len(broken) > 0 {
		return out, nil // that receivers are silent follows
	}
	silent, err := w.silent(ctx, now)
	return append(out, silent...), err
}

// verdicts are the operator's verdicts on sources, by address.
type verdicts func(domain, source string) advice.Class

func judge(list []store.Verdict) verdicts {
	return func(domain, source string) advice.Class {
		address, err := netip.ParseAddr(source)
		if err != nil {
			return ""
		}
		for i := range list {
			if list[i].Matches(domain, address) {
				return advice.Class(list[i].Class)
			}
		}
		return ""
	}
}

// quiet reports whether a class of the operator's raises no alert.
func quiet(c advice.Class) bool {
	return c == advice.NotOurs || c == advice.Scanner || c == advice.Forwarding
}

// sources finds new sources and own ones that fail.
func (w *Watcher) sources(ctx context.Context, now time.Time, class verdicts) ([]store.Alert,
	error) {
	domains, first, err := w.Store.FirstSeen(ctx, now.AddDate(0, 0, -newFor))
	if err != nil {
		return nil, err
	}
	var fresh, failing []store.Alert
	var was, is store.Sum
	var at [2]string
	look := func() {
		c := class(at[0], at[1])
		if quiet(c) {
			return
		}
		start, isNew := first[at]
		isKnown := start-domains[at[0]] >= newFor // everything is new at first
		if total := was.Messages + is.Messages; isNew && isKnown && c == "" && total >= w.Messages {
			fresh = append(fresh, newSource(at, start, total, was.Pass+is.Pass))
		}
		if fails := is.Messages - is.Pass; isOwn(c, was) && fails >= 5 && fails*2 > is.Messages {
			failing = append(failing, sourceFailing(at, is))
		}
	}
	today := store.Day(now)
	err = w.Store.SourceDays(ctx, now.AddDate(0, 0, -history), func(d store.DaySum) {
		if key := [2]string{d.Domain, d.Name}; key != at {
			look()
			at, was, is = key, store.Sum{}, store.Sum{}
		}
		to := &was
		if d.Day > today-recent {
			to = &is
		}
		to.Messages += d.Messages
		to.Pass += d.Pass
		to.SPF += d.SPF
	})
	if err != nil {
		return nil, err
	}
	look()
	return slices.Concat(bounded(fresh), bounded(failing)), nil
}

// isOwn reports whether a source was one of ours: the operator says so, or the SPF record named it
// and nearly all of its mail passed.
func isOwn(c advice.Class, was store.Sum) bool {
	if c != "" {
		return c.IsOwn()
	}
	return was.Messages >= 20 && was.SPF*2 >= was.Messages && was.Pass*10 >= was.Messages*9
}

func newSource(at [2]string, day, messages, pass int64) store.Alert {
	how := "none of it passes DMARC: it is a forgery, or a host that is not known here"
	switch {
	case pass == messages:
		how = "all of it passes DMARC: it is a new host or service of yours, or forwarded mail"
	case pass > 0:
		how = fmt.Sprintf("%d of them pass DMARC", pass)
	}
	return store.Alert{
		Code: NewSource, Domain: at[0], Subject: at[1],
		Text: fmt.Sprintf("%s has sent mail as %s since %s: %s, and %s. See \"mailseal reports "+
			"sources --domain %s\".",
			at[1], at[0], date(day), advice.Plural(messages, "message", "messages"), how, at[0]),
	}
}

func sourceFailing(at [2]string, is store.Sum) store.Alert {
	return store.Alert{
		Code: SourceFailing, Domain: at[0], Subject: at[1],
		Text: fmt.Sprintf("Mail of %s, a host of %s, now fails DMARC: %d of %s in the last %d "+
			"days. Check that its mail is signed and that the SPF record still names it: "+
			"\"mailseal domain %s\".", at[1], at[0], is.Messages-is.Pass,
			advice.Plural(is.Messages, "message", "messages"), recent, at[0]),
	}
}

// bounded replaces what is beyond maxAlert by one alert.
func bounded(list []store.Alert) []store.Alert {
	if len(list) <= maxAlert {
		return list
	}
	first := list[maxAlert]
	more := store.Alert{
		Code: first.Code, Subject: "more",
		Text: fmt.Sprintf("There are %d more alerts of this kind (%s), for the domains from %s "+
			"to %s. The pages and \"mailseal reports sources\" show all sources.",
			len(list)-maxAlert, first.Code, first.Domain, list[len(list)-1].Domain),
	}
	return append(list[:maxAlert:maxAlert], more)
}

// silent finds receivers that reported nearly every day, and stopped.
func (w *Watcher) silent(ctx context.Context, now time.Time) (out []store.Alert, err error) {
	// A report on a day comes on the next one.
	end := store.Day(now) - int64(w.SilentDays)
	days := map[string]map[int64]bool{}
	err = w.Store.ReporterDays(ctx, now.AddDate(0, 0, -w.SilentDays-regular), func(d store.DaySum) {
		if days[d.Name] == nil {
			days[d.Name] = map[int64]bool{}
		}
		days[d.Name][d.Day] = true
	})
	for name, seen := range days {
		var last int64
		for day := range seen {
			last = max(last, day)
		}
		if len(seen) < regular*2/3 || last >= end {
			continue
		}
		out = append(out, store.Alert{
			Code: ReceiverSilent, Subject: name,
			Text: fmt.Sprintf("%s sent reports on %d of %d days, and none on a day after %s. "+
				"Check that rua in your DMARC records still names the address for reports, and "+
				"whether the mail "+
				"server refused mail from it.",
				name, len(seen), regular, date(last)),
		})
	}
	slices.SortFunc(out, func(a, b store.Alert) int {
		return strings.Compare(a.Subject, b.Subject)
	})
	return bounded(out), err
}

// policies finds changes of policy. Reporters write a policy in different ways, so each is
// compared with itself.
func (w *Watcher) policies(ctx context.Context, now time.Time) (out []store.Alert, err error) {
	reported := map[string]bool{}
	var before store.Published
	err = w.Store.EachPolicy(ctx, now.AddDate(0, 0, -history), func(p store.Published) {
		was := before
		before = p
		if was.Domain != p.Domain || was.Reporter != p.Reporter ||
			p.Begin.Before(now.AddDate(0, 0, -changed)) {
			return
		}
		from, to := words(was.Policy), words(p.Policy)
		subject := from + " to " + to
		if from == to || reported[p.Domain+" "+subject] || len(reported) > maxReported {
			return
		}
		reported[p.Domain+" "+subject] = true
		out = append(out, store.Alert{
			Code: PolicyChanged, Domain: p.Domain, Subject: subject,
			Text: fmt.Sprintf("The policy of %s changed from %s to %s, according to the report "+
				"of %s on %s. If you did not change it, find out who can write to its zone.",
				p.Domain, from, to, p.Reporter, p.Begin.Format(time.DateOnly)),
		})
	})
	return bounded(out), err
}

// maxReported bounds the changes of policy that one look finds: a reporter can invent any number.
const maxReported = 1000

// words are the tags of a policy that decide how receivers treat mail.
func words(p report.PolicyPublished) string {
	out := "p=" + p.P
	if p.SP != "" && p.SP != p.P {
		out += "; sp=" + p.SP
	}
	if p.Testing == "y" {
		out += "; t=y"
	}
	if p.Pct != "" && p.Pct != "100" {
		out += "; pct=" + p.Pct
	}
	return out
}

// reporters finds reporters that are new and say more about a domain than all others together.
// Their mail is authenticated, which says who they are, and not that what they say is true.
func (w *Watcher) reporters(ctx context.Context, now time.Time) (out []store.Alert, err error) {
	fresh, oldest, err := w.Store.NewReporters(ctx, now.AddDate(0, 0, -newFor))
	if err != nil {
		return nil, err
	}
	all, of := map[string]int64{}, map[[2]string]int64{}
	err = w.Store.ReporterDays(ctx, now.AddDate(0, 0, -newFor), func(d store.DaySum) {
		all[d.Domain] += d.Messages
		if start, isNew := fresh[d.Name]; isNew && start-oldest >= newFor {
			of[[2]string{d.Domain, d.Name}] += d.Messages
		}
	})
	for at, n := range of {
		if n < w.Messages || n*2 <= all[at[0]] {
			continue
		}
		out = append(out, store.Alert{
			Code: NewReporter, Domain: at[0], Subject: at[1],
			Text: fmt.Sprintf("%s has sent reports on %s since %s, and claims %d of %s of the "+
				"last %d days. If you do not know it, read its reports: \"mailseal reports "+
				"received --domain "+
				"%s\". \"mailseal reports refuse %s\" excludes them from all sums.",
				at[1], at[0], date(fresh[at[1]]), n,
				advice.Plural(all[at[0]], "message", "messages"), newFor,
				at[0], at[1]),
		})
	}
	slices.SortFunc(out, func(a, b store.Alert) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.Subject, b.Subject))
	})
	return bounded(out), err
}

// intake finds that no mail comes, or that most of it cannot be read.
func (w *Watcher) intake(ctx context.Context, now time.Time) ([]store.Alert, error) {
	days, err := w.Store.Arrivals(ctx, now.AddDate(0, 0, -noMail-7))
	if err != nil {
		return nil, err
	}
	var unread, mails int64
	var last int64
	var why string
	for _, d := range days {
		last = d.Day
		if d.Day >= store.Day(now)-1 {
			unread, mails, why = unread+d.Unread, mails+d.Mails, d.Why
		}
	}
	switch {
	case len(days) >= 5 && last < store.Day(now)-noMail:
		return []store.Alert{{
			Code: IntakeBroken, Subject: "no mail",
			Text: fmt.Sprintf("No mail with reports arrived after %s. Search the log of the mail "+
				"server for errors about the socket of [reports.intake], and check its queue.",
				date(last)),
		}}, nil
	case unread >= 3 && unread*2 > mails:
		line, _, _ := strings.Cut(why, "\n")
		return []store.Alert{{
			Code: IntakeBroken, Subject: "not readable",
			Text: fmt.Sprintf("%d of %d mails since yesterday could not be read, such as: %s. "+
				"The pages list them. After an upgrade to a version that can, \"mailseal reports "+
				"reparse\" reads them again.", unread, mails, line),
		}}, nil
	}
	return nil, nil
}

func date(day int64) string { return store.DayStart(day).Format(time.DateOnly) }
