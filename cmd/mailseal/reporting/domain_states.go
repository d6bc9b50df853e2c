package reporting

import (
	"context"
	"time"

	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// reader reads the store as the pages do.
func (p *Process) reader(s *store.Store) *web.Stored {
	return &web.Stored{Store: s, Names: p.ownDomains(), Parked: p.Config.Reports.Intake.Parked,
		Networks: p.Config.Ours.Networks, Now: p.Now}
}

// domainStatesJob finds out how the domains stand on which reports have come, and keeps it for the
// overview.
func domainStatesJob(p *Process, s *store.Store) jobs.Job {
	judge := &web.Judge{Read: p.reader(s), Now: p.Now}
	return jobs.Job{
		Name:     "standings",
		Interval: func() time.Duration { return time.Minute },
		First:    func() time.Duration { return time.Second },
		Do: func(ctx context.Context) error {
			n, err := judge.Run(ctx)
			if n > 0 {
				p.Log.Debug("the health of the domains was computed", "domains", n)
			}
			return err
		},
	}
}
