package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
)

// explainFlags is the command line of "mailseal explain-signing".
type explainFlags struct {
	config, ip string
	examine.Arrival
}

func newExplainSigningCmd() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:     "explain-signing --from ADDRESS [--ip ADDRESS] [--user LOGIN]",
		Short:   "Explain which rule signs a message, with which keys, and why other rules do not",
		Long:    help("explain-signing"),
		Example: `  mailseal explain-signing --from alice@example.com --ip 192.0.2.7 --user alice`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.HasSender = cmd.Flags().Changed("sender")
			f.Assumed = !cmd.Flags().Changed("ip")
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.From, "from", "", "address in the From field")
	flags.StringVar(&f.Sender, "sender", "",
		"envelope sender, empty for a bounce (default that of From)")
	flags.StringVar(&f.ip, "ip", "127.0.0.1", "address of the SMTP client")
	flags.StringVar(&f.Host, "host", "", "verified name of the SMTP client")
	flags.StringVar(&f.Login, "user", "", "login name of the client; empty if it did not log in")
	flags.StringVar(&f.Daemon, "daemon", "", "name of the MTA's listener: the macro {daemon_name}")
	flags.StringVar(&f.List, "list-id", "", "`id` of the List-Id field, such as lists.example.com")
	flags.StringArrayVar(&f.To, "to", nil, "envelope recipient")
	flags.BoolVar(&f.JSON, "json", false, "print one JSON object")
	_ = cmd.MarkFlagRequired("from")
	mayBeEmpty(cmd, "sender", "user")
	return cmd
}

func (f *explainFlags) run(ctx context.Context, out io.Writer) error {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	if f.Client, err = netip.ParseAddr(f.ip); err != nil {
		return answer.NewUsage(fmt.Errorf("--ip: %w", err))
	}
	return f.Explain(ctx, cfg, out)
}
