package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/examine"
)

func newDKIMCmd() *cobra.Command {
	var zone string
	var q domains.Key
	cmd := &cobra.Command{
		Use:   "dkim SELECTOR DOMAIN",
		Short: "Examine a published DKIM key, of this host or another",
		Long: `Dkim examines the key that signatures with s=SELECTOR and d=DOMAIN refer to: its algorithm and size,
what is wrong with its record, and what to publish instead.

To compare this host's own keys with their records, use "mailseal check --dns" and "mailseal keys publish-check".

The exit code is 0 if signatures with the key can be valid, 1 if not, 3 if the DNS did not answer.`,
		Example: `  mailseal dkim selector1 example.com`,
		Args:    exactArgs("SELECTOR", "DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Resolver, err = examine.OpenResolver(zone); err != nil {
				return err
			}
			q.Selector, q.Domain = args[0], args[1]
			return q.Find(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&zone, "zone", "", "take all DNS answers from this zone file")
	cmd.Flags().BoolVar(&q.JSON, "json", false, "print one JSON object")
	return cmd
}
