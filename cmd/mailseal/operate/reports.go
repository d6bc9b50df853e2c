package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/control"
)

// Reports holds the settings of the report process, "mailseal reports serve".
type Reports struct {
	Socket string // where it answers; "": it is not wanted
	Roles  []Role // that it must have
}

// Role is a role of the process of reports that a setting needs.
type Role struct{ Name, Setting string }

// askReports gets the part of the process of reports, or of several that share its roles, each with
// a socket of its own beside. That none answers is no error: the daemon's part is shown in any
// case.
func (s *Status) askReports(ctx context.Context) {
	if s.reports.Socket == "" {
		return
	}
	sockets, _ := filepath.Glob(s.reports.Socket + "-*") // the pattern is well formed
	for _, socket := range append([]string{s.reports.Socket}, sockets...) {
		a, err := control.Ask(ctx, socket, control.Request{Command: control.Status})
		switch {
		case err == nil && a.Error != "":
			err = fmt.Errorf("%w: %s", fs.ErrPermission, a.Error)
		case err == nil && a.Running == nil:
			err = control.ErrMalformed
		case err == nil:
			s.Reports = append(s.Reports, a.Running)
			continue
		}
		if s.silent == nil || errors.Is(err, fs.ErrPermission) {
			s.silent = err
		}
	}
}

// judgeReports finds what is not good of the process of reports.
func (s *Status) judgeReports(problem, note func(format string, args ...any)) {
	switch {
	case s.reports.Socket == "":
		return
	case len(s.Reports) == 0 && errors.Is(s.silent, fs.ErrPermission):
		note("\"mailseal reports serve\" was not queried: its socket %s answers only root and its "+
			"own user; run this command as root",
			s.reports.Socket)
		return
	case len(s.Reports) == 0:
		problem("mailseal-reports.service does not answer at %s (systemctl status "+
			"mailseal-reports); these functions need it: %s", s.reports.Socket,
			strings.Join(s.reports.settings(), ", "))
		return
	}
	var roles []string
	for _, r := range s.Reports {
		roles = append(roles, r.Listeners...)
		for _, j := range r.Jobs {
			if j.Error != "" {
				problem("job %s of the process of reports failed: %s", j.Name, j.Error)
			}
			if j.Error != "" && j.Name == "fold" && r.Spool != nil && r.Spool.Segments > 0 {
				problem("rows of DMARC reports have been waiting in the spool since %s: %s; mail "+
					"is not affected, and rows beyond %s are dropped",
					r.Spool.Oldest.Format(time.RFC3339), waits(r.Spool), megabytes(r.Spool.Room))
			}
		}
	}
	for _, r := range s.reports.Roles {
		if !slices.Contains(roles, r.Name) {
			problem("no process of reports has the role %s, which %s needs; the roles that run are %s",
				r.Name, r.Setting, strings.Join(roles, ", "))
		}
	}
}

func (r Reports) settings() []string {
	var out []string
	for _, role := range r.Roles {
		out = append(out, role.Setting)
	}
	return out
}

// reports writes the part of the process of reports.
func (c screen) reports(w io.Writer, s *Status) {
	switch {
	case s.reports.Socket == "":
		return
	case len(s.Reports) == 0:
		fmt.Fprintf(w, "reports\tno answer at %s\n", s.reports.Socket)
		return
	}
	for _, r := range s.Reports {
		fmt.Fprintf(w, "reports\tversion %s, pid %d, up %s; roles %s\n", r.Version, r.PID,
			span(c.now.Sub(r.Started)), strings.Join(r.Listeners, ", "))
		c.leads(w, r.Leads)
		if r.Spool != nil && r.Spool.Segments > 0 {
			fmt.Fprintf(w, "spool\t%s wait, the oldest for %s\n", waits(r.Spool),
				span(c.now.Sub(r.Spool.Oldest)))
		}
		c.jobs(w, r.Jobs)
	}
}

// leads writes which host does what one host does for all.
func (c screen) leads(w io.Writer, list []control.Lead) {
	for _, l := range list {
		who := "no host"
		switch {
		case l.Here:
			who = "this host, " + l.Host
		case l.Host != "":
			who = l.Host
		}
		if !l.Since.IsZero() {
			who += ", for " + span(c.now.Sub(l.Since))
		}
		fmt.Fprintf(w, "leader\t%s: %s\n", l.Lease, who)
	}
}

// waits is how much waits in a spool.
func waits(s *control.Spool) string {
	return fmt.Sprintf("%d segments with %s", s.Segments, megabytes(s.Bytes))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
