package reporting

import (
	"context"
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
		Doc:  "makes the reports of each day and hands them to the mail server",
		Build: func(ctx context.Context, p *Process) (Part, error) {
			return Part{Jobs: []jobs.Job{
				{
					Name:     "send",
					Interval: func() time.Duration { return time.Minute },
					First:    func() time.Duration { return 10 * time.Second },
					Do:       func(ctx context.Context) error { return p.Send(ctx) },
				},
				{
					Name:     "prune",
					Interval: func() time.Duration { return 6 * time.Hour },
					First:    func() time.Duration { return time.Minute },
					Do:       p.prune,
				},
			}}, nil
		},
	}
}

// Send builds the reports whose time has come, and hands over what is due.
func (p *Process) Send(ctx context.Context) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	r, err := NewReporter(p.Config, s, p.Log, p.Version)
	if err != nil {
		return err
	}
	ready, err := spool.Ready(p.Config.Reports.SpoolDirectory, p.Now())
	if err != nil {
		return err
	}
	if err := r.Build(ctx, store.Day(ready), p.Now()); err != nil {
		return err
	}
	if !p.Config.Reports.Send {
		return nil
	}
	return r.Deliver(ctx, p.Now())
}

func (p *Process) prune(ctx context.Context) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	return s.OutPrune(ctx, p.Now())
}

// NewReporter makes a Reporter of a configuration.
func NewReporter(cfg *config.Config, s *store.Store, log *slog.Logger, version string) (*send.Reporter, error) {
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
		Store: s,
		Rules: send.Rules{
			Send:       c.Send,
			ListedOnly: c.Relation == action.RelationListed,
			Listed:     inTrees(c.Domains),
			Excluded:   inTrees(c.ExcludeDomains),
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

// inTrees reports of a domain whether a list has it; ".example.com" is any domain below it.
func inTrees(list []string) func(string) bool {
	return func(domain string) bool {
		for _, d := range list {
			if d == domain || strings.HasPrefix(d, ".") && strings.HasSuffix(domain, d) {
				return true
			}
		}
		return false
	}
}
