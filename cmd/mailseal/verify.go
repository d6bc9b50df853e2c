package main

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
	"mailseal/config"
)

// verifyFlags is the command line of "mailseal verify".
type verifyFlags struct {
	config   string
	json     bool
	explain  bool
	zone     string
	now      string
	ip       string
	examiner examine.Examiner
}

func newVerifyCmd() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [FILE ...]",
		Short: "Verify messages: DKIM, ARC and DMARC, and with --ip or --received also SPF and iprev",
		Long:  help("verify"),
		Example: `  mailseal verify message.eml
  mailseal verify --json --zone zone.txt --now 2026-01-31T12:00:00Z *.eml
  mailseal verify --config /etc/mailseal/mailseal.toml --ip 192.0.2.1 --helo mx.example.com message.eml
  mailseal verify --explain --ip 192.0.2.1 --helo mx.example.com --from user@example.com < message.eml`,
		Args: filled,
		RunE: func(cmd *cobra.Command, files []string) error {
			return f.run(cmd, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "",
		"judge as the daemon does with this configuration file")
	flags.BoolVar(&f.json, "json", false, "one JSON object per message, one per line")
	flags.BoolVar(&f.explain, "explain", false, "explain in detail what is broken and how to "+
		"correct it")
	flags.StringVar(&f.zone, "zone", "", "take all DNS answers from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.StringVar(&f.examiner.ServerName, "server-name", "",
		"authserv-id of the results (default: that of --config, or this host's name)")
	flags.BoolVar(&f.examiner.Second, "second-opinion", false,
		"ask an independent implementation of DKIM as well")
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.examiner.Helo, "helo", "", "the name that the client gave in HELO")
	flags.StringVar(&f.examiner.From, "from", "", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.examiner.To, "to", nil, "envelope recipient")
	mayBeEmpty(cmd, "from")
	flags.IntVar(&f.examiner.Received, "received", 0,
		"take client, HELO and sender from the message's own `N`th Received field")
	flags.Lookup("received").NoOptDefVal = "1"
	excludes(cmd, []string{"received"}, "ip")
	needs(cmd, []string{"helo", "from"}, "ip")
	needs(cmd, []string{"to"}, "ip", "received")
	needs(cmd, []string{"to"}, "config")
	excludes(cmd, []string{"explain"}, "json")
	return cmd
}

func (f *verifyFlags) run(cmd *cobra.Command, files []string) error {
	if err := f.setUp(); err != nil {
		return err
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	worst := answer.Good
	for _, file := range files {
		kind, err := f.one(cmd, file)
		if err != nil {
			return err
		}
		worst = answer.Worst(worst, kind)
	}
	if worst != answer.Good {
		return answer.New(worst, nil)
	}
	return nil
}

// one verifies one message and prints the results. A message that cannot be read is
// reported, and does not affect the others.
func (f *verifyFlags) one(cmd *cobra.Command, file string) (answer.Kind, error) {
	raw, err := readInput(file, cmd.InOrStdin())
	var m *examine.Message
	if err == nil {
		m, err = f.examiner.Examine(cmd.Context(), file, raw)
	}
	switch {
	case err != nil && f.json:
		return answer.Unknown, examine.UnreadJSON(cmd.OutOrStdout(), file, err)
	case err != nil:
		text := answer.Text(fmt.Errorf("%s: %w", file, err))
		fmt.Fprintln(cmd.ErrOrStderr(), "mailseal:", text)
		return answer.Unknown, nil
	}
	return m.Answer(), f.print(cmd.OutOrStdout(), m)
}

// setUp gives the examiner what the command line has for it.
func (f *verifyFlags) setUp() (err error) {
	e := &f.examiner
	e.From = trimPath(e.From)
	if e.Now, err = parseNow(f.now); err != nil {
		return err
	}
	if f.config != "" {
		if e.Config, err = loadConfig(f.config); err != nil {
			return err
		}
	}
	if e.Resolver, err = examine.Resolver(f.zone, e.Config); err != nil {
		return err
	}
	if f.ip != "" {
		if e.Client, err = netip.ParseAddr(f.ip); err != nil {
			return answer.NewUsage(fmt.Errorf("--ip: %w", err))
		}
	}
	if e.ServerName == "" && e.Config != nil {
		e.ServerName = e.Config.AuthservID
	}
	if e.ServerName == "" {
		e.ServerName = config.Default().ServerName()
	}
	return nil
}

// print writes one message's results for a script or for people.
func (f *verifyFlags) print(w io.Writer, m *examine.Message) error {
	switch {
	case f.json:
		return m.JSON(w)
	case f.explain:
		return m.Explain(w)
	}
	return m.Text(w)
}
