package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/play"
)

func newMTACmd() *cobra.Command {
	var f play.MTA
	cmd := &cobra.Command{
		Use:   "mta --milter ADDRESS [FILE ...]",
		Short: "Act as an MTA for any milter: show what it changes, or measure its speed",
		Long:  help("mta"),
		Example: `  mailseal mta --milter unix:/run/mailseal/mailseal.sock message.eml
  mailseal mta --milter inet:8891@127.0.0.1 --client 198.51.100.1 --from a@example.org --to b@example.com spam.eml
  mailseal mta --milter inet:8891@127.0.0.1 --auth user --deliver message.eml | mailseal verify
  mailseal mta --milter local:/run/opendkim/opendkim.sock --as sendmail --macro daemon_name=ORIGINATING message.eml
  mailseal mta --milter unix:/run/mailseal/mailseal.sock --size 4096 --count 10000 --concurrency 4`,
		Args: filled,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) > 0 && cmd.Flags().Changed("size") {
				return answer.NewUsage(errors.New("--size makes up a message; it has no effect " +
					"together with a file"))
			}
			f.Out, f.Errors = cmd.OutOrStdout(), cmd.ErrOrStderr()
			f.Read = func(file string) ([]byte, error) { return readInput(file, cmd.InOrStdin()) }
			return f.Run(cmd.Context(), files)
		},
	}
	defineMTA(cmd, &f)
	return cmd
}

func defineMTA(cmd *cobra.Command, f *play.MTA) {
	flags := cmd.Flags()
	flags.StringVar(&f.Milter, "milter", "",
		"the milter: unix:/path, local:/path, inet:port@host, inet6:port@host, inet:host:port")
	flags.StringVar(&f.As, "as", "postfix", "`MTA` to act as: postfix or sendmail")
	flags.StringVar(&f.Client, "client", "127.0.0.1", "address of the SMTP client")
	flags.StringVar(&f.Name, "client-name", "", "verified name of the SMTP client (default: what "+
		"the MTA passes for a client without one)")
	flags.StringVar(&f.Helo, "helo", "client.example.com",
		"name that the SMTP client gives in EHLO")
	flags.StringVar(&f.Auth, "auth", "",
		"login name of the SMTP client (default: it has not logged in)")
	flags.StringVar(&f.From, "from", "user@example.com", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.To, "to", []string{"rcpt@example.net"}, "recipient; may be given "+
		"several times")
	flags.StringArrayVar(&f.Macros, "macro", nil,
		"a milter macro and its value, such as daemon_name=ORIGINATING; may be given several times")
	flags.BoolVar(&f.Local, "local", false,
		"the message comes from this host, not by SMTP (sendmail -t)")
	flags.BoolVar(&f.JSON, "json", false, "one JSON object per message, one per line")
	flags.BoolVar(&f.Deliver, "deliver", false,
		"print the message as it would be delivered; everything else goes to standard error")
	flags.DurationVar(&f.Timeout, "timeout", 5*time.Minute, "how long the milter may take to "+
		"answer")
	flags.IntVar(&f.Load.Count, "count", 0, "measure: send this many messages")
	flags.DurationVar(&f.Load.Duration, "duration", 0, "measure: send for this long")
	flags.Float64Var(&f.Load.Rate, "rate", 0, "measure: send this many messages per second "+
		"instead of as many as possible")
	flags.IntVar(&f.Load.Concurrency, "concurrency", 1, "connections at a time")
	flags.IntVar(&f.Load.PerConnection, "per-connection", 20, "messages for each connection")
	flags.IntVar(&f.Load.Size, "size", 0, "send a made-up message with a body of this many "+
		"bytes, instead of a file")
	_ = cmd.MarkFlagRequired("milter")
	mayBeEmpty(cmd, "from")
	measuring := []string{"count", "duration", "rate"}
	needs(cmd, []string{"concurrency", "per-connection"}, measuring...)
	excludes(cmd, []string{"deliver"}, append(measuring, "json")...)
	excludes(cmd, []string{"client", "helo"}, "local")
}
