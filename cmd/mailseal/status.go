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
		Short: "Show the state of the daemon on one screen, for people and for monitoring",
		Long:  help("status"),
		Example: `  mailseal status
  mailseal status --watch
  mailseal status --json --no-check`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.control, "control", "",
		"`path` of the control socket, instead of that of the configuration")
	flags.BoolVar(&f.json, "json", false, "print one JSON object; with --watch one per line")
	flags.BoolVar(&f.watch, "watch", false, "refresh the screen until interrupted")
	flags.DurationVar(&f.every, "every", 2*time.Second, "how often --watch refreshes the screen")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the daemon")
	flags.BoolVar(&f.noCheck, "no-check", false, "do not run \"mailseal check\"")
	needs(cmd, []string{"every"}, "watch")
	return cmd
}

func (f *statusFlags) run(ctx context.Context, out io.Writer) error {
	target, err := controlSocket(f.control, f.config)
	if err != nil {
		return err
	}
	o := operate.StatusOptions{
		Target:  target,
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
