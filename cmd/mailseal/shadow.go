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
		Use:   "shadow --listen ADDRESS --upstream ADDRESS",
		Short: "Stand before the old milter and log where Mailseal would differ",
		Long: `Shadow stands between the MTA and the milter that it has, such as OpenDKIM. The MTA gets what the old milter
answers; Mailseal sees the same messages, judges them by its own configuration, and nothing of that reaches the MTA. For
each message there is one line: "same"; or "differs", and in what; or "not compared"; or "not judged", and why. What may differ is the
verdict; recipients refused; who signed (signed: d=, s= and algorithm) and how (identity, canonicalization, fields, length,
expiry: i=, c=, h=, l= and x=); who sealed; the results of dkim, spf and dmarc; fields removed or changed. How a message is
signed is compared between signatures of the same d= and kind of key, with another selector too. A signature that has no
counterpart is named in not_compared; a message of which nothing else differs is "not compared" where --ignore signed hides
that. Of the fields that are signed, only_theirs are those that the old milter alone signs, and only_ours those that
Mailseal alone does. Methods that the old milter never reports are not compared, nor are kinds of differences that --ignore
names. "mailseal shadow report" makes a table of a log.

The only thing that is asked of the MTA beyond what the old milter asked for is to see whole messages. When the old milter
lets a message pass at the end of its header, before the MTA has shown the body, only who signs it and how is compared
(body_unseen). When it cannot be reached, the MTA's connection is closed, and the MTA does what it does without a milter;
the same when shadow ends.

Whatever happens in judging, mail goes on: with a configuration that cannot be used nothing is judged until a reload finds
one that can; what waits to be judged is bounded by 8 MiB a connection, 64 MiB in all and 200 connections at a time, and a
message beyond is not judged. A connection in the middle of a message takes less than 128 KiB besides. Lines that cannot be
written, since the disk is full, are counted and gone; "lines missing" stands in their place when writing works again. When
the MTA has left, the connection to the old milter ends, too, a second later at the latest.

The configuration is that of the daemon. Its [[listen]] is left alone, [log] is where trouble is told, from warnings up,
[limits] and [metrics] are in force (without metrics where a daemon beside has that address), and keys are not rotated.
SIGHUP and SIGUSR1 reload it and open the file of --log anew. SIGTERM and SIGINT stop as "mailseal serve" does, and write
the table of all that was seen since the start.`,
		Example: `  mailseal shadow --listen inet:8892@127.0.0.1 --upstream inet:8891@127.0.0.1 --log /var/log/mailseal-shadow.log
  mailseal shadow --listen unix:/run/mailseal/shadow.sock --group postfix --upstream unix:/run/opendkim/opendkim.sock --json
  mailseal shadow report /var/log/mailseal-shadow.log`,
		Args: noArgs,
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
		"where the MTA calls: inet:port@host, inet6:port@host, unix:/path, fd:name")
	flags.StringVar(&f.mode, "mode", "0660", "permissions of a unix socket")
	flags.StringVar(&f.Group, "group", "", "group of a unix socket")
	flags.StringVar(&f.Upstream, "upstream", "", "the old milter: inet:port@host, inet6:port@host, unix:/path")
	flags.StringVar(&f.Role, "role", "auto", "whose mail it is: auto, ours, relay, theirs")
	flags.StringVar(&f.Log, "log", "", "append to this file instead of writing to standard output")
	flags.BoolVar(&f.JSON, "json", false, "one JSON object per message and line")
	flags.StringSliceVar(&f.Ignore, "ignore", nil, ignoreHelp())
	flags.DurationVar(&f.SummaryEvery, "summary-every", 0, "write the table this often, too")
	_ = cmd.MarkFlagRequired("listen")
	_ = cmd.MarkFlagRequired("upstream")
}

// run runs the daemon beside the old milter.
func (f *shadowFlags) run(cmd *cobra.Command) error {
	mode, err := strconv.ParseUint(f.mode, 8, 9)
	if err != nil {
		return answer.NewUsage(fmt.Errorf("--mode: %q is not an octal number of permissions", f.mode))
	}
	if err := checkKinds(f.Ignore); err != nil {
		return answer.NewUsage(err)
	}
	for _, name := range []string{"mode", "group"} {
		if cmd.Flags().Changed(name) && !strings.HasPrefix(f.Listen, "unix:") &&
			!strings.HasPrefix(f.Listen, "local:") {
			return answer.NewUsage(fmt.Errorf("--%s has no effect: only a unix socket has one", name))
		}
	}
	f.Mode, f.Stdout, f.Stderr, f.Version = fs.FileMode(mode), cmd.OutOrStdout(), cmd.ErrOrStderr(), version()
	f.Load = func() (*config.Config, error) { return loadDaemonConfig(f.config) }
	err = daemon.Shadow(cmd.Context(), f.ShadowOptions, nil)
	if wrong := (*daemon.OptionError)(nil); errors.As(err, &wrong) {
		return answer.NewUsage(fmt.Errorf("--%w", wrong))
	}
	return err
}
