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
		Short: "Verify messages: DKIM and ARC, and with --ip also SPF, iprev and DMARC",
		Long: `Verify reads messages from files, or one from standard input, and says what the daemon would say of them.
With --ip (and --helo, --from) the message is judged as if it had come from that client.

The exit code is 0 when every message has a signature that passes, 1 when one has none, 3 when the DNS did not answer.`,
		Example: `  mailseal verify message.eml
  mailseal verify --json --zone zone.txt --now 2026-01-31T12:00:00Z *.eml
  mailseal verify --explain --ip 192.0.2.1 --helo mx.example.com --from user@example.com < message.eml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return f.run(cmd, files)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "one JSON object per message and line")
	flags.BoolVar(&f.explain, "explain", false, "say at length what broke, for whoever has to mend it")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.StringVar(&f.examiner.ServerName, "server-name", "", "authserv-id of the field (default: this host's name)")
	flags.BoolVar(&f.examiner.Second, "second-opinion", false, "ask an independent implementation of DKIM as well")
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.examiner.Helo, "helo", "", "what the client said in HELO")
	flags.StringVar(&f.examiner.From, "from", "", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.examiner.To, "to", nil, "envelope recipient")
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
		raw, err := readInput(file, cmd.InOrStdin())
		var m *examine.Message
		if err == nil {
			m, err = f.examiner.Examine(cmd.Context(), file, raw)
		}
		if err != nil {
			return answer.NewUnknown(fmt.Errorf("%s: %w", file, err))
		}
		if err := f.print(cmd.OutOrStdout(), m); err != nil {
			return err
		}
		worst = answer.Worse(worst, m.Answer())
	}
	if worst != answer.Good {
		return answer.New(worst, nil)
	}
	return nil
}

// setUp gives the examiner what the command line has for it.
func (f *verifyFlags) setUp() (err error) {
	e := &f.examiner
	e.From = trimPath(e.From)
	if e.Now, err = parseNow(f.now); err != nil {
		return err
	}
	if e.Resolver, err = examine.OpenResolver(f.zone); err != nil {
		return err
	}
	if f.ip != "" {
		if e.Client, err = netip.ParseAddr(f.ip); err != nil {
			return answer.NewUsage(fmt.Errorf("--ip: %w", err))
		}
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
