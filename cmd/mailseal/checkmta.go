package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"mailseal/config"
	"mailseal/config/mta"
)

// mtaCheck says which mail servers "check" looks at.
type mtaCheck struct {
	none     bool
	postfix  string
	sendmail string
}

// Where the mail servers have their configuration.
const (
	postfixDir  = "/etc/postfix"
	sendmailDir = "/etc/mail"
)

func (f *mtaCheck) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.postfix, "postfix", "", "`directory` of Postfix's main.cf and master.cf (default "+postfixDir+", if it is there)")
	flags.StringVar(&f.sendmail, "sendmail", "", "`directory` of Sendmail's sendmail.cf and sendmail.mc (default "+sendmailDir+", if it is there)")
	flags.BoolVar(&f.none, "no-mta", false, "do not look at mail servers")
}

// look judges the mail servers of this host. One that was asked for by its directory has to be there.
func (f *mtaCheck) look(cfg *config.Config) ([]mta.Report, error) {
	if f.none {
		return nil, nil
	}
	var out []mta.Report
	for _, server := range []struct {
		named, dir string
		look       func(mta.Host, string, mta.Daemon) (mta.Report, bool)
	}{{f.postfix, postfixDir, mta.Postfix}, {f.sendmail, sendmailDir, mta.Sendmail}} {
		dir := server.dir
		if server.named != "" {
			var err error
			if dir, err = filepath.Abs(server.named); err != nil {
				return nil, exit(exitUnknown, err)
			}
		}
		report, found := server.look(mta.HostAt("/"), dir, asMTASees(cfg))
		switch {
		case found:
			out = append(out, report)
		case server.named != "":
			return nil, exit(exitUnknown, fmt.Errorf("no configuration of a mail server in %s", dir))
		}
	}
	return withoutIdle(out), nil
}

// withoutIdle leaves out a server that has nothing to do with us where another one has: one of the two is only installed.
func withoutIdle(reports []mta.Report) []mta.Report {
	isInUse := func(r mta.Report) bool { return r.Filtered > 0 }
	if !slices.ContainsFunc(reports, isInUse) {
		return reports
	}
	return slices.DeleteFunc(reports, func(r mta.Report) bool { return !isInUse(r) && !hasError([]mta.Report{r}) })
}

// asMTASees is what mail servers have to know of a configuration.
func asMTASees(cfg *config.Config) mta.Daemon {
	d := mta.Daemon{
		Signs: cfg.Signs() && len(cfg.Sign) > 0, Verifies: cfg.Verifies(),
		DaemonNames: cfg.Ours.DaemonNames,
		Networks:    cfg.Ours.Networks,
		Others:      slices.Concat(cfg.Relays.Networks, cfg.Exempt.Networks),
		Deadline:    cfg.Limits.MessageDeadline,
	}
	for i, l := range cfg.Listen {
		d.Listeners = append(d.Listeners, mta.Listener{
			Setting: fmt.Sprintf("listen[%d]", i), Role: l.Role, Network: l.Network, Target: l.Target, Mode: l.Mode, User: l.User, Group: l.Group,
		})
	}
	return d
}

// hasError tells whether mail does not get through us on some way.
func hasError(reports []mta.Report) bool {
	return slices.ContainsFunc(reports, func(r mta.Report) bool { return count(r, mta.Error) > 0 })
}

func count(r mta.Report, s mta.Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// printMTAs writes what was found out about mail servers: the findings, and a line for each server.
func printMTAs(out io.Writer, reports []mta.Report) {
	for _, r := range reports {
		for _, f := range r.Findings {
			fmt.Fprintf(out, "%s: %s\n", f.Severity, f)
			for line := range strings.Lines(f.Fix) {
				fmt.Fprintf(out, "  %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
		through := fmt.Sprintf("services through Mailseal: %d of %d", r.Filtered, r.Services)
		if errors, warnings := count(r, mta.Error), count(r, mta.Warning); errors > 0 {
			fmt.Fprintf(out, "%s in %s: errors: %d, warnings: %d, %s\n", r.Server, r.Dir, errors, warnings, through)
		} else if r.Services > 0 {
			fmt.Fprintf(out, "%s in %s: good; %s, warnings: %d\n", r.Server, r.Dir, through, warnings)
		}
	}
}
