package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/examine"
)

// dmarcFlags is the command line of "mailseal dmarc".
type dmarcFlags struct {
	config, zone string
	examine.DMARC
}

func newDMARCCmd() *cobra.Command {
	var f dmarcFlags
	cmd := &cobra.Command{
		Use:   "dmarc DOMAIN",
		Short: "Find the DMARC policy of a domain and explain how it was found",
		Long:  help("dmarc"),
		Example: `  mailseal dmarc example.com
  mailseal dmarc news.example.com --dkim example.com --spf bounce.example.net`,
		Args: exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "",
		"look up names as the daemon does with this configuration file")
	cmd.Flags().StringVar(&f.zone, "zone", "", "take all DNS answers from this zone file")
	cmd.Flags().BoolVar(&f.JSON, "json", false, "print one JSON object")
	cmd.Flags().StringArrayVar(&f.SPF, "spf", nil, "domain of MAIL FROM that passed SPF")
	cmd.Flags().StringArrayVar(&f.DKIM, "dkim", nil, "d= of a signature that passed")
	return cmd
}

func (f *dmarcFlags) run(ctx context.Context, out io.Writer, name string) (err error) {
	if f.config != "" {
		if f.Config, err = loadConfig(f.config); err != nil {
			return err
		}
	}
	if f.Resolver, err = examine.Resolver(f.zone, f.Config); err != nil {
		return err
	}
	return f.Find(ctx, name, out)
}
