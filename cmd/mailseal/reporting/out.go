package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Out is a command about reports that go out.
type Out struct {
	Config   *config.Config
	Now      time.Time
	JSON     bool
	Version  string
	Resolver dns.Resolver // nil: the configuration's
	Sendmail string       // a program that takes mail; "": reports.smtp does
	Output   io.Writer
}

// errNone reports that the store has nothing that matches, or that the answer is bad.
func errNone(format string, args ...any) error { return answer.NewBad(fmt.Errorf(format, args...)) }

// with opens the store for a command. It must exist.
func (o *Out) with(ctx context.Context, do func(*store.Store, *send.Reporter) error) error {
	return o.open(ctx, openExisting, do)
}

// creating opens the store, and creates it where it is missing.
func (o *Out) creating(ctx context.Context, do func(*store.Store, *send.Reporter) error) error {
	return o.open(ctx, OpenStore, do)
}

func (o *Out) open(ctx context.Context,
	open func(context.Context, *config.Config) (*store.Store, error),
	do func(*store.Store, *send.Reporter) error) error {
	s, err := open(ctx, o.Config)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer s.Close()
	r, err := NewReporter(o.Config, s, slog.New(slog.DiscardHandler), o.Version)
	if err != nil {
		return answer.NewUnknown(err)
	}
	if o.Resolver != nil {
		r.Authorizer.Resolver, r.Authorizer.DMARC.Resolver = o.Resolver, o.Resolver
		r.SetUp = sender{o.Config, o.Resolver}.wrong
	}
	if o.Sendmail != "" {
		r.Transport = &send.Program{Path: o.Sendmail}
	}
	return do(s, r)
}

// after returns the error of an answer that was printed. JSON says it all already, and is one
// value.
func (o *Out) after(err error) error {
	if err == nil || !o.JSON {
		return err
	}
	return answer.New(answer.Of(err), nil)
}

func (o *Out) print(v any, text func(io.Writer)) error {
	if !o.JSON {
		w := tabwriter.NewWriter(o.Output, 0, 8, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
	e := json.NewEncoder(o.Output)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Send does at once what "mailseal reports serve" does each minute; with dry it only shows it.
func (o *Out) Send(ctx context.Context, dry bool) error {
	return o.creating(ctx, func(s *store.Store, r *send.Reporter) error {
		if !o.Config.Reports.Send && !dry {
			return errNone("reports.send is false: nothing is sent; --dry-run lists what would " +
				"be sent")
		}
		before := o.Now.Add(-time.Second)
		if !dry {
			if err := errors.Join(collect(ctx, s, hostName(), o.Now),
				sendAll(ctx, o.Config, s, r, o.Now)); err != nil {
				return answer.NewUnknown(err)
			}
		}
		out, err := o.wouldSend(ctx, s, r, dry, before)
		if err != nil {
			return answer.NewUnknown(err)
		}
		if err := o.print(out, out.text); err != nil || dry || len(out.Reports) == 0 {
			return err
		}
		if wrong := r.WrongSetUp(ctx); wrong != "" {
			return o.after(errNone("nothing is sent: %s", wrong))
		}
		return nil
	})
}

// wouldSend lists the reports that were sent since a time, or in a dry run those that would be
// built and the mails that are due.
func (o *Out) wouldSend(
	ctx context.Context, s *store.Store, r *send.Reporter, dry bool, since time.Time,
) (listed, error) {
	out := listed{Pending: []pendingLine{}, Reports: []store.OutReport{}}
	all, err := s.OutReports(ctx, "", "", maxListed)
	if err != nil {
		return out, err
	}
	for _, p := range all {
		isWanted := false
		for _, d := range p.Deliveries {
			isDue := (d.State == store.Queued || d.State == store.Deferred) && !d.Due.After(o.Now)
			isWanted = isWanted || dry && isDue || !dry && d.Changed.After(since)
		}
		if isWanted {
			out.Reports = append(out.Reports, p)
		}
	}
	if !dry {
		return out, nil
	}
	ready, err := readyDay(o.Config, s, o.Now)
	if err != nil {
		return out, err
	}
	pending, err := s.OutPending(ctx, min(ready, store.Day(o.Now)-1), "")
	if err != nil {
		return out, err
	}
	for _, p := range pending {
		parts, err := r.Make(ctx, p)
		if err != nil {
			return out, err
		}
		for _, part := range parts {
			part.Date = store.DayStart(part.Day).Format(time.DateOnly)
			out.Reports = append(out.Reports, part)
		}
	}
	if len(out.Reports) > 0 {
		holdBack(out.Reports, r.WrongSetUp(ctx))
	}
	return out, nil
}

// Resend queues the mails of a report again, byte for byte: those that were not handed over, so
// that no address gets one twice; if all were handed over, all of them.
func (o *Out) Resend(ctx context.Context, id string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		r, err := send.Resend(ctx, s, id, true, o.Now)
		if err != nil {
			return refusedOr(err)
		}
		return o.print(r, listed{Reports: []store.OutReport{r}}.text)
	})
}

// refusedOr is the error of a command that a rule of sending refused, or that the store did not
// answer.
func refusedOr(err error) error {
	if errors.Is(err, send.ErrRefused) {
		return answer.NewBad(err)
	}
	return answer.NewUnknown(err)
}

// holdBack has the mails of reports wait, as they would, while the sender's set-up is wrong.
func holdBack(list []store.OutReport, wrong string) {
	if wrong == "" {
		return
	}
	for _, r := range list {
		for i, d := range r.Deliveries {
			if d.State == store.Queued || d.State == store.Deferred {
				r.Deliveries[i].State, r.Deliveries[i].Reason = store.Deferred, wrong
			}
		}
	}
}
