package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/check"
)

// newProbeCmd is the child process of a check that root runs.
func newProbeCmd() *cobra.Command {
	return &cobra.Command{
		Use:    check.ProbeCommand,
		Short:  "Try to open the files that standard input names",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return check.Probe(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}
