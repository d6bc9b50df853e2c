package reporting

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/keys/database"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// TestJobsAreFenced holds that a job that goes on after its host has lost the lease changes
// nothing.
func TestJobsAreFenced(t *testing.T) {
	s, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg := &config.Config{}
	cfg.Reports.Store = "sqlite:" + storetest.SQLite(t)
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now, store: s}
	l := newLead(p, store.LeaseIntake)
	var first, second error
	list := l.jobs(s, func(s *store.Store) []jobs.Job {
		return []jobs.Job{{Name: "work", Do: func(ctx context.Context) error {
			first = s.KeepDomainState(ctx, store.DomainState{Domain: "a.example", Data: "{}"})
			l.end() // as if the host had been paused
			second = s.KeepDomainState(ctx, store.DomainState{Domain: "b.example", Data: "{}"})
			return second
		}}}
	})
	if err := list[len(list)-1].Do(t.Context()); err != nil {
		t.Error(err)
	}
	if first != nil || !errors.Is(second, store.ErrLeaseLost) {
		t.Errorf("with the lease: %v; without: %v", first, second)
	}
	if kept, err := s.DomainStates(t.Context(), 0); err != nil || len(kept) != 1 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}
