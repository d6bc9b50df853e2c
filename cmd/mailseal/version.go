package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which program this is and how it was built",
		Long: `Version prints the release, the revision, how the program was built, and by which compiler. It is "plain", or "pgo"
(optimised by a profile) and "boringcrypto" (as "make release" builds it), and "static" when it needs no library of the
host.`,
		Args: cobra.NoArgs,
		Run:  func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "mailseal", version()) },
	}
}
