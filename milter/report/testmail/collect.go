package testmail

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"mailseal/milter/report/evidence"
)

// Collect reads the mails that the daemon wrote into the spool. It calls each for every new mail;
// its errors are logged, and nothing is tried again: an answer that comes late is of no use.
func (s *Store) Collect(ctx context.Context, dir string, log *slog.Logger,
	each func(evidence.Mail) error) error {
	names, err := evidence.Waiting(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		m, err := evidence.Read(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // another run took it
		case errors.Is(err, evidence.ErrCorrupt):
			log.Error("a file in the spool of test mails was removed, because it is not a test mail", "file", path)
		case err != nil:
			return err
		default:
			isNew, err := s.Put(ctx, name, m)
			if err != nil {
				return err
			}
			if isNew && each != nil {
				if err := each(m); err != nil {
					log.Warn("a test mail was not answered by mail", "to", m.Sender, "error", err)
				}
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
