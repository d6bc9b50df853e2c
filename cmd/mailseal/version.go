package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which program this is and how it was built",
		Long: `Version prints the release, the revision, how the program was built, and by which compiler. It is "plain", or "pgo"
(optimised by a profile) and "boringcrypto" (as "make release" builds it), and "static" when it needs no library of the
host.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(currentBuild())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "mailseal", version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
