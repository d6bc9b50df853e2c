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
		Long: `Propose writes the records that a domain needs: each as a line of a zone file, as a bare
value, and split into strings. Before it prints a record, it checks it with the same code that the
daemon uses. "propose spf" and "propose dmarc" change nothing; "propose dkim" makes the keys that
the domain lacks.`,
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
	cmd.Flags().StringVar(&p.zone, "zone", "", "take all DNS answers from this zone file")
	cmd.Flags().BoolVar(&p.json, "json", false, "print one JSON object")
}

func (p *proposal) print(cmd *cobra.Command, made interface{ Write(io.Writer, bool) error },
	err error) error {
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
		Short: "Write an SPF record from the published one and additional senders",
		Long: `Spf starts from the published record, corrects its mistakes, and adds the addresses and
records in the flags. With --reports it also adds the addresses that the DMARC reports of 90 days
show to be the domain's own. It explains in words what the record allows and how many lookups it
takes. An include for a service that uses an envelope domain of its own is left out, since it would
have no effect.

The exit code is 0 if a record was printed, 1 if no valid record is possible, such as with more than
ten lookups, or if it would allow no host, 3 if the DNS did not answer.`,
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
		"address or network from which the domain's mail leaves; may be given several times")
	cmd.Flags().BoolVar(&reports, "reports", false,
		"add the addresses that DMARC reports show to be the domain's own")
	cmd.Flags().StringVarP(&configFile, "config", "c", "",
		"configuration file with reports.store (default "+defaultConfig+")")
	needs(cmd, []string{"config"}, "reports")
	cmd.Flags().StringSliceVar(&q.Includes, "include", nil,
		"name of another SPF record to include; may be given several times")
	cmd.Flags().StringSliceVar(&q.Without, "without", nil,
		"term of the published record to remove; may be given several times")
	cmd.Flags().StringVar(&q.All, "all", "",
		`how the record ends, "-all" or "~all" (default: as published, but ~all instead of -all)`)
	return cmd
}

func newProposeDMARCCmd() *cobra.Command {
	var p proposal
	var q domains.DMARCWishes
	cmd := &cobra.Command{
		Use: "dmarc DOMAIN",
		Short: "Write a DMARC record from three answers: does the domain send mail, do people " +
			"use it, who reads the reports",
		Long: `Dmarc prints the record to publish now, which has the published policy, or p=none if there
is no valid one, and the record of each later step with the number of days to wait (RFC 9989 section
7.4). For a domain that sends no mail it prints all records that say so: SPF, DMARC, a wildcard that
revokes keys, and the null MX. If the address for reports is at another domain that has not agreed,
it also prints the record that this domain must publish.

The exit code is 0 if a record was printed, 1 if the requested record must not be published, 3 if the DNS did not
answer.`,
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
	cmd.Flags().BoolVar(&q.People, "people", false, "people write mail from the domain, and may "+
		"post to mailing lists")
	cmd.Flags().StringVar(&q.Reports, "reports", "", "mail address that reads reports")
	cmd.Flags().BoolVar(&q.Testing, "testing", false, "ask receivers to apply the policy one "+
		"step below, and to report (t=y)")
	cmd.Flags().StringVar(&q.Policy, "policy", "",
		`"none", "quarantine" or "reject" (default none; reject with --silent)`)
	excludes(cmd, []string{"people", "testing"}, "silent")
	return cmd
}

func newProposeDKIMCmd() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:     "dkim DOMAIN",
		Short:   "Make the keys that a domain lacks, print their records, and activate them once the DNS shows them",
		Long:    help("propose-dkim"),
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
