package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
	"mailseal/config"
)

// spfFlags is the command line of "mailseal spf".
type spfFlags struct {
	config, ip, zone, now string
	examine.SPF
}

func newSPFCmd() *cobra.Command {
	var f spfFlags
	cmd := &cobra.Command{
		Use: "spf {NAME | --ip ADDRESS [--helo NAME] [--from SENDER]}",
		Short: "Check with SPF whether a client may send for a domain, and show how the result " +
			"was found",
		Long: help("spf"),
		Example: `  mailseal spf example.com
  mailseal spf --ip 192.0.2.1 --helo mail.example.com --from user@example.com
  mailseal spf --ip 2001:db8::1 --helo mail.example.com --zone zone.txt --json`,
		Args: atMostOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.HasFrom = cmd.Flags().Changed("from")
			if len(args) == 1 {
				return f.named(cmd, args[0])
			}
			if f.ip == "" || f.Helo == "" && !f.HasFrom {
				return answer.NewUsage(errors.New("give a domain, or --ip together with --helo, " +
					"--from or both"))
			}
			if f.From != "" && !strings.Contains(f.From, "@") {
				return answer.NewUsage(fmt.Errorf("--from %q is not an address: write NAME@DOMAIN, "+
					"or \"\" for a bounce", f.From))
			}
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "",
		"use the name servers and the authserv_id of this configuration file")
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.Helo, "helo", "", "the name that the client gave in HELO")
	flags.StringVar(&f.From, "from", "", "envelope sender; empty for a bounce")
	flags.StringVar(&f.Receiver, "receiver", "",
		"this host's name, for a domain's explanation (default: that of --config, or unknown)")
	flags.StringVar(&f.zone, "zone", "", "take all DNS answers from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.BoolVar(&f.JSON, "json", false, "print one JSON object, including the tree")
	needs(cmd, []string{"helo", "from", "receiver", "now"}, "ip")
	mayBeEmpty(cmd, "from")
	return cmd
}

// named is for a domain instead of a sender.
func (f *spfFlags) named(cmd *cobra.Command, name string) (err error) {
	if f.HasFrom {
		return answer.NewUsage(errors.New("--from has no effect together with the name of a " +
			"domain"))
	}
	if f.ip != "" {
		f.From, f.HasFrom = "postmaster@"+name, true
		return f.run(cmd.Context(), cmd.OutOrStdout())
	}
	var cfg *config.Config
	if f.config != "" {
		if cfg, err = loadConfig(f.config); err != nil {
			return err
		}
	}
	if f.Resolver, err = examine.Resolver(f.zone, cfg); err != nil {
		return err
	}
	return f.Explore(cmd.Context(), name, cmd.OutOrStdout())
}

func (f *spfFlags) run(ctx context.Context, out io.Writer) (err error) {
	if f.Client, err = netip.ParseAddr(f.ip); err != nil {
		return answer.NewUsage(fmt.Errorf("--ip: %w", err))
	}
	if f.Now, err = parseNow(f.now); err != nil {
		return err
	}
	var cfg *config.Config
	if f.config != "" {
		if cfg, err = loadConfig(f.config); err != nil {
			return err
		}
		f.Receiver = cmp.Or(f.Receiver, cfg.AuthservID)
	}
	if f.Resolver, err = examine.Resolver(f.zone, cfg); err != nil {
		return err
	}
	f.From = trimPath(f.From)
	return f.Check(ctx, out)
}
