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
		Short: "Set a host up: keys, configuration, DNS records, and the mail server",
		Long: `Setup looks at the host (Postfix or Sendmail, its name and networks, the addresses of the host, OpenDKIM, systemd, the
DNS) and says what it found. It asks what it cannot know; every answer is a flag as well, and with --yes what was found
is taken for the answers. Then it

  makes keys for each domain, as the user of the service, in keys/DOMAIN of state_directory;
  writes mailseal.toml, unless there is one already that says more than where to listen: of that it shows what is
  lacking, and leaves it alone; how OpenDMARC judges mail, where it is on the host, is taken over;
  prints all records for each domain: DKIM; SPF, from what is published and this host's addresses; DMARC, beginning
  at p=none. Each is printed as a line of a zone file, as the bare value, and split into strings;
  waits for them with --wait, and shows what each name server answers;
  shows the lines that the mail server needs, as a diff.

With --apply it enables and starts mailseal.service, puts the lines into main.cf or sendmail.mc, keeping a copy of the old
file, has the mail server read them, and hands it a test message from loopback, to a recipient of one time below
.invalid. The daemon refuses that message at its end and says what it would have done: nothing is delivered, and nothing
leaves the host. If the mail server takes the message instead, it is taken out of the queue, and that is a fault.

Run twice, it changes nothing. Domains that mailseal.toml signs for keep their keys. With OpenDKIM on the host it makes
nothing, and says how to import its keys and rules and how to let Mailseal watch beside it (--ignore-opendkim).

--undo takes back what --apply did: the lines of the mail server, and the unit. Keys and mailseal.toml stay.

The exit code is 0 when everything is done or only publishing and --apply are left, 1 when there is a fault, 2 when an
answer is wrong or missing, and 3 when something could not be read or written.`,
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
	flags.StringVar(&o.AuthservID, "authserv-id", "", "`name` in Authentication-Results (default: the mail server's)")
	flags.StringSliceVar(&o.Networks, "network", nil,
		"`networks` whose mail is ours (default: those of the mail server)")
	flags.StringSliceVar(&o.Addresses, "address", nil,
		"`addresses` that mail leaves from, for SPF (default: the public ones of this host)")
	flags.StringVar(&o.Reports, "reports", "", "mail `address` that DMARC reports are asked for at")
	flags.StringVar(&o.MTA, "mta", "", "postfix, sendmail or none (default: the one that is there)")
	flags.StringVar(&o.Postfix, "postfix", check.PostfixDir, "`directory` of main.cf")
	flags.StringVar(&o.Sendmail, "sendmail", check.SendmailDir, "`directory` of sendmail.mc")
	flags.StringVar(&o.SMTP, "smtp", "127.0.0.1:25", "`address` of the mail server, for the test message")
	flags.DurationVar(&o.Wait, "wait", 0, "wait so long for the records to be published")
	flags.StringVar(&zone, "zone", "", "answer all DNS questions from this zone file")
	flags.BoolVar(&o.Apply, "apply", false, "change the mail server, start the service, and send a test message")
	flags.BoolVar(&o.Undo, "undo", false, "take back what --apply did")
	flags.BoolVar(&o.IgnoreOpenDKIM, "ignore-opendkim", false, "set up anew although OpenDKIM or OpenDMARC is there")
	flags.BoolVarP(&o.Yes, "yes", "y", false, "ask nothing: what was found are the answers")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object; implies --yes")
	excludes(cmd, []string{"apply", "wait", "selector", "algorithm", "authserv-id", "network",
		"address", "reports", "mta", "smtp", "zone",
		"ignore-opendkim", "yes"}, "undo")
	excludes(cmd, []string{"wait"}, "zone")
	return cmd
}

func runSetup(ctx context.Context, o setup.Options, zone string, in io.Reader, out io.Writer) error {
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
