package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newReportsAlertsCmd() *cobra.Command {
	var f outFlags
	var test bool
	cmd := newOutCmd("alerts", "List the alerts that were mailed to you, or send a test mail",
		`Alerts lists the alerts that received reports have caused, and whether they were mailed: new-source,
source-failing, receiver-silent, policy-changed, intake-broken, new-reporter. If to in [reports.alerts] is set,
"mailseal reports serve" checks for them every hour, and mails each once, and a digest every week. More than 21 new
alerts of a kind in a day are one. With --test it sends a test mail to these addresses, and stores nothing.

The exit code is 1 if no address for alerts is set, 3 if the store cannot be read or the mail server does not accept the
test.`,
		noArgs, &f, func(ctx context.Context, _ []string) error {
			if test {
				return f.AlertTest(ctx)
			}
			return f.Alerts(ctx)
		})
	cmd.Flags().BoolVar(&test, "test", false, "send a test mail to the addresses of "+
		"[reports.alerts]")
	return cmd
}
