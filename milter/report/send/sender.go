package send

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// Reporter makes reports and sends them.
type Reporter struct {
	Store        *store.Store
	Rules        Rules
	Sender       Sender
	Contact      string
	Generator    string // "mailseal 0.2.0"
	PassedAsPass bool
	Authorizer   *Authorizer
	Transport    Handover

	// SetUp returns why nothing may be sent yet, "" where the sender's set-up is right; nil is
	// never asked. Mail of a sender that is not set up makes the host look like one of spam.
	SetUp func(ctx context.Context) string

	// Failures reports whether a domain that takes mail gets failure reports; nil: none does.
	Failures func(host string) bool

	Log *slog.Logger
}

// retries are the times after which a mail that the mail server did not take is tried again; the
// last one repeats until giveUp.
var retries = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}

// giveUp is how old a report may be when it is handed over.
const giveUp = 5 * 24 * time.Hour

// lease is how long one attempt may take before another process may try.
const lease = 10 * time.Minute

// Build makes the reports of days that are over, each once its sending time has come. Ready is
// the last day whose rows are all in the store.
func (r *Reporter) Build(ctx context.Context, ready int64, now time.Time) error {
	for ctx.Err() == nil {
		list, err := r.Store.OutReady(ctx, min(ready, store.Day(now)-1), now, builtAtOnce)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, p := range list {
			parts, err := r.Make(ctx, p)
			if err != nil {
				return err
			}
			isBuilt, err := r.Store.OutBuilt(ctx, p, parts)
			if err != nil {
				return err
			}
			if isBuilt {
				r.logBuilt(parts)
			}
		}
	}
	return ctx.Err()
}

// builtAtOnce is how many policies are in memory while reports are built.
const builtAtOnce = 200

func (r *Reporter) logBuilt(parts []store.OutReport) {
	for _, p := range parts {
		r.Log.Info("report "+p.State, "domain", p.Domain, "day",
			store.DayStart(p.Day).Format(time.DateOnly), "id", p.ID,
			"messages", p.Messages, "rows", p.Rows, "folded", p.Folded, "reason", p.Reason)
		for _, d := range p.Deliveries {
			if d.State == store.Failed {
				r.Log.Info("report "+d.State, "domain", p.Domain, "id", p.ID, "host", d.Host,
					"reason", d.Reason)
			}
		}
	}
}

// Make makes the reports of a policy and day, in parts if there are many rows, and changes nothing.
// A report that is withheld has a reason and no mail.
func (r *Reporter) Make(ctx context.Context, p store.OutPending) ([]store.OutReport, error) {
	rel, err := r.Store.OutRelation(ctx, p.Domain, p.Day)
	if err != nil {
		return nil, err
	}
	reason := r.Rules.withheld(p.Domain, p.Messages, rel)
	if !r.Rules.Send && reason == "" {
		reason = "off: reports.send is false"
	}
	if reason != "" {
		return r.withhold(ctx, p, reason)
	}
	list, err := r.Reports(ctx, p)
	// What is wrong with the rows of one domain must not keep the reports of others back.
	if errors.Is(err, report.ErrInvalid) || errors.Is(err, report.ErrRow) {
		r.Log.Error("a report is withheld: this is a bug in Mailseal, please report it",
			"domain", p.Domain, "day", store.DayStart(p.Day).Format(time.DateOnly), "error", err)
		return r.withhold(ctx, p, "a bug in Mailseal, please report it: "+err.Error())
	}
	return list, err
}

// withhold makes the entry of a report that is not sent, with the reason.
func (r *Reporter) withhold(ctx context.Context, p store.OutPending,
	reason string) ([]store.OutReport, error) {
	id, _, err := r.unusedID(ctx, p, 0)
	if err != nil {
		return nil, err
	}
	return []store.OutReport{{
		ID: id, Day: p.Day, Domain: p.Domain, State: store.Withheld, Reason: reason,
		Built: store.Slot(p.Domain, p.Day), Messages: p.Messages, Rows: p.Rows, Folded: p.Folded,
	}}, nil
}

// unusedID returns the ID of the first part from one on that is not in the store: rows that
// arrive late, from a host that could not be reached, make a separate report.
func (r *Reporter) unusedID(ctx context.Context, p store.OutPending, part int) (string, int,
	error) {
	for ; ; part++ {
		id := reportID(&p.Policy, p.Day, r.Sender.Domain, part)
		list, err := r.Store.OutReports(ctx, "", id, 1)
		if err != nil || len(list) == 0 {
			return id, part, err
		}
	}
}

// maxPartBytes bounds a report by the size of its rows, so that mail servers take it.
const maxPartBytes = 2 << 20

// partOf is how many of some rows the next part of a report has.
func partOf(rows []report.Counted) int {
	size := 0
	for i := range rows {
		size += len(rows[i].AppendKey(nil))
		if i > 0 && (i == report.MaxRows || size > maxPartBytes) {
			return i
		}
	}
	return len(rows)
}

// Reports makes the reports of a policy and day whatever the gates say.
func (r *Reporter) Reports(ctx context.Context, p store.OutPending) ([]store.OutReport, error) {
	rows, err := r.Store.OutRows(ctx, p)
	if err != nil {
		return nil, err
	}
	var out []store.OutReport
	for part := 0; len(rows) > 0; part++ {
		n := partOf(rows)
		if _, part, err = r.unusedID(ctx, p, part); err != nil {
			return nil, err
		}
		made, err := r.part(p, rows[:n], part)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
		rows = rows[n:]
	}
	return out, nil
}

func (r *Reporter) part(p store.OutPending, rows []report.Counted, part int) (store.OutReport,
	error) {
	a := r.aggregate(p, rows, part)
	text, err := a.Write()
	if err != nil {
		return store.OutReport{}, fmt.Errorf("the report of %s: %w", p.Domain, err)
	}
	file, err := Compress(text)
	if err != nil {
		return store.OutReport{}, err
	}
	date := store.Slot(p.Domain, p.Day)
	out := store.OutReport{
		ID: a.ID, Day: p.Day, Domain: p.Domain, State: store.Built, Built: date,
		Messages: a.Messages(), Rows: int64(len(rows)), Folded: p.Folded, XML: file,
	}
	queued := 0
	for n, to := range report.Addresses(p.Policy.URIs) {
		d := store.OutDelivery{
			Report: a.ID, N: n + 1, Address: to.String(), Host: to.Host, State: store.Queued,
			Due:     date,
			Message: r.Sender.Message(a, file, to, n+1, date),
		}
		if r.isOurs(to) {
			d.State, d.Reason = store.Failed, reasonOurs
		} else {
			queued++
		}
		out.Deliveries = append(out.Deliveries, d)
	}
	if queued == 0 {
		out.State, out.Reason = store.Withheld, reasonNoAddress
	}
	return out, nil
}

func (r *Reporter) aggregate(p store.OutPending, rows []report.Counted,
	part int) *report.Aggregate {
	begin, end := period(p.Day)
	organization := r.Sender.Organization
	if organization == "" {
		organization = r.Sender.Domain
	}
	return &report.Aggregate{
		ID: reportID(&p.Policy, p.Day, r.Sender.Domain, part), Organization: organization,
		Email:   r.Sender.Address,
		Contact: r.Contact, Generator: r.Generator, Begin: begin, End: end, Policy: p.Policy,
		Rows:         rows,
		PassedAsPass: r.PassedAsPass,
	}
}

// Deliver hands over the mails that are due, up to the limit of the hour; the rest waits.
func (r *Reporter) Deliver(ctx context.Context, now time.Time) error {
	if err := r.doubt(ctx, now); err != nil {
		return err
	}
	due, err := r.Store.OutDue(ctx, now, r.Rules.PerHour)
	if err != nil {
		return err
	}
	wrong := ""
	if len(due) > 0 {
		wrong = r.WrongSetUp(ctx)
	}
	for _, d := range due {
		all, _, err := r.Store.OutHanded(ctx, now.Add(-time.Hour), "")
		if err != nil || all >= r.Rules.PerHour {
			return err
		}
		d.Host = r.destination(ctx, d.Address)
		_, toHost, err := r.Store.OutHanded(ctx, now.Add(-time.Minute), d.Host)
		if err != nil {
			return err
		}
		if toHost >= PerHost {
			// Many mails for one provider must not hide those that are due for others.
			if err := r.Store.OutPostpone(ctx, d, now.Add(time.Minute)); err != nil {
				return err
			}
			continue
		}
		ours, err := r.Store.OutClaim(ctx, d, now.Add(lease))
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		d.Tries++
		if err := r.one(ctx, d, wrong, now); err != nil {
			return err
		}
	}
	return nil
}

// doubt marks the mails whose process ended before it stored their result.
func (r *Reporter) doubt(ctx context.Context, now time.Time) error {
	n, err := r.Store.OutDoubt(ctx, now)
	if err == nil && n > 0 {
		r.Log.Warn("the process ended before the mail server replied: it is unknown whether it "+
			"has these mails, which are not sent again; mailseal reports list shows them as in "+
			"doubt",
			"mails", n)
	}
	return err
}

// errOvertaken reports that another process has claimed a mail meanwhile.
var errOvertaken = errors.New("another process sends it now")

// WrongSetUp returns why nothing may be sent yet, "" where the sender's set-up is right.
func (r *Reporter) WrongSetUp(ctx context.Context) string {
	if r.SetUp == nil {
		return ""
	}
	return r.SetUp(ctx)
}

// one takes one mail through the gates of its address, and hands it over. With wrong, which is why
// the sender's set-up does not do, it waits.
func (r *Reporter) one(ctx context.Context, d store.OutDelivery, wrong string,
	now time.Time) error {
	reports, err := r.Store.OutReports(ctx, "", d.Report, 1)
	if err != nil || len(reports) == 0 {
		return err
	}
	state, reason := store.Deferred, wrong
	if wrong == "" {
		state, reason = r.attempt(ctx, reports[0], d, now)
	}
	due := now
	if state == store.Deferred {
		due = now.Add(retries[min(d.Tries-1, len(retries)-1)])
		if age := now.Sub(reports[0].Built); age > giveUp {
			state, reason = store.Failed, fmt.Sprintf("given up after %s: %s", age.Round(time.Hour),
				reason)
		}
	}
	r.Log.Info("report "+state, "domain", reports[0].Domain, "id", d.Report, "host", d.Host,
		"tries", d.Tries, "reason", reason)
	return r.mark(r.Store.OutMark(ctx, d, state, reason, due, now))
}

// mark takes the result of marking a mail. If another process has claimed the mail since, that
// process decides its state.
func (r *Reporter) mark(ours bool, err error) error {
	if err == nil && !ours {
		r.Log.Warn("the result of sending a report was not stored: " + errOvertaken.Error())
	}
	return err
}

// attempt tries to hand a mail over, and returns the result.
func (r *Reporter) attempt(
	ctx context.Context, of store.OutReport, d store.OutDelivery, now time.Time,
) (state, reason string) {
	list, err := r.Store.OutSuppressions(ctx, d.Address, now)
	if err != nil {
		return store.Deferred, err.Error()
	}
	if len(list) > 0 {
		until := list[0].Until.Format(time.DateOnly)
		return store.Suppressed, fmt.Sprintf("suppressed until %s: %s", until, list[0].Reason)
	}
	all := report.Addresses([]string{"mailto:" + d.Address})
	if len(all) == 0 {
		return store.Failed, "rua has an invalid mail address"
	}
	to, refused, err := r.Authorizer.Authorize(ctx, of.Domain, all[0])
	switch {
	case err != nil:
		return store.Deferred, "the DNS did not answer whether the address accepts reports: " +
			err.Error()
	case refused != "":
		return store.Failed, refused
	case r.isOurs(to):
		return store.Failed, reasonOurs
	}
	key, err := r.Store.OutKey(ctx)
	if err != nil {
		return store.Deferred, err.Error()
	}
	err = r.Transport.HandOver(ctx, r.Sender.VERP(key, d.Report, d.N), to.String(), d.Message,
		func() error { return taking(r.Store.OutTaking(ctx, d, now)) })
	state, reason = became(err)
	if state == store.InDoubt {
		reason += "; if the log of the mail server does not have it, send it with mailseal " +
			"reports resend"
	}
	return state, reason
}

// taking is the error that keeps a mail from being handed over.
func taking(ours bool, err error) error {
	if err == nil && !ours {
		return errOvertaken
	}
	return err
}

// became is the state of a mail by the error of handing it over.
func became(err error) (state, reason string) {
	var no Refused
	var doubt InDoubt
	switch {
	case err == nil:
		return store.HandedOver, ""
	case errors.As(err, &no):
		return store.Failed, no.Error()
	case errors.As(err, &doubt):
		return store.InDoubt, doubt.Error()
	}
	return store.Deferred, err.Error()
}
