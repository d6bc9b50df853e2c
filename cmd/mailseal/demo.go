package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/demo"
)

func newDemoCmd() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the daemon at work: a key, a DNS server, one message out and back",
		Long: `Demo makes a key and a configuration in a directory if there are none, starts a DNS server on loopback that knows the
key, starts the daemon, and plays an MTA that hands it one message of ours and then the same message as a stranger
would bring it, with a forged Authentication-Results on top. It needs no MTA and touches nothing outside the directory.

With --serve it also fills a store with DMARC reports on two months of mail that it makes up, and the report of today about
the message from outside, and serves the pages of reports: it prints their address and the token to sign in with.

The exit code is 0 when the signature verified and the forged field is gone.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Version, o.Load = cmd.OutOrStdout(), version(), loadConfig
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "var", "directory for the key, the configuration and the socket")
	cmd.Flags().BoolVar(&o.Serve, "serve", false, "go on serving after the messages, until interrupted")
	return cmd
}
