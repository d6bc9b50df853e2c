package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/operate"
)

// reloadFlags is the command line of "mailseal reload".
type reloadFlags struct {
	config  string
	control string
	accept  bool
	timeout time.Duration
}

func newReloadCmd() *cobra.Command {
	var f reloadFlags
	cmd := &cobra.Command{
		Use:   "reload [--accept]",
		Short: "Make the daemon read its configuration and keys again, and report the result",
		Long:  help("reload"),
		Example: `  mailseal reload
  mailseal check --against-running && mailseal reload`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.control, "control", "",
		"`path` of the control socket, instead of that of the configuration")
	flags.BoolVar(&f.accept, "accept", false, "accept that domains lose their signatures")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long to wait for the daemon")
	excludes(cmd, []string{"config"}, "control")
	return cmd
}

func (f *reloadFlags) run(ctx context.Context, out, errOut io.Writer) error {
	target, err := controlSocket(f.control, f.config)
	if err != nil {
		return err
	}
	return operate.Reload(ctx, operate.ReloadOptions{
		Target:   target,
		Accept:   f.accept,
		Timeout:  f.timeout,
		Out:      out,
		Warnings: errOut,
	})
}
