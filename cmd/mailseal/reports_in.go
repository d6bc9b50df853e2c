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

The store is that of reports.store of the configuration, or of --store: "sqlite:" and a path, or "postgres://...". Exit
code 3: the configuration or the store cannot be opened.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.open(); err != nil {
				return err
			}
			return run(f, cmd, args)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.store, "store", "", "the store, instead of the configuration's")
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
	cmd.Flags().StringVar(&f.domain, "domain", "", "this domain only")
	cmd.Flags().IntVar(&f.days, "days", 0, "the last so many days only; all, if not given")
}

// newReportsInCmds are the commands about reports that come in.
func newReportsInCmds() []*cobra.Command {
	return []*cobra.Command{
		newReportsReadCmd(), newReportsImportCmd(), newReportsDeliverCmd(), newReportsReceivedCmd(),
		newReportsDomainsCmd(),
		newReportsSourcesCmd(), newReportsAcceptCmd(), newReportsVerifyCmd(),
		newReportsReparseCmd(), newReportsAlertsCmd(),
	}
}

func newReportsImportCmd() *cobra.Command {
	cmd, f := newBoxCmd("import FILE...", "Put reports from files, Maildirs and mailboxes into the store",
		`Import stores the reports that files hold: whatever "mailseal reports read" can show. A report that is in the store
already is not stored again, so that the same directory can be imported every day. Reports that are imported by hand
count, also without proof of where they come from. What cannot be read is kept for "mailseal reports reparse".

The exit code is 0 when all of it is in the store; 1 when something could not be read, which is listed; 3 when a file or the
store could not be opened: import the same files again, then.`,
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
	cmd, f := newBoxCmd("received [NUMBER]", "List the reports that came in, or show one with its records",
		`Received shows the reports in the store, the latest first. A report does not count when nothing proves that it is from
its reporter, when its domain is not one of yours, when its period is in the future, or when another one with the same id,
domain and period came before. With a NUMBER of the list it prints that report: why it counts or not, what was unusual
about it, and its records.

With --kind tls it lists TLS reports (RFC 8460), a line for each policy, and with --kind failure failure reports (RFC 9991):
the day, who reports, for which domain the mail was authenticated that brought it ("no": anyone can have written it), and
what failed; with a NUMBER of that list, all of one. These are shown, and no sum has them.`,
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
	cmd, f := newBoxCmd("domains", "Show how the mail of each domain fared",
		`Domains sums the reports that count by domain: messages, how many pass DMARC, DKIM and SPF, and what became of those that
fail.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.DomainList(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsSourcesCmd() *cobra.Command {
	cmd, f := newBoxCmd("sources", "Show which hosts sent as your domains",
		`Sources shows, for all domains or one, the addresses that mail came from, whose each of them is, and why its mail passes or
fails. What an administrator said on the page comes first; then the networks of ours.networks and of your SPF record, names
below your domain that sign, services that are known by their names, and hosts that pass mail on. A source of which no message
ever passed is "spoof", one of which some passed "unknown". Reverse names, networks and countries are known if "mailseal reports
serve" looked them up (reports.intake.reverse_names and address_databases). The class needs the records, which are kept for
record_days.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Sources(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsAcceptCmd() *cobra.Command {
	cmd, f := newBoxCmd("accept REPORTER", "Have the reports of a reporter count without proof of where they come from",
		`Anyone can send a report in another's name. Reports that came by mail count only when the mail was authenticated for
the reporter's domain. Mail from a domain at which anyone can have an address, such as gmail.com, proves nothing but that address:
there the reporter is the whole address. Who can send mail in the name of a whole domain can also report in its name, and a
report says what its reporter likes: look at what one alone says that the others do not. Accept has the reports of a reporter count that cannot be authenticated, those that are in the store,
too; --not takes it back. "mailseal reports received" shows the names of reporters.`, exactArgs("REPORTER"),
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Accept(cmd.Context(), args[0], !f.not, cmd.OutOrStdout())
		})
	cmd.Flags().BoolVar(&f.not, "not", false, "take it back")
	return cmd
}

func newReportsVerifyCmd() *cobra.Command {
	cmd, f := newBoxCmd("verify", "Recount the sums of the store",
		`Verify compares the sums per day, which all figures come from, with a recount of the records. The exit code is 0 when they
are equal, 1 when not. Days whose records were removed by age are left out.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Verify(cmd.Context(), cmd.OutOrStdout())
		})
	withJSON(cmd, f)
	return cmd
}

func newReportsReparseCmd() *cobra.Command {
	cmd, _ := newBoxCmd("reparse", "Read all mails and files of the store again",
		`Reparse reads the mails and files again that the store keeps as they came, and replaces what was stored of them. It is for
a new version that reads more, and for a changed reports.intake.domains.`, noArgs,
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
