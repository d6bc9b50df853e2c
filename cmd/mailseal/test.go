package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/examine"
	"mailseal/cmd/mailseal/reporting"
)

func newTestCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Test a mail system by sending mail",
		Long: `Test helps with testing a mail system: "test address" makes an address that answers mail
with its results, and "test send" sends good and bad messages to another receiver, to show how that
receiver judges them.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTestAddressCmd(), newTestSendCmd())
	return cmd
}

func newTestAddressCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("address", "Make an address for tests, and print the URL of its page",
		`Address prints a new address for test mail, and the URL of the page that will show the results.
Give both to a person whose mail service hides SMTP replies: the page is known before mail is sent.
The start page of test.page_url makes such addresses, too. Nothing is stored until mail arrives; the
page shows the latest 10 messages of the last test.days days. The exit code is 1 if test.address or
test.page_url is not set.`,
		noArgs, &f, func(context.Context, []string) error {
			return reporting.TestAddress(f.Output, f.Config, f.JSON)
		})
}

func newTestSendCmd() *cobra.Command {
	var f outFlags
	var o examine.TestMails
	cmd := newOutCmd("send --from ADDRESS --server HOST[:PORT] ADDRESS",
		"Send test mail with good and bad signatures to a receiver",
		`Send shows how a receiver judges mail. It sends three messages to your address there: one that is
signed, one that was changed after signing, and one without a signature. It prints which result to
expect for each. The messages go directly to the server in --server, since the mail server here
would sign all of them: by SMTP to port 25, or with --tls smtps to port 465. The certificate of the
server is not verified, as mail servers do not verify each other's. The command cannot log in: a
server that takes a login signs the mail itself. A signing rule must match the address in --from. Send only
to addresses of your own. The exit code is 1 if the server refused a message or no rule signs for
the sender, 3 if the server does not answer or a key cannot be used.`,
		exactArgs("ADDRESS"), &f, func(ctx context.Context, args []string) error {
			o.Config, o.To, o.JSON, o.Now = f.Config, args[0], f.JSON,
				func() time.Time { return f.Now }
			return o.Send(ctx, f.Output)
		})
	cmd.Flags().StringVar(&o.From, "from", "", "author and envelope sender")
	cmd.Flags().StringVar(&o.Server, "server", "", "the receiver's mail server: a host, or HOST:PORT")
	cmd.Flags().StringVar(&o.TLS, "tls", "no", "encrypt the connection: no, starttls, or smtps (TLS "+
		"from the first byte)")
	cmd.Flags().StringVar(&o.Helo, "helo", "", "the `name` in EHLO (default the full name of this "+
		"host)")
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "send only these `messages`: signed, changed, "+
		"unsigned, spf-fail")
	cmd.Flags().StringVar(&o.SPFFail, "spf-fail", "",
		"envelope sender of a fourth message, whose SPF record does not allow this host")
	return cmd
}
