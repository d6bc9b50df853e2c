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
		Short: "Print which program this is and how it was built",
		Long: `Version prints the release, the revision, how the program was built, and by which compiler. It is "plain", or "pgo"
(optimised by a profile) and "openssl" (as "make release" builds it), and "static" when it needs no library of the host.
The second line says what makes RSA signatures: the host's OpenSSL, or Go and why OpenSSL does not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(currentBuild())
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "mailseal %s\nRSA signatures: %s\n", version(), signsRSA())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// signsRSA says what makes RSA signatures here.
func signsRSA() string {
	name, err := daemon.SigningBackend()
	if err != nil {
		return fmt.Sprintf("%s (%v)", name, err)
	}
	return name
}
