package reporting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// hostJob stores how far this host is, for the hosts that share the store; there is none if they do
// not.
func hostJob(p *Process) []jobs.Job {
	if !isShared(p.Config) {
		return nil
	}
	return []jobs.Job{{Name: "host", Interval: every(time.Minute), First: every(time.Second),
		Do: p.storeHostState}}
}

func (p *Process) storeHostState(ctx context.Context) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	dir := p.Config.Reports.SpoolDirectory
	// What waits is looked at before how far this host is: a segment between the two only delays.
	waits, err := spool.Look(dir)
	if err != nil {
		return err
	}
	ready, err := spool.Ready(dir, p.Now())
	if err != nil {
		return err
	}
	return s.SetHost(ctx, store.HostState{Host: p.host(), Seen: p.Now(), Ready: store.Day(ready),
		Segments: waits.Segments, Bytes: waits.Bytes, Oldest: waits.Oldest})
}

// waiting describes what waits in the spool of this host, a sentence; "" if nothing waits, or
// another user may not look.
func (p *Process) waiting() string {
	w, err := spool.Look(p.Config.Reports.SpoolDirectory)
	if err != nil || w.Segments == 0 {
		return ""
	}
	return fmt.Sprintf("%d segments with %d kB wait in the spool of this host, the oldest since "+
		"%s UTC; they are counted once they are in the database.",
		w.Segments, (w.Bytes+1023)/1024, w.Oldest.Format("2006-01-02 15:04"))
}

// spoolState describes what waits in the spool, for the command status; nil if nothing is
// collected, or another user may not look.
func (p *Process) spoolState() *control.Spool {
	if !p.Config.Reports.Collect {
		return nil
	}
	w, err := spool.Look(p.Config.Reports.SpoolDirectory)
	if err != nil {
		return nil
	}
	return &control.Spool{Segments: w.Segments, Bytes: w.Bytes,
		Room:   int64(p.Config.Reports.SpoolSize),
		Oldest: w.Oldest}
}

// expireSpool removes expired segments: their rows are no longer of use, and take the
// room of others.
func (p *Process) expireSpool() error {
	dir := p.Config.Reports.SpoolDirectory
	names, err := spool.Segments(dir)
	if err != nil {
		return err
	}
	before := p.Now().Add(-time.Duration(p.Config.Reports.SpoolDays) * day)
	n := 0
	for _, name := range names {
		if !spool.StartOf(name).Before(before) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil &&
			!errors.Is(err, fs.ErrNotExist) {
			return err
		}
		n++
	}
	if n > 0 {
		p.Log.Error("records for DMARC reports are lost: they were removed from the spool, "+
			"because reports.store was unavailable for reports.spool_days", "segments", n,
			"days", p.Config.Reports.SpoolDays, "directory", dir)
	}
	return nil
}

// Hosts lists the hosts that share the store.
func (o *Out) Hosts(ctx context.Context) error {
	s, err := openExisting(ctx, o.Config)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer s.Close()
	list, err := s.Hosts(ctx)
	if err != nil {
		return answer.NewUnknown(err)
	}
	if list == nil {
		list = []store.HostState{}
	}
	return o.print(list, func(w io.Writer) {
		switch {
		case !s.IsShared():
			fmt.Fprintln(w, "reports.store is a file of this host: no other host shares it.")
			return
		case len(list) == 0:
			fmt.Fprintln(w, "No host has registered yet: \"mailseal reports serve\" registers its "+
				"host every minute.")
			return
		}
		fmt.Fprintln(w, "host\tseen\twaiting segments\tbytes\toldest\tleads")
		for _, h := range list {
			oldest := "-"
			if !h.Oldest.IsZero() {
				oldest = ago(o.Now.Sub(h.Oldest))
			}
			leads := strings.Join(h.Leads, ", ")
			if leads == "" {
				leads = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", h.Host, ago(o.Now.Sub(h.Seen)),
				h.Segments, h.Bytes,
				oldest, leads)
		}
	})
}

// ago describes how long ago something was.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h ago", int(d.Hours()))
}
