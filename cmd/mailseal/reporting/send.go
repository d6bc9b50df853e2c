package reporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter/action"
	"mailseal/milter/dmarc"
	"mailseal/milter/message"
	"mailseal/milter/report/send"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// sendRole makes reports and sends them.
func sendRole() Role {
	return Role{
		Name: "send",
		Doc:  "builds the reports of each day and hands them to the mail server",
		Idle: unless(func(cfg *config.Config) bool {
			return cfg.Reports.Send || cfg.Reports.Collect // what was collected expires
		}, "neither collect nor send is set in [reports]"),
		Build: func(ctx context.Context, p *Process) (Part, error) {
			leader := newLead(p, store.LeaseSend)
			return Part{Jobs: append(append(leader.job(), collectJob(p)...),
				jobs.Job{
					Name:     "send",
					Interval: func() time.Duration { return time.Minute },
					First:    func() time.Duration { return 10 * time.Second },
					Wake:     leader.gained,
					Do:       leader.only(p.send),
				},
				jobs.Job{
					Name:     "prune",
					Interval: func() time.Duration { return 6 * time.Hour },
					First:    func() time.Duration { return time.Minute },
					Do: leader.only(func(ctx context.Context, s *store.Store) error {
						return errors.Join(s.OutPrune(ctx, p.Now(), p.Config.Reports.SpoolDays),
							s.DropDays(ctx, store.Day(p.Now()), p.Now()))
					}),
				},
			)}, nil
		},
	}
}

// collectJob merges the rows of the hosts that share a store once a day is over, a shard at a
// time and side by side with other hosts; none where one host has the store.
func collectJob(p *Process) []jobs.Job {
	if !isShared(p.Config) {
		return nil
	}
	return []jobs.Job{{Name: "collect", Interval: every(time.Minute), First: every(5 * time.Second),
		Do: func(ctx context.Context) error {
			s, err := p.Store(ctx)
			if err != nil {
				return err
			}
			return collect(ctx, s, p.host(), p.Now())
		}}}
}

// collect merges the rows of the days for which all hosts are ready.
func collect(ctx context.Context, s *store.Store, host string, now time.Time) error {
	if !s.IsShared() {
		return nil
	}
	ready, err := s.ReadyDay(ctx, now)
	for isOne := true; isOne && err == nil; {
		isOne, err = s.Collect(ctx, ready, host, now)
	}
	return err
}

// Send builds the reports whose time has come, and hands over the mails that are due, whether or
// not this host leads.
func (p *Process) Send(ctx context.Context) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	return errors.Join(collect(ctx, s, p.host(), p.Now()), p.send(ctx, s))
}

func (p *Process) send(ctx context.Context, s *store.Store) error {
	r, err := NewReporter(p.Config, s, p.Log, p.Version)
	if err != nil {
		return err
	}
	return sendAll(ctx, p.Config, s, r, p.Now())
}

// sendAll builds reports and hands them over. An error in one of these steps does not stop
// the others.
func sendAll(ctx context.Context, cfg *config.Config, s *store.Store, r *send.Reporter,
	now time.Time) error {
	ready, err := readyDay(cfg, s, now)
	if err == nil {
		err = r.Build(ctx, ready, now)
	}
	if !cfg.Reports.Send {
		return err
	}
	return errors.Join(err, r.Deliver(ctx, now), r.DeliverFailures(ctx, now))
}

// readyDay is the last day whose rows are all in the store. Where hosts share it, a day has none
// that reports are built of before all hosts are ready.
func readyDay(cfg *config.Config, s *store.Store, now time.Time) (int64, error) {
	if s.IsShared() {
		return store.Day(now) - 1, nil
	}
	ready, err := spool.Ready(cfg.Reports.SpoolDirectory, now)
	return store.Day(ready), err
}

// NewReporter makes a Reporter of a configuration.
func NewReporter(cfg *config.Config, s *store.Store, log *slog.Logger,
	version string) (*send.Reporter, error) {
	_, resolver, err := assembly.NewResolver(cfg)
	if err != nil {
		return nil, err
	}
	c := cfg.Reports
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("this host's name: %w", err)
	}
	ours, err := message.ParsePatterns(c.Addresses)
	if err != nil {
		return nil, fmt.Errorf("reports.addresses: %w", err)
	}
	number, _, _ := strings.Cut(version, " ") // how it was built stays here
	return &send.Reporter{
		Failures: c.Failure.Takes(),
		Store:    s,
		Rules: send.Rules{
			Send:       c.Send,
			ListedOnly: c.Relation == action.RelationListed,
			Listed:     config.InTrees(c.Domains),
			Excluded:   config.InTrees(c.ExcludeDomains),
			Minimum:    int64(c.Minimum),
			PerHour:    c.PerHour,
			Ours:       ours.MatchPath,
		},
		Sender:       send.Sender{Address: c.From, Domain: c.Domain(), Organization: c.Organization},
		Contact:      c.Contact,
		Generator:    "mailseal " + number,
		PassedAsPass: c.Disposition == action.PassedPass,
		Authorizer: &send.Authorizer{
			Resolver: resolver,
			DMARC: &dmarc.Checker{
				Resolver: resolver, PublicSuffixList: cfg.Verify.OrganizationalDomain == action.PublicSuffixList,
			},
		},
		SetUp:     sender{cfg, resolver}.wrong,
		Transport: &send.SMTP{Address: c.SMTP, Helo: host},
		Log:       log,
	}, nil
}
