package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newReportsAlertsCmd() *cobra.Command {
	var f outFlags
	var test bool
	cmd := newOutCmd("alerts", "List what the operator was told of, or mail a test",
		`Alerts lists what reports that came in showed, and whether it was mailed: new-source, source-failing, receiver-silent,
policy-changed, intake-broken. "mailseal reports serve" looks for them every hour once to of [reports.alerts] is set, and
mails each once, and a digest every week. With --test it mails a test to these addresses, and stores nothing.

Exit code 1: no address is set to mail a test to; 3: the store cannot be read, or the mail server does not take the test.`,
		noArgs, &f, func(ctx context.Context, _ []string) error {
			if test {
				return f.AlertTest(ctx)
			}
			return f.Alerts(ctx)
		})
	cmd.Flags().BoolVar(&test, "test", false, "mail a test to the addresses of [reports.alerts]")
	return cmd
}
