package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
)

func newPolicyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Try the rules of the policy on messages, or on the mail in a log",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyTryCmd(), newPolicyReplayCmd())
	return cmd
}

func newPolicyTryCmd() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "try [FILE ...]",
		Short: "Show for each message which rule decides, and why",
		Long: `Try judges messages as the daemon judges strangers' mail, and shows the result of each rule of
[[policy.rules]]: each part of its expression with its value, and which rule decides. It reads files, or standard
input if FILE is "-" or missing. Without --ip there is no client: SPF and iprev are not checked, DMARC is decided by
DKIM alone, and client.address is "".

The exit code is 0 when every message could be judged, 1 when the configuration has no rules, 3 when a file could not be
read.`,
		Example: `  mailseal policy try --ip 192.0.2.1 --helo mx.example.org --from ann@example.org message.eml`,
		Args:    filled,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				files = []string{"-"}
			}
			f.config = orDefault(f.config)
			if err := f.setUp(); err != nil {
				return err
			}
			if len(f.examiner.Config.Policy.Rules) == 0 {
				return answer.NewBad(examine.ErrNoRules)
			}
			for _, w := range f.examiner.Config.Warnings {
				if strings.Contains(w.Path, "policy.rules") {
					fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
				}
			}
			return f.try(cmd, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.BoolVar(&f.json, "json", false, "one JSON object per message, one per line")
	flags.StringVar(&f.zone, "zone", "", "take all DNS answers from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.examiner.Helo, "helo", "", "the name that the client gave in HELO")
	flags.StringVar(&f.examiner.From, "from", "", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.examiner.To, "to", nil, "envelope recipient")
	mayBeEmpty(cmd, "from")
	needs(cmd, []string{"helo", "from"}, "ip")
	return cmd
}

func (f *verifyFlags) try(cmd *cobra.Command, files []string) error {
	worst := answer.Good
	for _, file := range files {
		raw, err := readInput(file, cmd.InOrStdin())
		var t *examine.Tried
		if err == nil {
			t, err = f.examiner.Try(cmd.Context(), file, raw)
		}
		out := cmd.OutOrStdout()
		switch {
		case err != nil && f.json:
			worst, err = answer.Unknown, examine.UnreadJSON(out, file, err)
		case err != nil:
			text := answer.Text(fmt.Errorf("%s: %w", file, err))
			fmt.Fprintln(cmd.ErrOrStderr(), "mailseal:", text)
			worst, err = answer.Unknown, nil
		case f.json:
			err = t.JSON(out)
		default:
			err = t.Text(out)
		}
		if err != nil {
			return err
		}
	}
	if worst != answer.Good {
		return answer.New(worst, nil)
	}
	return nil
}

func newPolicyReplayCmd() *cobra.Command {
	var config string
	var logs []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay --log FILE",
		Short: "Show what the rules would have done with the mail in a log",
		Long: `Replay reads the lines of messages in JSON logs of the daemon (log.format = "json") and evaluates the
rules of the configuration for each: how often each rule would have decided, and which messages would have been
treated differently, by the author's domain. The log has neither the header nor the recipients: the
result of a rule that uses them is not known, unless the rest of its expression decides it. With
--log - the log is read from standard input.

The exit code is 0 if nothing would have changed, 1 if something would, or if the configuration has no rules, 3 if a log
could not be read or has no message that can be replayed.`,
		Example: `  journalctl -u mailseal -o cat --since -7d | mailseal policy replay --config new.toml --log -`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(config)
			if err != nil {
				return err
			}
			r, err := examine.NewReplay(cfg)
			if err != nil {
				return answer.NewBad(err)
			}
			r.Progress = func(n int) { fmt.Fprintf(cmd.ErrOrStderr(), "%d lines\n", n) }
			return replay(r, logs, asJSON, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file (default "+defaultConfig+
		")")
	cmd.Flags().StringArrayVar(&logs, "log", nil, "a JSON log of the daemon")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object with all changes")
	_ = cmd.MarkFlagRequired("log")
	return cmd
}

func replay(r *examine.Replay, logs []string, asJSON bool, stdin io.Reader, out io.Writer) error {
	for _, name := range logs {
		if err := readLog(r, name, stdin); err != nil {
			return answer.NewUnknown(err)
		}
	}
	r.Finish()
	write := r.Text
	if asJSON {
		write = r.JSON
	}
	if err := write(out); err != nil {
		return err
	}
	switch {
	case r.Messages == 0:
		return answer.New(answer.Unknown, nil)
	case r.Changed():
		return answer.New(answer.Bad, nil)
	}
	return nil
}

func readLog(r *examine.Replay, name string, stdin io.Reader) error {
	if name == "-" {
		return r.ReadLog(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return r.ReadLog(file)
}
