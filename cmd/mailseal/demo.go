package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/demo"
)

func newDemoCmd() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the daemon at work with a new key, a DNS server, and one message in each direction",
		Long: `Demo makes a key and a configuration in a directory if there are none, starts a DNS server on loopback
that knows the key, starts the daemon, and plays an MTA that passes it one message of ours and then the same message
as if a stranger had sent it, with a forged Authentication-Results field on top. It needs no MTA and changes nothing
outside the directory.

With --serve it also fills a store with DMARC reports about two months of made-up mail, and today's report about the
message from outside, and serves the pages of reports: it prints their address and the token for signing in.

The exit code is 0 when the signature verified and the forged field is gone.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Version, o.Load = cmd.OutOrStdout(), version(), loadConfig
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "var", "directory for the key, the configuration and the socket")
	cmd.Flags().BoolVar(&o.Serve, "serve", false, "continue to serve after the messages, until "+
		"interrupted")
	return cmd
}
