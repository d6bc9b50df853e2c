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
	list     bool
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
		Short: "Find mistakes in the configuration, keys and sockets, and in how mail servers use them",
		Long:  help("check"),
		Args:  noArgs,
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
	flags.StringVar(&f.as, "as", "", "as root: test files with the rights of this `user` "+
		"(default: the one of mailseal.service, else the setting user, else mailseal)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.BoolVar(&f.dns, "dns", false, "compare the keys with the DNS")
	flags.StringVar(&f.zone, "zone", "",
		"take all DNS answers from this zone file; implies --dns")
	flags.StringSliceVar(&f.domains, "domain", nil,
		"compare the keys of these domains only, those of sources too; implies --dns")
	flags.IntVar(&f.limit, "limit", 0, "compare at most this many keys of each source that can "+
		"be listed; implies --dns")
	flags.BoolVar(&f.running, "against-running", false,
		"report which domains that signed mail in the last 7 days would lose their rule or key")
	flags.StringVar(&f.mta.Postfix, "postfix", "",
		"`directory` of Postfix's main.cf and master.cf (default "+check.PostfixDir+
			", if it is there)")
	flags.StringVar(&f.mta.Sendmail, "sendmail", "", "`directory` of Sendmail's sendmail.cf and "+
		"sendmail.mc (default "+check.SendmailDir+", if it is there)")
	flags.BoolVar(&f.mta.Skip, "no-mta", false, "do not check mail servers")
	flags.BoolVar(&f.list, "list", false, "print all codes with their severities, and check nothing")
	excludes(cmd, []string{"postfix", "sendmail"}, "no-mta")
	excludes(cmd, []string{"config", "as", "dns", "zone", "domain", "limit", "against-running",
		"postfix", "sendmail", "no-mta"}, "list")
}

func (f *checkFlags) run(ctx context.Context, out io.Writer) error {
	if f.list {
		return answer.NotBad(check.List(out, f.json))
	}
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
