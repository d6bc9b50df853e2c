package main

import (
	"fmt"
	"mailseal/keys/openssl"

	"github.com/spf13/cobra"
)

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which program this is and how it was built",
		Long: `Version prints the release, the revision, how the program was built, and by which compiler. It is "plain", or "pgo"
(optimised by a profile) and "openssl" (as "make release" builds it), and "static" when it needs no library of the host.
The second line says what makes RSA signatures: the host's OpenSSL, or Go and why OpenSSL does not.`,
		Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "mailseal", version())
			fmt.Fprintln(cmd.OutOrStdout(), "RSA signatures:", signsRSA())
		},
	}
}

// signsRSA says what makes RSA signatures here.
func signsRSA() string {
	name, err := openssl.Backend()
	if err != nil {
		return fmt.Sprintf("%s (%v)", name, err)
	}
	return name
}
