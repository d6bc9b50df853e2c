package reporting

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/changes"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dns"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/lmtp"
	"mailseal/milter/report/origin"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// day is how long retention is counted in.
const day = 24 * time.Hour

// foreign is how long reports on domains are kept that are not ours.
const foreign = 30 * day

// intakeRole takes reports from the mail server.
func intakeRole() Role {
	return Role{
		Name: "intake",
		Doc: "receives reports about your domains by LMTP, makes the changes requested on the " +
			"pages, computes the state of each domain, and removes expired reports",
		Build: func(ctx context.Context, p *Process) (Part, error) {
			s, err := p.Store(ctx)
			if err != nil {
				return Part{}, err
			}
			server, err := NewIntake(p, s)
			if err != nil {
				return Part{}, err
			}
			l, err := listenIntake(ctx, p.Config.Reports.Intake)
			if err != nil {
				return Part{}, fmt.Errorf("reports.intake.address: %w", err)
			}
			taker := &intake.Intake{Store: s, Domains: p.Config.Reports.Intake.Domains}
			pages := &changes.Server{Intake: taker, Log: p.Log, Now: p.Now}
			socket, err := listenChanges(ctx, p.Config.Reports.Intake)
			if err != nil {
				return Part{}, errors.Join(fmt.Errorf("reports.intake.changes: %w", err), l.Close())
			}
			if len(server.Trust.IDs) == 0 {
				p.Log.Warn("authserv_id is not set: the Authentication-Results of this host are " +
					"not used, and only DKIM signatures that verify here authenticate a report. " +
					"Set authserv_id to the name in these fields")
			}
			return Part{
				Serve: func(ctx context.Context) error {
					return both(ctx, func(ctx context.Context) error {
						return server.Serve(ctx, l)
					}, func(ctx context.Context) error { return pages.Serve(ctx, socket) })
				},
				Jobs: append(metricsJobs(p, s),
					newLead(p, store.LeaseIntake).jobs(s, func(s *store.Store) []jobs.Job {
						return slices.Concat([]jobs.Job{purgeJob(p, s), domainStatesJob(p, s)},
							originJobs(p, s, server.Trust.Resolver), alertJobs(p, s))
					})...),
			}, nil
		},
	}
}

// listenIntake opens the LMTP socket for the group of the mail server.
func listenIntake(ctx context.Context, in config.ReportsIntake) (*milter.Listener, error) {
	return milter.Listen(ctx, milter.ListenOptions{
		Address: "unix:" + in.Address, Mode: in.Mode, Group: in.Group, Role: action.RoleAuto,
	})
}

// listenChanges opens the socket of the pages, for the user of this process.
func listenChanges(ctx context.Context, in config.ReportsIntake) (*milter.Listener, error) {
	return milter.Listen(ctx, milter.ListenOptions{Address: "unix:" + in.Changes, Mode: 0o600,
		Role: action.RoleAuto})
}

// both runs two servers until ctx ends or one of them fails, which ends the other.
func both(ctx context.Context, one, other func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var second error
	var wait sync.WaitGroup
	wait.Go(func() {
		defer cancel()
		second = other(ctx)
	})
	first := one(ctx)
	cancel()
	wait.Wait()
	return errors.Join(first, second)
}

// NewIntake makes the server that stores mails with reports.
func NewIntake(p *Process, s *store.Store) (*lmtp.Server, error) {
	_, resolver, err := assembly.NewResolver(p.Config)
	if err != nil {
		return nil, err
	}
	trust := &lmtp.Trust{Resolver: resolver, Now: p.Now}
	if id := p.Config.AuthservID; id != "" {
		trust.IDs = append([]string{id}, p.Config.AuthenticationResults.RemoveIDs...)
	}
	return &lmtp.Server{
		Intake: &intake.Intake{Store: s, Domains: p.Config.Reports.Intake.Domains}, Trust: trust,
		RefuseOther: p.Config.Reports.Intake.RefuseOther, Name: cmp.Or(p.Config.Host.Full,
			p.Config.Host.Name, "localhost"), Log: p.Log, Now: p.Now,
		Bounced: func(ctx context.Context, recipient string, mail []byte) (bool, error) {
			_, known, err := send.Bounced(ctx, s, recipient, bytes.NewReader(mail), p.Now())
			return known, err
		},
	}, nil
}

// purgeJob removes expired reports.
func purgeJob(p *Process, s *store.Store) jobs.Job {
	in := p.Config.Reports.Intake
	keep := store.Retention{
		Raw: time.Duration(in.RawDays) * day, Records: time.Duration(in.RecordDays) * day,
		Rollups: time.Duration(in.SumDays) * day, Foreign: foreign,
	}
	return jobs.Job{
		Name:     "purge",
		Interval: func() time.Duration { return day },
		First:    func() time.Duration { return time.Minute },
		Do:       func(ctx context.Context) error { return s.Purge(ctx, p.Now(), keep) },
	}
}

// originJobs looks up names and networks of addresses; there are none if both are switched off.
func originJobs(p *Process, s *store.Store, resolver dns.Resolver) []jobs.Job {
	in := p.Config.Reports.Intake
	if !in.ReverseNames && len(in.AddressDatabases) == 0 {
		return nil
	}
	find := &origin.Finder{Store: s, Databases: in.AddressDatabases, Now: p.Now}
	if in.ReverseNames {
		find.Resolver = resolver
	}
	if err := origin.Check(in.AddressDatabases); err != nil {
		p.Log.Warn("a file in reports.intake.address_databases cannot be read, so networks and "+
			"countries of addresses stay unknown",
			"error", err)
	}
	return []jobs.Job{{
		Name:     "origins",
		Interval: func() time.Duration { return 10 * time.Minute },
		First:    func() time.Duration { return time.Minute },
		Do: func(ctx context.Context) error {
			n, err := find.Run(ctx)
			if n > 0 {
				p.Log.Info("looked up names and networks of addresses in reports", "addresses", n)
			}
			return err
		},
	}}
}

// Deliver stores one mail with reports, as the intake does.
func (p *Process) Deliver(ctx context.Context, mail []byte, recipients ...string) error {
	s, err := OpenStore(ctx, p.Config)
	if err != nil {
		return err
	}
	defer s.Close()
	server, err := NewIntake(p, s)
	if err != nil {
		return err
	}
	return server.Take(ctx, "pipe", recipients, mail)
}
