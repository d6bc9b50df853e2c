package main

import (
	"io"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/examine"
)

func newProposeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "propose",
		Short: "Write SPF, DKIM and DMARC records for a domain",
		Long: `Propose writes the records that a domain needs, as a line of a zone file, as a bare value, and in strings. What it proposes
has been judged by the same code as the daemon's before it is printed. spf and dmarc change nothing; dkim makes the keys
that the domain lacks.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProposeSPFCmd(), newProposeDKIMCmd(), newProposeDMARCCmd())
	return cmd
}

// proposal is the part of the command line that spf and dmarc share.
type proposal struct {
	zone string
	json bool
}

func (p *proposal) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.zone, "zone", "", "answer all DNS questions from this zone file")
	cmd.Flags().BoolVar(&p.json, "json", false, "print one JSON object")
}

func (p *proposal) print(cmd *cobra.Command, made interface{ Write(io.Writer, bool) error }, err error) error {
	if err != nil {
		return err
	}
	return made.Write(cmd.OutOrStdout(), p.json)
}

func newProposeSPFCmd() *cobra.Command {
	var p proposal
	var q domains.SPFWishes
	var reports bool
	var configFile string
	cmd := &cobra.Command{
		Use:   "spf DOMAIN",
		Short: "Write an SPF record from what is published and who else may send",
		Long: `Spf starts from the record that is published, with mistakes mended, and lets in the addresses and the other records that
are named, with --reports also the addresses that DMARC reports of 90 days show to be the domain's own. It says in words
what the record allows and what it costs. An include of a service that sends with an envelope domain of its own is left
out, since it would not help.

The exit code is 0 with a record, 1 when none would do, such as for more than ten lookups, 3 when the DNS did not answer.`,
		Example: `  mailseal propose spf example.com --address 192.0.2.1 --include _spf.example.net`,
		Args:    exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if reports {
				if q.Config, err = loadConfig(configFile); err != nil {
					return err
				}
			}
			if q.Resolver, err = examine.Resolver(p.zone, q.Config); err != nil {
				return err
			}
			made, err := domains.ProposeSPF(cmd.Context(), args[0], q)
			return p.print(cmd, made, err)
		},
	}
	p.flags(cmd)
	cmd.Flags().StringSliceVar(&q.Clients, "address", nil,
		"address or network that the domain's mail leaves from; may be given several times")
	cmd.Flags().BoolVar(&reports, "reports", false,
		"let in what DMARC reports show to be sources of the domain's own mail")
	cmd.Flags().StringVarP(&configFile, "config", "c", "",
		"whose reports.store has the reports (default "+defaultConfig+")")
	needs(cmd, []string{"config"}, "reports")
	cmd.Flags().StringSliceVar(&q.Includes, "include", nil,
		"name of another SPF record to let in; may be given several times")
	cmd.Flags().StringSliceVar(&q.Without, "without", nil,
		"term of the published record to take out; may be given several times")
	cmd.Flags().StringVar(&q.All, "all", "",
		`how the record ends, "-all" or "~all" (default what is published, -all softened)`)
	return cmd
}

func newProposeDMARCCmd() *cobra.Command {
	var p proposal
	var q domains.DMARCWishes
	cmd := &cobra.Command{
		Use:   "dmarc DOMAIN",
		Short: "Write a DMARC record from three answers: does it send, do people write, who reads reports",
		Long: `Dmarc begins with p=none, or what is published, and prints the record of each step that follows, and after how many days
(RFC 9989 section 7.4). For a domain that sends nothing it writes
all records that say so: SPF, DMARC, a wildcard that revokes keys, and the null MX. When the address for reports is of
another domain that has not agreed, the record that it must publish is written, too.

The exit code is 0 with a record, 1 when what was asked for must not be, 3 when the DNS did not answer.`,
		Example: `  mailseal propose dmarc example.com --people --reports dmarc@example.com
  mailseal propose dmarc parked.example --silent`,
		Args: exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Resolver, err = examine.OpenResolver(p.zone); err != nil {
				return err
			}
			made, err := domains.ProposeDMARC(cmd.Context(), args[0], q)
			return p.print(cmd, made, err)
		},
	}
	p.flags(cmd)
	cmd.Flags().BoolVar(&q.Silent, "silent", false, "the domain sends no mail")
	cmd.Flags().BoolVar(&q.People, "people", false, "people write with it, who may post to mailing lists")
	cmd.Flags().StringVar(&q.Reports, "reports", "", "mail address that reads reports")
	cmd.Flags().BoolVar(&q.Testing, "testing", false, "ask receivers for the step below, and for reports (t=y)")
	cmd.Flags().StringVar(&q.Policy, "policy", "",
		`"none", "quarantine" or "reject" (default none; reject with --silent)`)
	excludes(cmd, []string{"people", "testing"}, "silent")
	return cmd
}

func newProposeDKIMCmd() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "dkim DOMAIN",
		Short: "Make the keys that a domain lacks, print their records, and have them sign once the DNS shows them",
		Long: `Dkim makes a key of each of rotation.algorithms for a domain that has none, in the state directory, where only the daemon's
user can read them. It prints their records and what each name server shows of them. No key signs before all of them
show it; then it does. Run it as often as you like: keys that wait are not made twice, and keys that sign stay. What
follows in the life of a key is in the help of "mailseal keys".

The exit code is 0 when all keys sign, 1 when one waits for its record, 3 when a name server did not answer.`,
		Example: `  mailseal propose dkim example.com`,
		Args:    exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Propose(cmd.Context(), args[0])
		},
	}
	f.bind(cmd.Flags())
	excludes(cmd, []string{"server"}, "zone")
	return cmd
}
