package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newReportsAlertsCmd() *cobra.Command {
	var f outFlags
	var test bool
	cmd := newOutCmd("alerts", "List the alerts that were mailed to you, or send a test mail",
		help("reports-alerts"),
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
