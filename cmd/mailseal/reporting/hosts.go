package reporting

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// hostJob tells the hosts that share the store how far this one is; none where one host has it.
func hostJob(p *Process) []jobs.Job {
	if !isShared(p.Config) {
		return nil
	}
	return []jobs.Job{{Name: "host", Interval: every(time.Minute), First: every(time.Second), Do: p.tellHost}}
}

func (p *Process) tellHost(ctx context.Context) error {
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

// Hosts lists the hosts that share the store.
func (o *Out) Hosts(ctx context.Context) error {
	s, err := OpenStore(ctx, o.Config)
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
			fmt.Fprintln(w, "No host has told of itself yet: mailseal reports serve does so each minute.")
			return
		}
		fmt.Fprintln(w, "HOST\tSEEN\tWAITING SEGMENTS\tBYTES\tOLDEST\tLEADS")
		for _, h := range list {
			oldest := "-"
			if !h.Oldest.IsZero() {
				oldest = ago(o.Now.Sub(h.Oldest))
			}
			leads := strings.Join(h.Leads, ", ")
			if leads == "" {
				leads = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", h.Host, ago(o.Now.Sub(h.Seen)), h.Segments, h.Bytes,
				oldest, leads)
		}
	})
}

// ago is how long something was ago.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h ago", int(d.Hours()))
}
