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
		Short: "Have the daemon read its configuration and keys anew, and say what came of it",
		Long: `Reload asks the daemon, over its control socket, to put its configuration and keys in force as they are now, and waits
until it has. The warnings that a start would give are printed. If the daemon refuses, everything stays as it was, and
the reason is printed: mistakes, a key source that fails its check, or domains that signed mail in the last 7 days and
would have no rule or no key any more ([reload] in mailseal.toml). With --accept such domains lose their signatures.

The socket is where control.address of the configuration says, else the file control in state_directory. Only root and
the daemon's own user get an answer. SIGHUP reloads too, but reports to the log alone, and accepts no loss.

The exit code is 0 when the configuration is in force, 1 when it was refused, and 3 when no daemon answered or
the configuration cannot be read.`,
		Example: `  mailseal reload
  mailseal check --against-running && mailseal reload`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.control, "control", "", "`path` of the control socket, instead of the configuration's")
	flags.BoolVar(&f.accept, "accept", false, "let domains lose their signatures")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long to wait for the daemon")
	excludes(cmd, []string{"config"}, "control")
	return cmd
}

func (f *reloadFlags) run(ctx context.Context, out, errOut io.Writer) error {
	path, err := controlSocket(f.control, f.config)
	if err != nil {
		return err
	}
	return operate.Reload(ctx, operate.ReloadOptions{
		Socket:   path,
		Accept:   f.accept,
		Timeout:  f.timeout,
		Out:      out,
		Warnings: errOut,
	})
}
