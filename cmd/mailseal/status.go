package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/operate"
	"mailseal/cmd/mailseal/reporting"
	"mailseal/config"
)

// statusFlags is the command line of "mailseal status".
type statusFlags struct {
	config  string
	control string
	json    bool
	watch   bool
	every   time.Duration
	timeout time.Duration
	noCheck bool
}

func newStatusCmd() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [--watch]",
		Short: "Show on one screen how the daemon is, for people and for monitoring",
		Long: `Status asks the daemon, over its control socket, how it is, and prints one screen: since when it is up, and which
configuration is in force since when; the sockets and who is connected; the messages of today (UTC) by whose they were
and what was done, the signatures, and the results of judging; the keys that sign, with what the DNS showed of them and
their age; key sources; name servers with the mean time of their replies; jobs with their last and next run; the last
errors and warnings of the log; and what "mailseal check" says, without the DNS. The same numbers are in /metrics.

Where the configuration collects or sends reports, or serves their page, it asks "mailseal reports serve" as well, and shows its
roles and jobs. Root gets an answer of both processes; the daemon's own user sees a note in place of the second one's part.

It is not good, and the exit code is 1, when no daemon answers, when no socket is served, when the DNS does not show a
key that signs, when a key source or every name server does not answer, when the last run of a job failed, when the
process of reports does not answer or lacks a role that a setting needs, when the log has an error of the last 15 minutes, or when "mailseal check" finds an error. Each is named at the top.

With --watch the screen is shown anew every 2 seconds (--every); "mailseal check" is run again every minute.

The socket is where control.address of the configuration says, else the file control in state_directory. Only root and
the daemon's own user get an answer.

The exit code is 0 when all is good, 1 when something is not, and 3 when the configuration cannot be read or the socket
may not be used.`,
		Example: `  mailseal status
  mailseal status --watch
  mailseal status --json --no-check`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.control, "control", "", "`path` of the control socket, instead of the configuration's")
	flags.BoolVar(&f.json, "json", false, "print one JSON object, with --watch one on each line")
	flags.BoolVar(&f.watch, "watch", false, "show it anew until interrupted")
	flags.DurationVar(&f.every, "every", 2*time.Second, "how often --watch shows it")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the daemon")
	flags.BoolVar(&f.noCheck, "no-check", false, "leave out what \"mailseal check\" says")
	needs(cmd, []string{"every"}, "watch")
	return cmd
}

func (f *statusFlags) run(ctx context.Context, out io.Writer) error {
	socket, err := controlSocket(f.control, f.config)
	if err != nil {
		return err
	}
	o := operate.StatusOptions{
		Socket:  socket,
		JSON:    f.json,
		Timeout: f.timeout,
		Out:     out,
		Now:     time.Now,
	}
	if f.control == "" || f.config != "" {
		if cfg, err := loadConfig(f.config); err == nil { // check says what is wrong with it
			o.Reports = reportsWanted(cfg)
		}
	}
	if f.watch {
		o.Every = f.every
		o.Clear = !f.json && isTerminal(out)
	}
	if !f.noCheck {
		o.Check = &check.Options{File: orDefault(f.config), ConfigFlag: f.config}
	}
	return operate.Show(ctx, o)
}

// reportsWanted is what the configuration asks of the process of reports.
func reportsWanted(cfg *config.Config) operate.Reports {
	var out operate.Reports
	for _, need := range []struct {
		is   bool
		role operate.Role
	}{
		{cfg.Reports.Collect, operate.Role{Name: "fold", Setting: "reports.collect"}},
		{cfg.Reports.Send, operate.Role{Name: "send", Setting: "reports.send"}},
		{cfg.Test.HasPages(), operate.Role{Name: "test", Setting: "test.page_url"}},
		{cfg.Reports.Web.Address != "", operate.Role{Name: "web", Setting: "reports.web.address"}},
	} {
		if need.is {
			out.Socket = reporting.ControlPath(cfg, reporting.Roles())
			out.Roles = append(out.Roles, need.role)
		}
	}
	return out
}

// isTerminal reports whether out is a terminal.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
