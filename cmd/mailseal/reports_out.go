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
	cmd.Flags().StringVarP(&f.config, "config", "c", "",
		"configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.now, "now", "", "use this time instead of the present, such as "+
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
		"%s\nreports.collect is false, so no mail is counted: set collect = true in [reports] of "+
			"%s",
		answer.Text(err), orDefault(f.config)))
}

func newReportsPreviewCmd() *cobra.Command {
	var f outFlags
	var day string
	cmd := newOutCmd("preview DOMAIN", "Show the report that a domain would get",
		`Preview shows the exact mail with the report that a domain would get from what was counted so far,
whether it would be sent, and if not, why. It works while reports.send is false, and changes
nothing.

The exit code is 1 if no unreported mail of the domain was counted, 3 if the store cannot be read or
the DNS does not answer.`,
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
		help("reports-list"),
		noArgs, &f, func(ctx context.Context,
			_ []string) error {
			return f.collected(f.List(ctx, domain))
		})
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
	return newOutCmd("hosts", "List the hosts that share the database of reports, and which one "+
		"leads",
		help("reports-hosts"),
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Hosts(ctx) })
}

func newReportsFailuresCmd() *cobra.Command {
	var f outFlags
	var domain string
	cmd := newOutCmd("failures", "List outgoing failure reports and their states",
		help("reports-failures"),
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
	cmd := newOutCmd("send", "Build and send the reports that are due",
		help("reports-send"),
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Send(ctx, dry) })
	cmd.Flags().BoolVar(&dry, "dry-run", false, "change nothing, and list what would be sent")
	cmd.Flags().StringVar(&f.Sendmail, "sendmail", "",
		"pass mails to this `PROGRAM`, such as /usr/sbin/sendmail, instead of reports.smtp")
	excludes(cmd, []string{"sendmail"}, "dry-run")
	return cmd
}

func newReportsShowCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("show ID", "Show one outgoing report",
		`Show prints a report of the last 30 days as it was built, and the states of its mails. "mailseal
reports list --json" has the IDs.

The exit code is 1 if there is no such report, 3 if the store cannot be read.`,
		exactArgs("ID"), &f, func(ctx context.Context,
			args []string) error {
			return f.Show(ctx, args[0])
		})
}

func newReportsResendCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("resend ID", "Send a report again, byte for byte",
		help("reports-resend"),
		exactArgs("ID"), &f, func(ctx context.Context,
			args []string) error {
			return f.Resend(ctx, args[0])
		})
}

func newReportsSuppressCmd() *cobra.Command {
	var f outFlags
	var days int
	var remove bool
	cmd := newOutCmd("suppress [ADDRESS]", "Suppress reports to an address, or list suppressed "+
		"addresses",
		`Suppress stops reports to an address for some days. Addresses to which a report bounced are
suppressed automatically, for 7, 30 and then 180 days. Without an address it lists the suppressed
addresses.

The exit code is 1 if --remove names an address that is not suppressed, 3 if the store cannot be
read.`,
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
		help("reports-check"),
		noArgs, &f, func(ctx context.Context, _ []string) error { return f.Check(ctx) })
	cmd.Flags().StringVar(&f.zone, "zone", "", "take all DNS answers from this zone file")
	return cmd
}

func newReportsBouncedCmd() *cobra.Command {
	var f outFlags
	return newOutCmd("bounced RECIPIENT", "Process the bounce of a report, from standard input",
		help("reports-bounced"),
		exactArgs("RECIPIENT"), &f, func(ctx context.Context,
			args []string) error {
			return f.Bounced(ctx, args[0], f.input)
		})
}

func newReportsForgetCmd() *cobra.Command {
	var f outFlags
	cmd := newOutCmd("forget DOMAIN", "Remove all data about a domain that was kept for outgoing "+
		"reports",
		help("reports-forget"),
		exactArgs("DOMAIN"), &f, func(ctx context.Context,
			args []string) error {
			return f.Forget(ctx, args[0])
		})
	cmd.PreRunE = func(_ *cobra.Command, args []string) error { return canonical(args) }
	return cmd
}

func newReportsHistoryCmd() *cobra.Command {
	var f outFlags
	cmd := newOutCmd("history [DOMAIN]", "List what changed in the DNS records of your domains",
		help("reports-history"),
		atMostOne("DOMAIN"), &f, func(ctx context.Context,
			args []string) error {
			return f.History(ctx, strings.Join(args, ""))
		})
	cmd.PreRunE = func(_ *cobra.Command, args []string) error { return canonical(args) }
	return cmd
}
