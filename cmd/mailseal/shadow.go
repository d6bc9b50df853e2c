package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/daemon"
	"mailseal/cmd/mailseal/operate"
	"mailseal/config"
)

// shadowFlags is the command line of "mailseal shadow".
type shadowFlags struct {
	config, mode string
	daemon.ShadowOptions
}

func newShadowCmd() *cobra.Command {
	var f shadowFlags
	cmd := &cobra.Command{
		Use:     "shadow --listen ADDRESS --upstream ADDRESS",
		Short:   "Run in front of the old milter, and log where Mailseal would differ",
		Long:    help("shadow"),
		Example: help("shadow-examples"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd)
		},
	}
	f.define(cmd)
	cmd.AddCommand(newShadowReportCmd())
	return cmd
}

func (f *shadowFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.Listen, "listen", "",
		"where the MTA connects: inet:port@host, inet6:port@host, unix:/path, fd:name")
	flags.StringVar(&f.mode, "mode", "0660", "permissions of a unix socket")
	flags.StringVar(&f.Group, "group", "", "group of a unix socket")
	flags.StringVar(&f.Upstream, "upstream", "",
		"the old milter: inet:port@host, inet6:port@host, unix:/path")
	flags.StringVar(&f.Role, "role", "auto", "whose mail it is: auto, ours, relay, theirs")
	flags.StringVar(&f.Log, "log", "", "append to this file instead of writing to standard output")
	flags.BoolVar(&f.JSON, "json", false, "one JSON object per message, one per line")
	flags.StringSliceVar(&f.Ignore, "ignore", nil, operate.IgnoreHelp())
	flags.DurationVar(&f.SummaryEvery, "summary-every", 0, "write the table this often, too")
	_ = cmd.MarkFlagRequired("listen")
	_ = cmd.MarkFlagRequired("upstream")
}

// run runs the daemon beside the old milter.
func (f *shadowFlags) run(cmd *cobra.Command) error {
	mode, err := strconv.ParseUint(f.mode, 8, 9)
	if err != nil {
		return answer.NewUsage(fmt.Errorf("--mode: %q is not an octal number of permissions",
			f.mode))
	}
	if err := operate.CheckKinds(f.Ignore); err != nil {
		return answer.NewUsage(err)
	}
	for _, name := range []string{"mode", "group"} {
		if cmd.Flags().Changed(name) && !strings.HasPrefix(f.Listen, "unix:") &&
			!strings.HasPrefix(f.Listen, "local:") {
			return answer.NewUsage(fmt.Errorf("--%s has no effect: only a unix socket has one",
				name))
		}
	}
	f.Mode, f.Stdout, f.Stderr, f.Version = fs.FileMode(mode), cmd.OutOrStdout(), cmd.ErrOrStderr(),
		version()
	f.Load = func() (*config.Config, error) { return loadDaemonConfig(f.config) }
	err = daemon.Shadow(cmd.Context(), f.ShadowOptions, nil)
	if wrong := (*daemon.OptionError)(nil); errors.As(err, &wrong) {
		return answer.NewUsage(fmt.Errorf("--%w", wrong))
	}
	return err
}
