package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/operate"
)

func newShadowReportCmd() *cobra.Command {
	var asJSON bool
	var ignore []string
	cmd := &cobra.Command{
		Use:   "report [FILE ...]",
		Short: "Summarize the logs of shadow in a table",
		Long: `Report counts the lines of shadow's logs, in text or JSON, with or without the prefix of syslog and
journald: messages that were the same; that differ, in what and for which domains; and that were not judged, and why.
It reads files, or standard input if FILE is "-" or missing. With --ignore, messages that differ only in these kinds
count as the same.

The exit code is 0 if no message differs, 1 if some do, 3 if none was compared.`,
		Example: `  mailseal shadow report /var/log/mailseal-shadow.log
  journalctl -u mailseal-shadow -o cat --since -7d | mailseal shadow report --json`,
		Args: filled,
		RunE: func(cmd *cobra.Command, files []string) error {
			return operate.SummarizeShadow(files, ignore, asJSON, cmd.InOrStdin(),
				cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object with all domains")
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, operate.IgnoreHelp())
	return cmd
}
