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
		Short: "Test mail by sending it",
		Long: `Test helps with testing a mail system: it makes addresses for test.address, and sends test mail to
other receivers.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTestAddressCmd(), newTestSendCmd())
	return cmd
}

func newTestAddressCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("address", "Make an address for tests, and print the URL of its page",
		`Address makes an address whose page is known before mail is sent, for people who send through a service that
hides SMTP replies. The start page of test.page_url does the same. Nothing is stored until mail arrives; the page
shows the latest 10 messages of the last test.days. Exit code 1: test.address or test.page_url is not set.`,
		noArgs, &f, func(context.Context, []string) error {
			return reporting.TestAddress(f.Output, f.Config, f.JSON)
		})
}

func newTestSendCmd() *cobra.Command {
	var f outFlags
	var o examine.TestMails
	cmd := newOutCmd("send --from ADDRESS --server HOST:PORT ADDRESS",
		"Send test mail with good and bad signatures to a receiver",
		`Send shows how a receiver judges mail: it sends to your address there one message that is signed, one that
was changed after signing, and one without a signature, and prints what to expect of each. They go directly to the
server in --server, by SMTP without TLS, since the mail server here would sign them all. A rule must sign for the
sender. Send only to addresses of your own. Exit code 1: the server refused a mail, or no rule signs for a sender; 3:
the server does not answer, or a key cannot be used.`,
		exactArgs("ADDRESS"), &f, func(ctx context.Context, args []string) error {
			o.Config, o.To, o.JSON, o.Now = f.Config, args[0], f.JSON,
				func() time.Time { return f.Now }
			return o.Send(ctx, f.Output)
		})
	cmd.Flags().StringVar(&o.From, "from", "", "author and envelope sender")
	cmd.Flags().StringVar(&o.Server, "server", "", "the receiver's mail server, host and port")
	cmd.Flags().StringVar(&o.SPFFail, "spf-fail", "",
		"envelope sender of a fourth message, whose SPF record does not allow this host")
	return cmd
}
