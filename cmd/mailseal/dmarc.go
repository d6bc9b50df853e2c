package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
)

// dmarcFlags is the command line of "mailseal dmarc".
type dmarcFlags struct {
	zone string
	json bool
	spf  []string
	dkim []string
}

func newDMARCCmd() *cobra.Command {
	var f dmarcFlags
	cmd := &cobra.Command{
		Use:   "dmarc DOMAIN",
		Short: "Find the DMARC policy of a domain and explain how it was found",
		Long: `Dmarc walks up the DNS from a domain as RFC 9989 asks, and says what was found at each name, which policy applies to
mail from the domain, and what in the record was passed over. With --spf and --dkim it weighs domains that those methods
would have authenticated, and says which of them are aligned.

The exit code is 0 when a policy applies and, with --spf or --dkim, DMARC passes; 1 when not; 3 when the DNS did not answer.`,
		Example: `  mailseal dmarc example.com
  mailseal dmarc news.example.com --dkim example.com --spf bounce.example.net`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().StringArrayVar(&f.spf, "spf", nil, "domain of MAIL FROM that passed SPF")
	cmd.Flags().StringArrayVar(&f.dkim, "dkim", nil, "d= of a signature that passed")
	return cmd
}

func (f *dmarcFlags) run(ctx context.Context, out io.Writer, name string) error {
	author, err := domain.Parse(name)
	if err != nil {
		return exit(exitUsage, err)
	}
	ids, err := f.identifiers()
	if err != nil {
		return exit(exitUsage, err)
	}
	resolver, err := openResolver(f.zone)
	if err != nil {
		return err
	}
	checker := &dmarc.Checker{Resolver: resolver}
	r := checker.Discover(ctx, []domain.Name{author}).Weigh(ctx, ids)
	if f.json {
		err = json.NewEncoder(out).Encode(dmarcResultJSON(string(author), r))
	} else {
		_, err = io.WriteString(out, dmarcText(author, r, len(ids) > 0))
	}
	if err != nil {
		return exit(exitUnknown, err)
	}
	return dmarcExit(r, len(ids) > 0)
}

func (f *dmarcFlags) identifiers() ([]dmarc.Identifier, error) {
	var out []dmarc.Identifier
	for _, list := range []struct {
		method dmarc.Method
		names  []string
	}{{dmarc.SPF, f.spf}, {dmarc.DKIM, f.dkim}} {
		for _, name := range list.names {
			d, err := domain.Parse(name)
			if err != nil {
				return nil, err
			}
			out = append(out, dmarc.Identifier{Method: list.method, Domain: d})
		}
	}
	return out, nil
}

func dmarcExit(r dmarc.Result, weighed bool) error {
	switch {
	case r.Value == dmarc.Temperror:
		return exit(exitUnknown, nil)
	case r.Value == dmarc.Pass, r.Value == dmarc.Fail && !weighed:
		return nil
	}
	return exit(exitBad, nil)
}

// dmarcText explains a result: what was found where, what follows from it, and what was weighed.
func dmarcText(author domain.Name, r dmarc.Result, weighed bool) string {
	var b strings.Builder
	for _, w := range r.Walks {
		fmt.Fprintf(&b, "Walk from %s:\n", w.Start)
		for _, s := range w.Steps {
			fmt.Fprintf(&b, "  _dmarc.%-30s %s\n", s.Domain, s.Finding)
		}
		if w.OrganizationalDomain != "" {
			fmt.Fprintf(&b, "  organizational domain: %s\n", w.OrganizationalDomain)
		}
	}
	if r.Record != nil {
		fmt.Fprintf(&b, "Policy record, at _dmarc.%s:\n  %s\n", r.PolicyDomain, r.Record.Text)
		for _, note := range r.Record.Notes {
			fmt.Fprintf(&b, "  note: %s\n", note)
		}
		fmt.Fprintf(&b, "For mail from %s that fails, its owner asks for: %s (%s=)\n", author, r.Requested, r.Tag)
		if r.Record.Testing {
			fmt.Fprintf(&b, "The policy is in test mode (t=y): receivers apply one level less.\n")
		}
	}
	for _, a := range r.Alignments {
		fmt.Fprintf(&b, "%-4s %s: %s (%s)\n", a.Method, a.Domain, either(a.Aligned, "aligned", "not aligned"), a.Why)
	}
	if weighed || r.Record == nil {
		fmt.Fprintf(&b, "Result: %s (%s)\n", r.Value, r.Reason)
	}
	fmt.Fprintf(&b, "DNS queries: %d\n", r.Queries)
	return b.String()
}
