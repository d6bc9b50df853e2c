package send

import (
	"context"
	"fmt"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// What one destination gets of failure reports at most, whatever is forged in its name.
const (
	maxFailuresHour = 10
	maxFailuresDay  = 50
)

// giveUpFailure is how old a failure report may be when it is handed over: it is about what happens
// now.
const giveUpFailure = 24 * time.Hour

// DeliverFailures makes the failure reports whose hour is over and hands them over. What a
// destination gets is bounded; the rest is withheld, and its incidents are counted.
func (r *Reporter) DeliverFailures(ctx context.Context, now time.Time) error {
	if r.Failures == nil {
		return nil
	}
	due, err := r.Store.OutFailuresDue(ctx, now)
	if err != nil || len(due) == 0 {
		return err
	}
	wrong := r.WrongSetUp(ctx)
	for _, f := range due {
		ours, err := r.Store.OutFailureClaim(ctx, f, now.Add(lease))
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		f.Tries++
		if err := r.failure(ctx, f, wrong, now); err != nil {
			return err
		}
	}
	return nil
}

// failure takes one failure report through its gates, and hands it over.
func (r *Reporter) failure(ctx context.Context, f store.OutFailure, wrong string,
	now time.Time) error {
	f.State, f.Reason = store.Deferred, wrong
	if wrong == "" {
		var err error
		f, err = r.attemptFailure(ctx, f, now)
		if err != nil {
			f.State, f.Reason = store.Deferred, err.Error()
		}
	}
	due := now
	if f.State == store.Deferred {
		due = now.Add(retries[min(f.Tries-1, len(retries)-1)])
		if now.Sub(f.First) > giveUpFailure {
			f.State, f.Reason = store.Failed, "given up after a day: "+f.Reason
		}
	}
	r.Log.Info("failure report "+f.State, "domain", f.Domain, "id", f.ID, "host", f.Host,
		"incidents", f.Incidents, "reason", f.Reason)
	return r.mark(r.Store.OutFailureMark(ctx, f, due, now))
}

// attemptFailure tries to hand a failure report over, and returns it with the result. An error is a
// reason to wait.
func (r *Reporter) attemptFailure(ctx context.Context, f store.OutFailure,
	now time.Time) (store.OutFailure, error) {
	no := func(state, format string, args ...any) (store.OutFailure, error) {
		f.State, f.Reason = state, fmt.Sprintf(format, args...)
		return f, nil
	}
	switch {
	case !r.Failures(f.Host):
		return no(store.Withheld, "not listed: reports.failure.domains does not list %s", f.Host)
	case r.Rules.Excluded(f.Domain):
		return no(store.Withheld, "excluded: reports.exclude_domains lists it")
	}
	to, refused, err := r.failureAddress(ctx, &f)
	if err != nil {
		return f, err
	}
	if refused != "" {
		return no(store.Failed, "%s", refused)
	}
	f.Address = to.String()
	list, err := r.Store.OutSuppressions(ctx, f.Address, now)
	if err != nil {
		return f, err
	}
	switch {
	case len(list) > 0:
		return no(store.Suppressed, "suppressed until %s: %s",
			list[0].Until.Format(time.DateOnly), list[0].Reason)
	case r.isOurs(to):
		return no(store.Failed, "%s", reasonOurs)
	}
	for _, bound := range []struct {
		most int
		in   time.Duration
		word string
	}{{maxFailuresHour, time.Hour, "hour"}, {maxFailuresDay, 24 * time.Hour, "day"}} {
		n, err := r.Store.OutFailuresHanded(ctx, f.Host, now.Add(-bound.in))
		if err != nil {
			return f, err
		}
		if n >= bound.most {
			return no(store.Withheld, "too many: %s got %d failure reports within a %s", f.Host,
				n, bound.word)
		}
	}
	key, err := r.Store.OutKey(ctx)
	if err != nil {
		return f, err
	}
	err = r.Transport.HandOver(ctx, r.Sender.VERP(key, f.ID, 1), f.Address,
		r.Sender.FailureMessage(f, r.Generator),
		func() error { return taking(r.Store.OutFailureTaking(ctx, f, now)) })
	if f.State, f.Reason = became(err); f.State == store.InDoubt {
		f.Reason += "; the log of the mail server shows whether it has the mail; a failure " +
			"report cannot be sent again, since its data is not kept"
	}
	return f, nil
}

// failureAddress is where a failure report goes. The record of a signer names a local part at its
// own domain (RFC 6651 section 3.2); any other address is asked whether it takes reports.
func (r *Reporter) failureAddress(
	ctx context.Context, f *store.OutFailure,
) (report.Address, string, error) {
	if f.Sample.Signer != "" {
		return r.Authorizer.signer(ctx, f)
	}
	all := report.Addresses([]string{"mailto:" + f.Address})
	if len(all) == 0 {
		return report.Address{}, "ruf has an invalid mail address", nil
	}
	to, refused, err := r.Authorizer.AuthorizeFailure(ctx, f.Domain, all[0])
	if err != nil {
		err = fmt.Errorf("the DNS did not answer whether the address accepts reports: %w", err)
	}
	return to, refused, err
}
