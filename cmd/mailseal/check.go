package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/examine"
)

// checkFlags is the command line of "mailseal check".
type checkFlags struct {
	config   string
	json     bool
	as       string
	dns      bool
	zone     string
	domains  []string
	limit    int
	running  bool
	mta      check.MTAOptions
	progress io.Writer
}

func newCheckCmd() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [--config FILE] [--dns] [--postfix DIR] [--sendmail DIR]",
		Short: "Find mistakes in the configuration, the keys, the sockets, and in how mail servers use them",
		Long: `Check reads the configuration and everything that it names, starts nothing, and says all that is wrong: each
problem with its file, line and setting, and below it the line to put or the command to run.

Where Postfix or Sendmail is installed, it reads their configuration too, also that of the other Postfixes that
multi_instance_directories lists, and reports which mail will not come to Mailseal: a socket that is not where a
chrooted smtpd looks for it, or that the user postfix may not connect to, or that Sendmail takes for unsafe; services
without the filter; mail that passes unsigned while Mailseal is away; other filters that sign as well, or that write
what Mailseal removes; content filters that hand strangers' mail back as if it were ours. Each finding names file and
line, what becomes of mail, and the line to put or the command to run. A line is printed only if it removes the finding
and causes no other: check applies it to what it has read, and judges again. A setting that several findings concern is
printed once, in its final form. Check does not need root: a file that it cannot read is reported, and is not an
error.

Where test.address is set, it looks whether the mail servers take mail for its domain, and asks the one at reports.smtp at RCPT
whether it takes the address; nothing is sent.

With --dns it compares each key with the record that is published, byte by byte: whether it is there, whole, at the
right name, alone and the right one, and whether the domain that signs is aligned with the authors of its rules. Each
finding comes with the record to publish.

Keys of a database are compared one after the other if the source has a list_query, those of other sources for the
domains that --domain names. What is wrong is printed as it is found, and every thousand keys how far it has come.

With --against-running it asks the daemon, or without one the list in state_directory, which domains signed mail in the last
7 days, and says which of them would have no rule or no key by this configuration: an error where "mailseal reload" would
be refused for that, else a warning.

Run as root it judges files with the rights of the daemon's user (User= of mailseal.service, else mailseal, or --as): a
child process with that user and its groups tries to open them. Where systemd runs, that process is in the sandbox of the
unit; elsewhere the unit's text is judged, and check says which. Where the user is stopped is named, and the command that
lets it in takes nothing from others who use the same files.

Each finding has a severity. An error keeps the daemon from starting, or mail is deferred, goes unsigned or cannot be
verified. A warning concerns some mail, or all of it at some time. Unknown is what could not be found out. A note is
what most operators want to know.

The exit code is 1 if there is any error. It is 3 if the configuration file cannot be read, or if there are no errors
and the DNS did not answer. Otherwise it is 0, whatever the number of warnings and notes, and even if a file of a mail
server could not be read.

With --json each finding has a code as well, such as key-missing or dns-record-missing. Codes are stable: the sentences
may change from one version to the next, the codes do not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.progress = cmd.ErrOrStderr()
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f.define(cmd)
	return cmd
}

func (f *checkFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.as, "as", "", "as root: judge files with the rights of this `user` "+
		"(default: the one of mailseal.service, else mailseal)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.BoolVar(&f.dns, "dns", false, "compare the keys with the DNS")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file; implies --dns")
	flags.StringSliceVar(&f.domains, "domain", nil,
		"compare the keys of these domains only, those of sources too; implies --dns")
	flags.IntVar(&f.limit, "limit", 0, "compare so many keys of each source that can be listed; implies --dns")
	flags.BoolVar(&f.running, "against-running", false,
		"say which domains that signed mail in the last 7 days would lose their rule or key")
	flags.StringVar(&f.mta.Postfix, "postfix", "",
		"`directory` of Postfix's main.cf and master.cf (default "+check.PostfixDir+", if it is there)")
	flags.StringVar(&f.mta.Sendmail, "sendmail", "", "`directory` of Sendmail's sendmail.cf and "+
		"sendmail.mc (default "+check.SendmailDir+", if it is there)")
	flags.BoolVar(&f.mta.Skip, "no-mta", false, "do not look at mail servers")
	excludes(cmd, []string{"postfix", "sendmail"}, "no-mta")
}

func (f *checkFlags) run(ctx context.Context, out io.Writer) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	finish := f.output(out, &o)
	result, err := check.Run(ctx, o)
	if err == nil {
		err = finish(result)
	}
	switch {
	case errors.Is(err, check.ErrAs):
		return answer.NewUsage(fmt.Errorf("--as: %w", err))
	case err != nil:
		return answer.NotBad(err)
	}
	switch result.Verdict() {
	case check.Bad:
		return answer.NewBad(nil)
	case check.Undecided:
		return answer.NewUnknown(nil)
	}
	return nil
}

// output sends the findings to a printer, and returns what writes the end.
func (f *checkFlags) output(out io.Writer, o *check.Options) func(*check.Result) error {
	o.Progress = func(w *check.Walk) { fmt.Fprintln(f.progress, w) }
	if f.json {
		j := &check.JSON{Out: out}
		o.Report, o.Bounded = j.Report, true
		return j.Finish
	}
	p := check.Printer{Out: out}
	o.Report = p.Report
	return func(r *check.Result) error {
		p.Finish(r)
		return nil
	}
}

// options is what the command line asks for.
func (f *checkFlags) options() (check.Options, error) {
	o := check.Options{
		File: orDefault(f.config), ConfigFlag: f.config, As: f.as, Domains: f.domains,
		Limit: f.limit, MTA: f.mta, AgainstRunning: f.running,
		DNS: f.dns || f.zone != "" || len(f.domains) > 0 || f.limit > 0,
	}
	if err := domains.Canonical(o.Domains); err != nil {
		return o, answer.NewUsage(fmt.Errorf("--domain: %w", err))
	}
	if o.Limit < 0 {
		return o, answer.NewUsage(errors.New("--limit is a number of keys"))
	}
	if f.zone == "" {
		return o, nil
	}
	var err error
	o.Resolver, err = examine.OpenResolver(f.zone)
	return o, err
}
