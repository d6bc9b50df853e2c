package reporting

import (
	"context"
	"time"

	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/spool"
)

// foldRole takes what the daemon wrote down into the store.
func foldRole() Role {
	return Role{
		Name: "fold",
		Doc:  "takes what the daemon wrote down into the store",
		Build: func(_ context.Context, p *Process) (Part, error) {
			return Part{Jobs: []jobs.Job{{
				Name:     "fold",
				Interval: func() time.Duration { return time.Minute },
				First:    func() time.Duration { return 0 },
				Do:       p.fold,
			}}}, nil
		},
	}
}

// fold looks at the segments that are closed.
func (p *Process) fold(context.Context) error {
	_, err := spool.Segments(p.Config.Reports.SpoolDirectory)
	return err
}
