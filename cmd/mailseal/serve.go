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
		Long: `Serve signs and judges mail for the MTAs that connect. It stays in the foreground and logs to standard
error. "mailseal reload", SIGHUP and SIGUSR1 reload the configuration and the keys without closing a connection; if
the file has mistakes, or would leave too many of the domains unsigned that signed mail in the last
7 days ([reload] in mailseal.toml(5)), the old one stays in effect. If root starts it, the daemon
switches to the user that the setting "user" names once its sockets are open. SIGTERM stops it: no
new connections are accepted, and open ones may finish their message; a second SIGTERM closes them
at once.`,
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
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+
		")")
	return cmd
}
