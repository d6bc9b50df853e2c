package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/examine"
	"mailseal/cmd/mailseal/setup"
)

func newSetupCmd() *cobra.Command {
	var o setup.Options
	var zone string
	cmd := &cobra.Command{
		Use:   "setup [DOMAIN...] [--apply]",
		Short: "Set up a host: keys, configuration, DNS records, and the mail server",
		Long:  help("setup"),
		Example: `  sudo mailseal setup example.com
  sudo mailseal setup --apply example.com
  sudo mailseal setup --yes --apply --wait 1h --reports dmarc@example.com example.com example.net
  sudo mailseal setup --undo`,
		Args: filled,
		RunE: func(cmd *cobra.Command, domains []string) error {
			o.Domains = domains
			return runSetup(cmd.Context(), o, zone, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Config, "config", "c", defaultConfig, "configuration `file` to write")
	flags.StringVar(&o.Selector, "selector", "", "selector of new keys (default: year and month)")
	flags.StringSliceVar(&o.Algorithms, "algorithm", nil, "kinds of new keys (default rsa,ed25519)")
	flags.StringVar(&o.AuthservID, "authserv-id", "",
		"`name` in Authentication-Results (default: the mail server's)")
	flags.StringSliceVar(&o.Networks, "network", nil,
		"`networks` whose mail is ours (default: those of the mail server)")
	flags.StringSliceVar(&o.Addresses, "address", nil,
		"`addresses` from which mail leaves, for SPF (default: the public ones of this host)")
	flags.StringVar(&o.Reports, "reports", "", "mail `address` for DMARC reports")
	flags.StringVar(&o.MTA, "mta", "", "postfix, sendmail or none (default: the one that is "+
		"installed)")
	flags.StringVar(&o.Postfix, "postfix", check.PostfixDir, "`directory` of main.cf")
	flags.StringVar(&o.Sendmail, "sendmail", check.SendmailDir, "`directory` of sendmail.mc")
	flags.StringVar(&o.SMTP, "smtp", "127.0.0.1:25",
		"`address` of the mail server, for the test message")
	flags.DurationVar(&o.Wait, "wait", 0, "wait this long for the records to be published")
	flags.StringVar(&zone, "zone", "", "take all DNS answers from this zone file")
	flags.BoolVar(&o.Apply, "apply", false,
		"change the mail server, start the service, and send a test message")
	flags.BoolVar(&o.Undo, "undo", false, "revert what --apply did")
	flags.BoolVar(&o.IgnoreOpenDKIM, "ignore-opendkim", false, "set up from scratch although "+
		"OpenDKIM or OpenDMARC is installed")
	flags.BoolVarP(&o.Yes, "yes", "y", false, "ask nothing, and use the defaults that were found")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object; implies --yes")
	excludes(cmd, []string{"apply", "wait", "selector", "algorithm", "authserv-id", "network",
		"address", "reports", "mta", "smtp", "zone",
		"ignore-opendkim", "yes"}, "undo")
	excludes(cmd, []string{"wait"}, "zone")
	return cmd
}

func runSetup(ctx context.Context, o setup.Options, zone string, in io.Reader,
	out io.Writer) error {
	o.In, o.Out, o.Now = in, out, time.Now
	o.Yes = o.Yes || o.JSON
	if file, ok := in.(*os.File); ok {
		info, err := file.Stat()
		o.Terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if zone != "" {
		var err error
		if o.Resolver, err = examine.OpenResolver(zone); err != nil {
			return err
		}
	}
	return setup.Run(ctx, o)
}
