package main

import (
	"errors"
	"fmt"
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
	f.box.Setting, f.box.Given = f.store, f.store != ""
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

The store is reports.store of the configuration, or --store: "sqlite:" and a path, or
"postgres://...". Only "mailseal reports import" and "mailseal reports serve" create it. The exit code
is 3 if the configuration or the store cannot be opened, or if there is no store.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.domain != "" {
				names := []string{f.domain}
				if err := canonical(names); err != nil {
					return answer.NewUsage(fmt.Errorf("--domain: %w", err))
				}
				f.domain = names[0]
			}
			if err := f.open(); err != nil {
				return err
			}
			f.box.Screen = answer.Screen(cmd.OutOrStdout())
			return run(f, cmd, args)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "",
		"configuration file (default "+defaultConfig+")")
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
	cmd.Flags().StringVar(&f.domain, "domain", "", "only reports on this domain")
	cmd.Flags().IntVar(&f.days, "days", 0, "only this many days before now (default all)")
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
	cmd, f := newBoxCmd("import FILE...", "Put reports from files, Maildirs and mailboxes into "+
		"the store",
		help("reports-import"),
		func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return answer.NewUsage(errors.New("name a file, a directory, or \"-\" for " +
					"standard input"))
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
		help("reports-received"),
		func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return answer.NewUsage(errors.New("give the number of one report, or none for " +
					"the list"))
			}
			return nil
		},
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			filter := f.filter()
			filter.Reporter, filter.Top = f.by, f.top
			return f.box.Received(cmd.Context(), f.kind, filter, strings.Join(args, ""),
				cmd.OutOrStdout())
		})
	withList(cmd, f)
	cmd.Flags().StringVar(&f.kind, "kind", "aggregate",
		"the kind of reports: aggregate, tls or failure")
	cmd.Flags().StringVar(&f.by, "reporter", "", "only aggregate reports of this reporter")
	cmd.Flags().IntVar(&f.top, "limit", 0, "list at most this many (default all)")
	return cmd
}

func newReportsDomainsCmd() *cobra.Command {
	cmd, f := newBoxCmd("domains", "Show the results of each domain's mail",
		`Domains shows the sums of the reports that count, for each domain: the number of messages, how
many pass DMARC, DKIM and SPF, and what receivers did with those that fail DMARC. "mailseal reports
received" shows which reports count, and why.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.DomainList(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsSourcesCmd() *cobra.Command {
	cmd, f := newBoxCmd("sources", "Show which hosts sent as your domains",
		help("reports-sources"), noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Sources(cmd.Context(), f.filter(), cmd.OutOrStdout())
		})
	withList(cmd, f)
	return cmd
}

func newReportsAcceptCmd() *cobra.Command {
	cmd, f := newBoxCmd("accept REPORTER", "Count the reports of a reporter even without "+
		"authentication",
		help("reports-accept"), exactArgs("REPORTER"),
		func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Accept(cmd.Context(), args[0], !f.not, cmd.OutOrStdout())
		})
	cmd.Flags().BoolVar(&f.not, "not", false, "count reports of the reporter only if they are "+
		"authenticated")
	return cmd
}

func newReportsRefuseCmd() *cobra.Command {
	cmd, _ := newBoxCmd("refuse REPORTER", "Exclude the reports of a reporter from all sums",
		help("reports-refuse"),
		exactArgs("REPORTER"), func(f *boxFlags, cmd *cobra.Command, args []string) error {
			return f.box.Refuse(cmd.Context(), args[0], cmd.OutOrStdout())
		})
	return cmd
}

func newReportsVerifyCmd() *cobra.Command {
	cmd, f := newBoxCmd("verify", "Compare the sums in the store with its records",
		`Verify compares the daily sums, from which all figures are computed, with a new count of the
records. Days whose records have expired are left out.

The exit code is 0 if they are equal, 1 if not. If they differ, "mailseal reports reparse" computes
the sums again.`, noArgs,
		func(f *boxFlags, cmd *cobra.Command, _ []string) error {
			return f.box.Verify(cmd.Context(), cmd.OutOrStdout())
		})
	withJSON(cmd, f)
	return cmd
}

func newReportsReparseCmd() *cobra.Command {
	cmd, _ := newBoxCmd("reparse", "Read the messages and files in the store again",
		`The store keeps the original messages and files for reports.intake.raw_days days. Reparse reads
them again, and replaces the reports that were stored from them. Run it after an upgrade to a
version that can read more formats, or after a change to reports.intake.domains.`, noArgs,
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
