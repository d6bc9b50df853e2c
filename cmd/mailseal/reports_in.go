package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/incoming"
)

// boxFlags is the command line of the commands that read or write the store of reports.
type boxFlags struct {
	config, store string
	domain, by    string
	kind          string
	days, top     int
	not           bool
	box           incoming.Box
}

// open finds the store: that of --store, else that of the configuration.
func (f *boxFlags) open() error {
	f.box.Now = time.Now
	f.box.Setting = f.store
	if f.store != "" && f.config == "" {
		return nil
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	f.box.Domains, f.box.Networks = cfg.Reports.Intake.Domains, cfg.Ours.Networks
	f.box.Parked = cfg.Reports.Intake.Parked
	if f.store == "" {
		f.box.Setting = cfg.Reports.Store
	}
	return nil
}

// newBoxCmd makes a command over the store.
func newBoxCmd(use, short, long string, args cobra.PositionalArgs,
	run func(*boxFlags, *cobra.Command, []string) error) (*cobra.Command, *boxFlags) {
	f := &boxFlags{}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		Long: long + `

The store is reports.store of the configuration, or --store: "sqlite:" and a path, or "postgres://...". The exit code
is 3 if the configuration or the store cannot be opened.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.open(); err != nil {
				return err
			}
			f.box.Screen = answer.Screen(cmd.OutOrStdout())
			return run(f, cmd, args)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.store, "store", "", "the store to use instead of that of the "+
		"configuration")
	return cmd, f
}

func withJSON(cmd *cobra.Command, f *boxFlags) {
	cmd.Flags().BoolVar(&f.box.JSON, "json", false, "print one JSON object")
}

// withList adds the flags of lists.
func withList(cmd *cobra.Command, f *boxFlags) {
	withJSON(cmd, f)
	cmd.Flags().BoolVar(&f.box.CSV, "csv", false, "print CSV")
	excludes(cmd, []string{"json"}, "csv")
	cmd.Flags().StringVar(&f.domain, "domain", "", "only this domain")
	cmd.Flags().IntVar(&f.days, "days", 0, "only the last so many days (default all)")
}

// newReportsInCmds are the commands about reports that come in.
func newReportsInCmds() []*cobra.Command {
	return []*cobra.Command{
		newReportsReadCmd(), newReportsImportCmd(), newReportsDeliverCmd(), newReportsReceivedCmd(),
		newReportsDomainsCmd(),
		newReportsSourcesCmd(), newReportsAcceptCmd(), newReportsRefuseCmd(), newReportsVerifyCmd(),
		newReportsReparseCmd(), newReportsAlertsCmd(),
	}
}

func newReportsImportCmd() *cobra.Command {
	cmd, f := newBoxCmd("import FILE...", "Put reports from files, Maildirs and mailboxes into the store",
		`Import stores the reports in files, everything that "mailseal reports read" can show. A report that is
already in the store is not stored again, so the same directory can be imported every day. Reports that are imported
by hand count without proof of who sent them. Files that cannot be read are kept for "mailseal reports reparse".

The exit code is 0 if everything is in the store; 1 if something could not be read, which is listed; 3 if a file or the
store could not be opened: then import the same files again.`,
		func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return answer.NewUsage(errors.New(`name a file, a directory, or "-" for standard input`))
			}
			return nil
		},
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Import(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout(),
				answer.Terminal(cmd.ErrOrStderr()))
		})
	withJSON(cmd, f)
	return cmd
}

func newReportsReceivedCmd() *cobra.Command {
	cmd, f := newBoxCmd("received [NUMBER]", "List received reports, or show one with its records",
		`Received shows the reports in the store, the latest first. A report does not count if nothing proves that it
is from its reporter, if its domain is not one of yours, if its period is in the future, or if another one with the
same id, domain and period arrived before. With a NUMBER from the list it prints that report: why it counts or not,
what is unusual about it, and its records.

With --kind tls it lists TLS reports (RFC 8460), a line for each policy, and with --kind failure failure reports (RFC
9991): the day, the reporter, the domain for which its mail was authenticated ("no": any sender can have written it),
and what failed; with a NUMBER from that list, the whole report. These reports are only shown, and not counted in any
sum.`,
		func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return answer.NewUsage(errors.New("name one report, or none"))
			}
			return nil
		},
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			filter := f.filter()
			filter.Reporter, filter.Top = f.by, f.top
			return f.box.Received(cmd.Context(), f.kind, filter, strings.Join(args, ""), cmd.OutOrStdout())
		})
	withList(cmd, f)
	cmd.Flags().StringVar(&f.kind, "kind", "aggregate", "the kind of reports: aggregate, tls or failure")
	cmd.Flags().StringVar(&f.by, "reporter", "", "aggregate reports of this reporter only")
	cmd.Flags().IntVar(&f.top, "limit", 0, "so many at most; all, if not given")
	return cmd
}

func newReportsDomainsCmd() *cobra.Command {
	cmd, f := newBoxCmd("domains", "Show the results of each domain's mail",
		`Domains adds up the reports that count by domain: messages, how many pass DMARC, DKIM and SPF, and what
happened to those that fail.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.DomainList(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsSourcesCmd() *cobra.Command {
	cmd, f := newBoxCmd("sources", "Show which hosts sent as your domains",
		`Sources shows, for all domains or one, the addresses from which mail came, whose they are, and why their mail
passes or fails. A class that an administrator set on the pages takes precedence; then come the networks of
ours.networks and of your SPF record, names below your domain that sign, services that are recognized by their names,
and hosts that forward mail. A source of which no message ever passed is "spoof", one of which some passed is
"unknown". Reverse names, networks and countries are shown if "mailseal reports serve" has looked them up
(reports.intake.reverse_names and address_databases). The class needs the records, which are kept for record_days.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Sources(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsAcceptCmd() *cobra.Command {
	cmd, f := newBoxCmd("accept REPORTER", "Count the reports of a reporter without proof of who "+
		"sent them",
		`Any sender can write a report in another's name. Reports that arrive by mail count only if the mail was
authenticated for the reporter's domain. At a domain at which anyone can have an address, such as gmail.com, the
reporter is the whole address, since mail from there proves nothing more. A sender that can send mail for a whole
domain can also report for it, and a report can claim anything: be careful with claims that only one reporter makes.
Accept makes reports of a reporter count that cannot be authenticated, including those already in the store; --not
reverts that, and "mailseal reports refuse". "mailseal reports received" shows the names of reporters.`, exactArgs("REPORTER"),
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Accept(cmd.Context(), args[0], !f.not, cmd.OutOrStdout())
		})
	cmd.Flags().BoolVar(&f.not, "not", false, "revert it")
	return cmd
}

func newReportsRefuseCmd() *cobra.Command {
	cmd, _ := newBoxCmd("refuse REPORTER", "Have the reports of a reporter not count, although they are proven",
		`A sender that can send mail for a domain can also report for it, and claim any numbers on your domains. Refuse takes
the reports of such a reporter out of all sums, including those already in the store. They are kept and shown.
"mailseal reports accept --not REPORTER" reverts that. The alert new-reporter names new reporters that claim more
messages than all others together.`,
		exactArgs("REPORTER"), func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Refuse(cmd.Context(), args[0], cmd.OutOrStdout())
		})
	return cmd
}

func newReportsVerifyCmd() *cobra.Command {
	cmd, f := newBoxCmd("verify", "Compare the sums in the store with its records",
		`Verify compares the daily sums, from which all figures are computed, with a new count of the records. The
exit code is 0 if they are equal, 1 if not. Days whose records have expired are left out.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Verify(cmd.Context(), cmd.OutOrStdout())
		})
	withJSON(cmd, f)
	return cmd
}

func newReportsReparseCmd() *cobra.Command {
	cmd, _ := newBoxCmd("reparse", "Read all mails and files of the store again",
		`Reparse reads the mails and files again that the store keeps as they came, and replaces what was stored of
them. It is for a new version that reads more, and for a changed reports.intake.domains.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Reparse(cmd.Context(), cmd.OutOrStdout())
		})
	return cmd
}

// filter chooses what a list shows.
func (f *boxFlags) filter() (out incoming.Filter) {
	out.Domain = f.domain
	if f.days > 0 {
		out.Since = f.box.Now().AddDate(0, 0, -f.days)
	}
	return out
}
