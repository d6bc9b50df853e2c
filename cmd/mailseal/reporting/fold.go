package reporting

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
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
				First:    func() time.Duration { return time.Millisecond }, // 0 is never
				Do:       p.Fold,
			}}}, nil
		},
	}
}

// Fold takes the segments that are closed into the store, one at a time, and deletes each once it
// is there.
func (p *Process) Fold(ctx context.Context) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	dir := p.Config.Reports.SpoolDirectory
	names, err := spool.Segments(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := p.foldOne(ctx, s, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// foldOne takes one segment into the store. What lies behind damage is lost, and said: to try again
// would not bring it back.
func (p *Process) foldOne(ctx context.Context, s *store.Store, dir, name string) error {
	path := filepath.Join(dir, name)
	batch := store.NewOutBatch()
	err := spool.Read(path, func(r spool.Record) error {
		switch {
		case r.Evaluation != nil:
			batch.Add(r.Evaluation)
		case r.Failing != nil:
			batch.AddFailing(r.Failing)
		case r.Sent != nil:
			batch.Sent(r.Sent)
		default:
			batch.Wrote(r.Wrote, r.Time)
		}
		return ctx.Err()
	})
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // another process was faster
	case errors.Is(err, spool.ErrCorrupt):
		p.Log.Error("a segment of the spool is damaged; what lies behind the damage is in no report", "segment", name)
	case err != nil:
		return err
	}
	if _, err := s.Fold(ctx, spool.Base(name), batch, p.Now()); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
