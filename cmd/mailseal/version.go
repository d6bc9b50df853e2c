package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/daemon"
)

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and how the program was built",
		Long: `Version prints the release, the revision, how the program was built, and by which compiler.
The build is "plain" or "openssl" (as "make release" builds it), and also "static" if it needs no
library of the host. The second line names the implementation that makes RSA signatures: the host's
OpenSSL, or Go's own, with the reason why OpenSSL is not used.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(currentBuild())
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "mailseal %s\nRSA signatures: %s\n", version(),
				signsRSA())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// signsRSA names the implementation that makes RSA signatures here.
func signsRSA() string {
	name, err := daemon.SigningBackend()
	if err != nil {
		return fmt.Sprintf("%s (%v)", name, err)
	}
	return name
}
