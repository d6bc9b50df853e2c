package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/examine"
	"mailseal/cmd/mailseal/reporting"
)

// outFlags are the flags that commands about reports that go out have in common.
type outFlags struct {
	config, now, zone string
	input             io.Reader
	reporting.Out
}

// newOutCmd makes one of these commands.
func newOutCmd(use, short, long string, args cobra.PositionalArgs, f *outFlags,
	run func(context.Context, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.prepare(cmd); err != nil {
				return err
			}
			return run(cmd.Context(), args)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.now, "now", "", "the time to use as the present, such as "+
		"2026-11-30T12:00:00Z")
	cmd.Flags().BoolVar(&f.JSON, "json", false, "print one JSON value")
	return cmd
}

func (f *outFlags) prepare(cmd *cobra.Command) (err error) {
	f.Now, f.Version, f.Output, f.input = time.Now(), version(), cmd.OutOrStdout(), cmd.InOrStdin()
	if f.now != "" {
		if f.Now, err = time.Parse(time.RFC3339, f.now); err != nil {
			return answer.NewUsage(fmt.Errorf("--now: %w", err))
		}
	}
	if f.Config, err = loadConfig(f.config); err != nil {
		return err
	}
	if f.zone != "" {
		f.Resolver, err = examine.Resolver(f.zone, f.Config)
	}
	return err
}

// canonical replaces names on the command line by the form in which they are stored.
func canonical(names []string) error {
	if err := domains.Canonical(names); err != nil {
		return answer.NewUsage(err)
	}
	return nil
}

// collected adds to the error of a command that found nothing that nothing is collected.
func (f *outFlags) collected(err error) error {
	if err == nil || f.Config.Reports.Collect {
		return err
	}
	return answer.New(answer.Of(err), fmt.Errorf(
		"%s\nreports.collect is false, so that no mail is counted: collect = true in [reports] of %s switches it on",
		answer.Text(err), orDefault(f.config)))
}

const outCodes = "\n\nThe exit code is 1 if there is no such entry or the result is bad, 3 if " +
	"the store cannot be read or the DNS does not answer."

func newReportsPreviewCmd() *cobra.Command {
	var f outFlags
	var day string
	cmd := newOutCmd("preview DOMAIN", "Show the report that a domain would get",
		`Preview shows the exact mail with the report that a domain would get, from what was counted so far, and
whether it would be sent, and if not, why. It works while reports.send is false, and changes nothing.`+outCodes,
		exactArgs("DOMAIN"), &f, func(ctx context.Context, args []string) error {
			return f.collected(f.Preview(ctx, args[0], day))
		})
	cmd.PreRunE = func(_ *cobra.Command, args []string) error { return canonical(args) }
	cmd.Flags().StringVar(&day, "day", "", "the UTC day, such as 2026-11-30 (default the last "+
		"one with mail)")
	return cmd
}

func newReportsListCmd() *cobra.Command {
	var f outFlags
	var domain string
	cmd := newOutCmd("list", "List outgoing reports and their states",
		`List shows what is counted but not yet reported (open), and the reports of the last 30 days: built, or withheld
with the reason, and for each address queued, handed over to the mail server, deferred, failed, suppressed or in doubt;
and how many bounces arrived with a forged code. On a host with several hundred thousand messages a day, mail of the
last hours is not counted yet: it is taken in larger amounts, and all of it before the reports of a day are made.

A mail is in doubt if the mail server never replied at the end of the message, or if "mailseal reports serve" died
before the reply: the mail server may or may not have it. It is not sent again automatically, so that no address gets a
report twice. If the log of the mail server does not have the Message-ID, which begins with the ID of the report, send
it with "mailseal reports resend ID". A failure report in doubt cannot be sent again: what it was made of is not kept.`+outCodes,
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.collected(f.List(ctx, domain)) })
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if domain == "" {
			return nil
		}
		names := []string{domain}
		err := canonical(names)
		domain = names[0]
		return err
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only this policy domain")
	return cmd
}

func newReportsHostsCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("hosts", "List the hosts that share the database of reports, and who leads",
		`Hosts shows the hosts whose "mailseal reports serve" uses the same PostgreSQL (reports.store): when each was seen
last, what waits in its spool and since when, and what it does for all of them. Each host takes what its daemon wrote
down; of three things one host at a time leads:

  send: builds the reports, hands them to its mail server, and removes what is too old
  intake: looks after the reports that came in: alerts, names of addresses, retention
  dns: checks the DNS records of your domains

When the host that leads stops or fails, another one leads within half a minute.`+outCodes,
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Hosts(ctx) })
}

func newReportsFailuresCmd() *cobra.Command {
	var f outFlags
	var domain string
	cmd := newOutCmd("failures", "List outgoing failure reports and their states",
		`Failures shows the reports about single messages that failed (RFC 9991, RFC 6651), of the last 7 days: those
whose hour is not over (open), and those that were handed over to the mail server, in doubt, deferred, failed,
suppressed, or withheld, with the reason and the number of incidents. domains in [reports.failure] lists the
destinations; without a list no failure reports are sent.`+outCodes,
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Failures(ctx, domain) })
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if domain == "" {
			return nil
		}
		names := []string{domain}
		err := canonical(names)
		domain = names[0]
		return err
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only this policy domain or signer")
	return cmd
}

func newReportsSendCmd() *cobra.Command {
	var f outFlags
	var dry bool
	cmd := newOutCmd("send", "Build and send now what is due",
		`Send does at once what "mailseal reports serve" does each minute: it builds the reports whose time of the
night has come, and hands over what is due, within reports.per_hour. While "mailseal reports check" finds the sender's
set-up wrong, nothing is handed over, and the exit code is 1. With --dry-run it changes nothing and lists what would
be built, withheld and sent.

With --sendmail the mails go to a program in place of reports.smtp, which must queue them and bring them through this
daemon (non_smtpd_milters in Postfix, the submission milters of Sendmail). It runs as the user of the command, who
must be allowed to set the envelope sender.`+outCodes,
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Send(ctx, dry) })
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show the mail")
	cmd.Flags().StringVar(&f.Sendmail, "sendmail", "", "pass mail to this program, such as "+
		"/usr/sbin/sendmail")
	excludes(cmd, []string{"sendmail"}, "dry-run")
	return cmd
}

func newReportsShowCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("show ID", "Show one outgoing report",
		`Show prints a report of the last 30 days as it was built, and the states of its mails.`+outCodes,
		exactArgs("ID"), &f, func(ctx context.Context, args []string) error { return f.Show(ctx, args[0]) })
}

func newReportsResendCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("resend ID", "Send a report again, byte for byte",
		`Resend queues those mails of a report that were not handed over to the mail server; if all were, it queues
all of them. They go out as they were: the same Report-ID and file name, so that a reader who has the report already
counts it once.`+outCodes,
		exactArgs("ID"), &f, func(ctx context.Context, args []string) error { return f.Resend(ctx, args[0]) })
}

func newReportsSuppressCmd() *cobra.Command {
	var f outFlags
	var days int
	var remove bool
	cmd := newOutCmd("suppress [ADDRESS]", "Suppress reports to an address, or list suppressed "+
		"addresses",
		`Suppress stops reports to an address for some days. Addresses to which a report bounced are suppressed
automatically, for 7, 30 and then 180 days. Without an address it lists the suppressed addresses.`+outCodes,
		atMostOne("ADDRESS"), &f, func(ctx context.Context, args []string) error {
			address := ""
			if len(args) == 1 {
				address = args[0]
			}
			return f.Suppress(ctx, address, days, remove)
		})
	cmd.Flags().IntVar(&days, "days", 365, "for how many days")
	cmd.Flags().BoolVar(&remove, "remove", false, "allow reports to the address again")
	excludes(cmd, []string{"days"}, "remove")
	return cmd
}

func newReportsCheckCmd() *cobra.Command {
	var f outFlags
	cmd := newOutCmd("check", "Check the DNS records for the sender of reports",
		`Check tests what the domain of reports.from needs before the first report is sent: MX, for bounces; SPF; a
signing rule; and a DMARC record of its own without rua. It prints the records that are missing. While one of them is
missing or wrong, or the DNS does not answer, reports are built but wait: the list and the log say "set-up" and why.`+outCodes,
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Check(ctx) })
	cmd.Flags().StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	return cmd
}

func newReportsBouncedCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("bounced RECIPIENT", "Process a report that bounced, from standard input",
		`Bounced reads a mail to the envelope sender of a report, such as r+ID-1-CODE@reports.example.com, and
suppresses the address to which the report was sent. The code is made with a key in the store; a mail with a wrong
code is ignored and counted. Several bounces for an address on one UTC day count as one. The mail server runs it for
each mail to that domain: in Postfix, with recipient_delimiter = +, as a pipe(8) service whose argv ends in: reports
bounced ${original_recipient}`+outCodes,
		exactArgs("RECIPIENT"), &f, func(ctx context.Context,
			args []string) error {
			return f.Bounced(ctx, args[0], f.input)
		})
}

func newReportsForgetCmd() *cobra.Command {
	var f outFlags
	cmd := newOutCmd("forget DOMAIN", "Remove all data about a domain",
		`Forget removes all data about a domain for outgoing reports, from the spool and the store: whether your users wrote
there, on which days its mail arrived, what was counted, its reports and the mails with them, and failure reports about
it or to it. Its suppressed addresses stay suppressed until "mailseal reports suppress --remove". What the daemon saw in
the last 5 minutes is still being written: run the command again after that. It must run as the user of the reports
process.`+outCodes,
		exactArgs("DOMAIN"), &f, func(ctx context.Context, args []string) error { return f.Forget(ctx, args[0]) })
	cmd.PreRunE = func(_ *cobra.Command, args []string) error { return canonical(args) }
	return cmd
}

func newReportsHistoryCmd() *cobra.Command {
	var f outFlags
	cmd := newOutCmd("history [DOMAIN]", "List what changed in the DNS records of your domains",
		`History lists the changes to records of your domains in the last 400 days, the latest first: when the change
was seen, the record before and after. The role dns of "mailseal reports serve" checks every reports.dns_every, so a
change is seen within that time, and a short-lived record between two checks may be missed. A DNS that does not answer
is not a change. "mailseal domain --diff" compares with a file instead.

The exit code is 3 if the store cannot be read.`,
		atMostOne("DOMAIN"), &f, func(ctx context.Context,
			args []string) error {
			return f.History(ctx, strings.Join(args, ""))
		})
	cmd.PreRunE = func(_ *cobra.Command, args []string) error { return canonical(args) }
	return cmd
}
