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
		Long:  `Test helps people who test a mail system by sending mail to test.address, or to another receiver.`,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTestAddressCmd(), newTestSendCmd())
	return cmd
}

func newTestAddressCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("address", "Make an address for tests, and name the page of its mails",
		`Address makes an address whose mails are shown on a page that is known beforehand, for people who send through a
service that hides replies. The first page of test.page_url does the same. Nothing is kept until a mail comes; the page has the
newest 10 mails of the last test.days.
Exit code 1: test.address or test.page_url is not set.`,
		noArgs, &f, func(context.Context, []string) error { return reporting.TestAddress(f.Output, f.Config, f.JSON) })
}

func newTestSendCmd() *cobra.Command {
	var f outFlags
	var o examine.TestMails
	cmd := newOutCmd("send --from ADDRESS --server HOST:PORT ADDRESS",
		"Send a receiver mails with good and bad signatures",
		`Send shows what a receiver makes of mail: it sends an address of yours there a mail that is signed, one that was changed
after signing, and one without a signature, and says what to expect of each. They go straight to the server that --server
names, by SMTP without TLS: the server here would sign them all. A rule must sign for senders. Write to addresses of your own.
Exit code 1: the server refused a mail, or no rule signs for a sender; 3: the server does not answer, or a key cannot be used.`,
		exactArgs("ADDRESS"), &f, func(ctx context.Context, args []string) error {
			o.Config, o.To, o.JSON, o.Now = f.Config, args[0], f.JSON, func() time.Time { return f.Now }
			return o.Send(ctx, f.Output)
		})
	cmd.Flags().StringVar(&o.From, "from", "", "author and envelope sender")
	cmd.Flags().StringVar(&o.Server, "server", "", "the receiver's mail server, host and port")
	cmd.Flags().StringVar(&o.SPFFail, "spf-fail", "",
		"envelope sender of one more mail, whose SPF record does not name this host")
	return cmd
}
