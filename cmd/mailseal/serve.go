package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/daemon"
	"mailseal/config"
)

func newServeCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: `Serve signs and judges mail for the MTAs that call. It stays in the foreground and logs to standard error.
"mailseal reload", SIGHUP and SIGUSR1 reload the configuration and the keys without touching a connection; a file with
mistakes, or one that would take signatures from mail, leaves the old one in force. Started by root, it becomes the user that
the setting user names, once its sockets are open. SIGTERM stops: no new connection, and those that are open may end their message; a second one ends
them at once.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadDaemonConfig(path)
			if err != nil {
				return err
			}
			load := func() (*config.Config, error) { return loadDaemonConfig(path) }
			d, err := daemon.Build(cmd.Context(), cfg, daemon.Options{Load: load,
				File: orDefault(path), Stderr: cmd.ErrOrStderr(), Version: version()})
			if err != nil {
				return err
			}
			return d.Run(cmd.Context(), nil)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	return cmd
}
