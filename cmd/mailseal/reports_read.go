package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/incoming"
)

func newReportsReadCmd() *cobra.Command {
	var r incoming.Read
	cmd := &cobra.Command{
		Use:   "read FILE...",
		Short: "Show DMARC, TLS and failure reports in readable form",
		Long:  help("reports-read"),
		Example: `  mailseal reports read 'google.com!example.com!1700000000!1700086399.zip'
  mailseal reports read ~/Maildir/.dmarc
  mailseal reports read --csv reports.mbox > reports.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return answer.NewUsage(errors.New("name a file, a directory, or \"-\" for " +
					"standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Width = answer.Width()
			r.Screen = answer.Screen(cmd.OutOrStdout())
			return r.Run(args, cmd.InOrStdin(), cmd.OutOrStdout(),
				answer.Terminal(cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().BoolVar(&r.JSON, "json", false, "print one JSON object per report, one per line")
	cmd.Flags().BoolVar(&r.CSV, "csv", false, "print the rows of aggregate reports as CSV")
	cmd.Flags().BoolVar(&r.Raw, "raw", false, "print the reports unchanged, but unpacked")
	excludes(cmd, []string{"json"}, "csv", "raw")
	excludes(cmd, []string{"csv"}, "raw")
	return cmd
}
