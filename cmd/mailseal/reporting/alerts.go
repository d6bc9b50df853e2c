package reporting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter/report/alert"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// alertJobs finds and mails alerts; there are none if no address is set.
func alertJobs(p *Process, s *store.Store) []jobs.Job {
	if len(p.Config.Reports.Alerts.To) == 0 {
		return nil
	}
	return []jobs.Job{{
		Name:     "alerts",
		Interval: func() time.Duration { return time.Hour },
		First:    func() time.Duration { return 5 * time.Minute },
		Do:       func(ctx context.Context) error { return p.Alert(ctx, s) },
	}}
}

// Alert finds alerts, and mails the new ones and a digest that is due.
func (p *Process) Alert(ctx context.Context, s *store.Store) error {
	set := p.Config.Reports.Alerts
	watch := &alert.Watcher{Store: s, Messages: int64(set.NewSource), SilentDays: set.SilentDays}
	now := p.Now()
	found, err := watch.Look(ctx, now)
	if err != nil {
		return err
	}
	raised, err := s.RaiseSome(ctx, now, time.Duration(set.QuietDays)*day, alert.MaxDaily, found...)
	if err != nil {
		return err
	}
	if raised > 0 {
		p.Log.Info("new alerts: \"mailseal reports alerts\" shows them", "new", raised,
			"current", len(found))
	}
	mail := newMailer(p.Config, s, p.Log)
	err = mail.Send(ctx, now)
	if set.Digest {
		err = errors.Join(err, mail.Digest(ctx, now))
	}
	return err
}

func newMailer(cfg *config.Config, s *store.Store, log *slog.Logger) *alert.Mailer {
	host := cmp.Or(cfg.Host.Full, cfg.Host.Name, "localhost")
	return &alert.Mailer{
		Store: s, From: cfg.Reports.From, To: cfg.Reports.Alerts.To, Host: host, Log: log,
		Networks:  cfg.Ours.Networks,
		Transport: &send.SMTP{Address: cfg.Reports.SMTP, Helo: host},
	}
}

// maxAlerts is how many alerts a list has.
const maxAlerts = 5000

// Alerts lists the alerts of the store.
func (o *Out) Alerts(ctx context.Context) error {
	s, err := openExisting(ctx, o.Config)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer s.Close()
	list, err := s.Alerts(ctx, false, maxAlerts)
	if err != nil {
		return answer.NewUnknown(err)
	}
	all := struct {
		To     []string      `json:"to"`
		Alerts []store.Alert `json:"alerts"`
	}{append([]string{}, o.Config.Reports.Alerts.To...), append([]store.Alert{}, list...)}
	return o.print(all, func(w io.Writer) {
		if len(all.To) == 0 {
			fmt.Fprintln(w, "Alerts are off: to in [reports.alerts] is not set.")
		}
		if len(list) == 0 {
			fmt.Fprintln(w, "There are no alerts.")
		}
		for _, a := range list {
			mailed := "not mailed"
			if !a.Sent.IsZero() {
				mailed = "mailed " + a.Sent.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s  %s, %s\n  %s\n", a.Raised.Format(time.DateOnly), a.Code, mailed,
				alert.Plain(a.Text))
		}
	})
}

// AlertTest mails a test to the addresses of [reports.alerts].
func (o *Out) AlertTest(ctx context.Context) error {
	mail := newMailer(o.Config, nil, slog.New(slog.DiscardHandler))
	if len(mail.To) == 0 {
		return errNone("reports.alerts.to is not set: set it to the addresses for alerts")
	}
	if err := mail.Test(ctx, o.Now); err != nil {
		return answer.NewUnknown(fmt.Errorf("reports.smtp: %w", err))
	}
	all := struct {
		To []string `json:"to"`
	}{mail.To}
	return o.print(all, func(w io.Writer) {
		for _, to := range mail.To {
			fmt.Fprintf(w, "The mail server at %s accepted a test mail to %s.\n",
				o.Config.Reports.SMTP, to)
		}
	})
}
