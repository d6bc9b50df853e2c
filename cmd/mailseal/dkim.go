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
		Short: "Look at a published DKIM key, of this host or of another",
		Long: `Dkim looks at the key that signatures with s=SELECTOR and d=DOMAIN name: which algorithm and size it has, what is wrong
with its record, and what to publish instead.

Keys of this host are compared with what is published by "mailseal check --dns" and "mailseal keys publish-check".

The exit code is 0 when signatures that name the key can count, 1 when not, 3 when the DNS did not answer.`,
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
	cmd.Flags().StringVar(&zone, "zone", "", "answer all DNS questions from this zone file")
	cmd.Flags().BoolVar(&q.JSON, "json", false, "print one JSON object")
	return cmd
}
