package main

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/reporting"
)

func newReportsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reports",
		Short: "Make, send, receive and read DMARC reports",
		Long: `Receivers send reports to the owners of domains about the mail that they see of these domains (RFC
9990). These commands make, send, receive and show such reports. "mailseal serve" only records its
results; the process "mailseal reports serve", which reads no private key, does all other work. Run
the commands as the user of that process (sudo -u mailseal-reports), so that all files in its
directory belong to it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReportsServeCmd(), newReportsPreviewCmd(), newReportsListCmd(),
		newReportsFailuresCmd(), newReportsShowCmd(), newReportsHostsCmd(),
		newReportsSendCmd(), newReportsResendCmd(), newReportsSuppressCmd(), newReportsCheckCmd(),
		newReportsBouncedCmd(), newReportsForgetCmd(), newReportsHistoryCmd())
	cmd.AddCommand(newReportsInCmds()...)
	return cmd
}

func newReportsServeCmd() *cobra.Command {
	var path string
	var roles []string
	all := reporting.Roles()
	var docs []string
	for _, r := range all {
		docs = append(docs, "  - "+r.Name+": "+r.Doc)
	}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the report process in the foreground",
		Long: `Serve runs beside the daemon with a user of its own, as the unit mailseal-reports.service, and logs
to standard error. The work is divided into roles; --roles selects some of them:

` + strings.Join(docs, "\n") + `

Restart it after a change to the configuration. A restart loses nothing, since the daemon continues
to record.

The exit code is 1 if the configuration has mistakes, 3 if the spool, the store or a socket cannot
be opened.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := reporting.Select(all, roles)
			if err != nil {
				return answer.NewUsage(err)
			}
			cfg, err := loadDaemonConfig(path)
			if err != nil {
				return err
			}
			if why := reporting.Idle(cfg, chosen); why != "" {
				return answer.NewBad(errors.New(why))
			}
			p := &reporting.Process{
				Config:  cfg,
				File:    orDefault(path),
				Log:     slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)),
				Now:     time.Now,
				Version: version(),
			}
			if err := p.Serve(cmd.Context(), chosen, nil); err != nil {
				return answer.NewUnknown(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "",
		"configuration file (default "+defaultConfig+")")
	cmd.Flags().StringSliceVar(&roles, "roles", nil, "run only these roles: "+
		strings.Join(reporting.Names(all), ", ")+" (default all)")
	return cmd
}
