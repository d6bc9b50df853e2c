package reporting

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/cmd/mailseal/control"
	"mailseal/contrib/test/rig"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// TestStoreAway stops PostgreSQL under the process and under capture: rows wait, none is dropped,
// the process says so, and all are taken once the server is back.
func TestStoreAway(t *testing.T) {
	d := newSharedDay(t, 1)
	h := d.hosts[0]
	var later atomic.Bool
	h.Now = func() time.Time { // the process asks for the time, too
		if later.Load() {
			return noon.Add(partsEvery)
		}
		return noon
	}
	h.writer = spool.NewWriter(h.Config.Reports.SpoolDirectory, 1<<40, h.Log, h.Now)
	h.judge(t, 100)
	d.db.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	roles, err := Select(Roles(), []string{"fold", "send"})
	if err != nil {
		t.Fatal(err)
	}
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- h.Serve(ctx, roles, func() { close(ready) }) }()
	<-ready
	h.judge(t, 200)
	var a control.Answer
	hasTried := func() bool {
		a, err = control.Ask(ctx, ControlPath(h.Config, roles),
			control.Request{Command: control.Status})
		if err != nil || a.Running == nil || a.Running.Spool == nil {
			t.Fatalf("%+v, %v", a, err)
		}
		return jobError(a.Running, "fold") != ""
	}
	if !rig.Await(hasTried) {
		t.Fatalf("the rows are not counted, and the process does not say why: %+v", a.Running)
	}
	s := a.Running.Spool
	if s.Segments == 0 || s.Bytes == 0 || !s.Oldest.Equal(noon.Truncate(spool.Interval)) ||
		len(a.Running.Leads) != 1 || a.Running.Leads[0].Host != "" {
		t.Errorf("%+v, leads %+v", s, a.Running.Leads)
	}
	if text := h.waiting(); !strings.Contains(text, "the oldest since 2026-11-29 12:00 UTC") {
		t.Errorf("the page says %q", text)
	}
	d.db.Start()
	later.Store(true)
	if err := h.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := h.store.OutPending(ctx, store.Day(h.Now()), "")
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, p := range list {
		sum += p.Messages
	}
	if sum != 300 || h.waiting() != "" {
		t.Errorf("%d messages in the store, want 300; waiting: %q", sum, h.waiting())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// jobError is why a job failed; "" where it did not.
func jobError(r *control.Running, name string) string {
	for _, j := range r.Jobs {
		if j.Name == name {
			return j.Error
		}
	}
	return ""
}

// TestSpoolExpires holds that segments that are too old are removed while the database is away, and
// that the log says how many.
func TestSpoolExpires(t *testing.T) {
	h := newHost(t, "127.0.0.1:9")
	spoolThree(t, h.Config)
	var log bytes.Buffer
	now := noon.Add(7*day - time.Hour)
	p := &Process{Config: h.Config, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { return now }}
	h.Config.Reports.Store = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
	if err := p.Fold(t.Context()); err == nil || p.waiting() == "" || log.Len() > 0 {
		t.Fatalf("before they are too old: %v, waiting %q, log %s", err, p.waiting(), &log)
	}
	other := filepath.Join(h.Config.Reports.SpoolDirectory, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(7*day + time.Hour)
	if err := p.Fold(t.Context()); err == nil || p.waiting() != "" ||
		!strings.Contains(log.String(), "segments=1 days=7") {
		t.Errorf("%v, waiting %q, log %s", err, p.waiting(), &log)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}
