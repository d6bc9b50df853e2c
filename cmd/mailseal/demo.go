package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/demo"
)

func newDemoCmd() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use: "demo",
		Short: "Show the daemon at work with new keys, a DNS server, and one message in each " +
			"direction",
		Long: help("demo"),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Version, o.Load = cmd.OutOrStdout(), version(), loadConfig
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "var",
		"directory for the keys, the configuration and the socket")
	cmd.Flags().BoolVar(&o.Serve, "serve", false, "continue to serve after the messages, until "+
		"interrupted")
	return cmd
}
