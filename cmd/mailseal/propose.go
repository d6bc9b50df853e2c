package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/examine"
)

func newProposeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "propose",
		Short: "Write SPF and DMARC records for a domain",
		Long: `Propose writes the records that a domain needs, as a line of a zone file, as a bare value, and in strings. What it proposes
has been judged by the same code as the daemon's before it is printed. It changes nothing.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProposeSPFCmd(), newProposeDMARCCmd())
	return cmd
}

// proposal is the part of the command line that both share.
type proposal struct {
	zone string
	json bool
}

func (p *proposal) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.zone, "zone", "", "answer all DNS questions from this zone file")
	cmd.Flags().BoolVar(&p.json, "json", false, "print one JSON object")
}

func newProposeSPFCmd() *cobra.Command {
	var p proposal
	var q domains.SPFWishes
	var addresses []string
	cmd := &cobra.Command{
		Use:   "spf DOMAIN",
		Short: "Write an SPF record from what is published and who else may send",
		Long: `Spf starts from the record that is published, with mistakes mended, and lets in the addresses and the other records that
are named. It says in words what the record allows and what it costs. An include of a service that sends with an envelope
domain of its own is left out, since it would not help.

The exit code is 0 with a record, 1 when none would do, such as for more than ten lookups, 3 when the DNS did not answer.`,
		Example: `  mailseal propose spf example.com --address 192.0.2.1 --include _spf.example.net`,
		Args:    exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			for _, a := range addresses {
				network, err := parseNetwork(a)
				if err != nil {
					return answer.NewUsage(err)
				}
				q.Addresses = append(q.Addresses, network)
			}
			if q.Resolver, err = examine.OpenResolver(p.zone); err != nil {
				return err
			}
			made, err := domains.ProposeSPF(cmd.Context(), args[0], q)
			if err != nil {
				return err
			}
			return made.Write(cmd.OutOrStdout(), p.json)
		},
	}
	p.flags(cmd)
	cmd.Flags().StringSliceVar(&addresses, "address", nil,
		"address or network that the domain's mail leaves from; may be given several times")
	cmd.Flags().StringSliceVar(&q.Includes, "include", nil, "name of another SPF record to let in; may be given several times")
	return cmd
}

// parseNetwork reads an address, or a network such as 192.0.2.0/24.
func parseNetwork(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p != p.Masked() {
			return p, fmt.Errorf("--address %s is an address inside of the network %s; write one or the other", text, p.Masked())
		}
		return p, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("--address %q is neither an IP address nor a network, such as 192.0.2.0/24", text)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func newProposeDMARCCmd() *cobra.Command {
	var p proposal
	var q domains.DMARCWishes
	cmd := &cobra.Command{
		Use:   "dmarc DOMAIN",
		Short: "Write a DMARC record from three answers: does it send, do people write, who reads reports",
		Long: `Dmarc begins with p=none and says which steps follow when (RFC 9989 section 7.4). For a domain that sends nothing it writes
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
			if err != nil {
				return err
			}
			return made.Write(cmd.OutOrStdout(), p.json)
		},
	}
	p.flags(cmd)
	cmd.Flags().BoolVar(&q.Silent, "silent", false, "the domain sends no mail")
	cmd.Flags().BoolVar(&q.People, "people", false, "people write with it, who may post to mailing lists")
	cmd.Flags().StringVar(&q.Reports, "reports", "", "mail address that reads reports")
	cmd.Flags().StringVar(&q.Policy, "policy", "", `"none", "quarantine" or "reject" (default none; reject with --silent)`)
	excludes(cmd, []string{"people"}, "silent")
	return cmd
}
