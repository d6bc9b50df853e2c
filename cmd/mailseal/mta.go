package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/miltertest"
)

// mtaFlags is the command line of "mailseal mta".
type mtaFlags struct {
	mtaPrinter
	milter           string
	name, helo, auth string
	from             string
	to, macros       []string
	local            bool
	timeout          time.Duration
	load             miltertest.Load
}

func newMTACmd() *cobra.Command {
	var f mtaFlags
	cmd := &cobra.Command{
		Use:   "mta --milter ADDRESS [FILE ...]",
		Short: "Play an MTA towards any milter: show its edits, or measure it",
		Long: `Mta sends messages from files, or one from standard input, to a milter, ours or another's, as Postfix or as Sendmail
would, and shows what the milter answers: every edit, the reply, and with --deliver the message as that MTA would
hand it on. Several files go over one connection, as several messages of one SMTP session do.

With --count, --duration or --rate it measures instead: messages a second, and how long each took from MAIL to the
reply. Without a file, --size makes up a message.

The exit code is 0 when every message was accepted, 1 when one was refused, 3 when the milter could not be talked to or
does what the MTA would not put up with.`,
		Example: `  mailseal mta --milter unix:/run/mailseal/mailseal.sock message.eml
  mailseal mta --milter inet:8891@127.0.0.1 --client 198.51.100.1 --from a@example.org --to b@example.com spam.eml
  mailseal mta --milter inet:8891@127.0.0.1 --auth user --deliver message.eml | mailseal verify
  mailseal mta --milter local:/run/opendkim/opendkim.sock --as sendmail --macro daemon_name=ORIGINATING message.eml
  mailseal mta --milter unix:/run/mailseal/mailseal.sock --size 4096 --count 10000 --concurrency 4`,
		RunE: func(cmd *cobra.Command, files []string) error { return f.run(cmd, files) },
	}
	f.define(cmd)
	return cmd
}

func (f *mtaFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.milter, "milter", "", "the milter: unix:/path, local:/path, inet:port@host, inet6:port@host, inet:host:port")
	flags.StringVar(&f.as, "as", "postfix", "the MTA to play: postfix or sendmail")
	flags.StringVar(&f.client, "client", "127.0.0.1", "address of the SMTP client")
	flags.StringVar(&f.name, "client-name", "", "its verified name (default: what the MTA says when there is none)")
	flags.StringVar(&f.helo, "helo", "client.example.com", "what it says in EHLO")
	flags.StringVar(&f.auth, "auth", "", "the user as whom it has logged in")
	flags.StringVar(&f.from, "from", "user@example.com", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.to, "to", []string{"rcpt@example.net"}, "recipient; may be given again")
	flags.StringArrayVar(&f.macros, "macro", nil, "a macro's value, as daemon_name=ORIGINATING; may be given again")
	flags.BoolVar(&f.local, "local", false, "the message comes from this host, not by SMTP (sendmail -t)")
	flags.BoolVar(&f.json, "json", false, "one JSON object per message and line")
	flags.BoolVar(&f.deliver, "deliver", false, "print the message as it would be delivered; all else goes to standard error")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long the milter may take for an answer")
	flags.IntVar(&f.load.Count, "count", 0, "measure: so many messages")
	flags.DurationVar(&f.load.Duration, "duration", 0, "measure: for so long")
	flags.Float64Var(&f.load.Rate, "rate", 0, "measure: so many messages a second instead of as many as possible")
	flags.IntVar(&f.load.Concurrency, "concurrency", 1, "connections at a time")
	flags.IntVar(&f.load.PerConnection, "per-connection", 20, "messages for each connection")
	flags.IntVar(&f.load.Size, "size", 0, "a made-up message with so many octets of body, instead of a file")
	_ = cmd.MarkFlagRequired("milter")
	cmd.MarkFlagsMutuallyExclusive("json", "deliver")
}

func (f *mtaFlags) run(cmd *cobra.Command, files []string) error {
	o, err := f.options()
	if err != nil {
		return answer.NewUsage(err)
	}
	messages, err := f.messages(files, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if f.load.IsWanted() {
		return f.measure(cmd.Context(), cmd.OutOrStdout(), o, messages)
	}
	return f.show(cmd, o, messages)
}

// options says what is played.
func (f *mtaFlags) options() (o miltertest.Options, err error) {
	if err := errors.Join(miltertest.CheckAddress(f.milter), f.load.Check()); err != nil {
		return o, err
	}
	if o.As, err = miltertest.ParseMTA(f.as); err != nil {
		return o, err
	}
	if o.Client, err = netip.ParseAddr(f.client); err != nil {
		return o, fmt.Errorf("--client: %w", err)
	}
	o.ClientName, o.Helo, o.Local, o.Timeout = f.name, f.helo, f.local, f.timeout
	o.Macros = map[string]string{}
	for _, m := range f.macros {
		name, value, ok := strings.Cut(m, "=")
		if !ok || name == "" {
			return o, fmt.Errorf("--macro %q is not name=value", m)
		}
		o.Macros[macroName(name)] = value
	}
	return o, nil
}

// macroName writes a macro's name as MTAs do: names of more than a letter are in braces.
func macroName(name string) string {
	if len(name) > 1 && name[0] != '{' {
		return "{" + name + "}"
	}
	return name
}

func (f *mtaFlags) messages(files []string, stdin io.Reader) (messages []mtaMessage, err error) {
	envelope := miltertest.Message{From: trimPath(f.from), Auth: f.auth}
	for _, to := range f.to {
		envelope.To = append(envelope.To, trimPath(to))
	}
	if len(files) == 0 && f.load.Size > 0 {
		envelope.Raw = miltertest.MadeUp(envelope, f.load.Size)
		return []mtaMessage{{"made up", envelope}}, nil
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, file := range files {
		m := mtaMessage{file, envelope}
		if m.Raw, err = readInput(file, stdin); err != nil {
			return nil, answer.NewUnknown(err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// show sends the messages over one connection and tells what became of each.
func (f *mtaFlags) show(cmd *cobra.Command, o miltertest.Options, messages []mtaMessage) error {
	c, err := f.dial(cmd.Context(), o)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer c.Close()
	refused := false
	for _, m := range messages {
		outcome, err := c.Send(m.Message)
		if err != nil {
			return answer.NewUnknown(fmt.Errorf("%s: %w", m.file, err))
		}
		refused = refused || outcome.Refused()
		if err := f.print(cmd, m, outcome); err != nil {
			return err
		}
	}
	if err := c.Quit(); err != nil {
		return answer.NewUnknown(err)
	}
	if refused {
		return answer.NewBad(nil)
	}
	return nil
}

// dial connects within the time that an answer may take, or until the user has enough.
func (f *mtaFlags) dial(ctx context.Context, o miltertest.Options) (*miltertest.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	return miltertest.Dial(ctx, f.milter, o)
}

// measure sends the messages again and again, and tells how fast that was.
func (f *mtaFlags) measure(ctx context.Context, out io.Writer, o miltertest.Options, messages []mtaMessage) error {
	dial := func(ctx context.Context) (*miltertest.Conn, error) { return f.dial(ctx, o) }
	var raw []miltertest.Message
	for _, m := range messages {
		raw = append(raw, m.Message)
	}
	figures, failed := f.load.Measure(ctx, dial, raw)
	if err := f.printFigures(out, figures, f.load.Concurrency); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return answer.NewUnknown(failed)
	case figures.Refused > 0:
		return answer.NewBad(nil)
	}
	return nil
}
