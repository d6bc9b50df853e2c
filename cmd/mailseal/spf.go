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

// spfFlags is the command line of "mailseal spf".
type spfFlags struct {
	ip, zone, now string
	examine.SPF
}

func newSPFCmd() *cobra.Command {
	var f spfFlags
	cmd := &cobra.Command{
		Use:   "spf --ip ADDRESS [--helo NAME] [--from SENDER]",
		Short: "Ask SPF whether a client may send for a domain, and show how the answer came about",
		Long: `Spf checks the envelope sender given with --from; --from "" is the null sender, which is checked as
postmaster at the name of --helo. Without --from the name of --helo itself is checked. The daemon checks both, and only
the sender counts for DMARC.

It prints the result, the term that matched, and the evaluation as a tree: every record that was read, every term
with its outcome, and behind the terms that ask the DNS how many there have been of the ten that are allowed.

The exit code is 0 when the result is pass, 1 when it is anything else, 3 when it is temperror: the DNS did not
answer.`,
		Example: `  mailseal spf --ip 192.0.2.1 --helo mail.example.com --from user@example.com
  mailseal spf --ip 2001:db8::1 --helo mail.example.com --zone zone.txt --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.HasFrom = cmd.Flags().Changed("from")
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.Helo, "helo", "", "what the client said in HELO")
	flags.StringVar(&f.From, "from", "", "envelope sender; empty for a bounce")
	flags.StringVar(&f.Receiver, "receiver", "", "this host's name, for a domain's explanation (default: unknown)")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.BoolVar(&f.JSON, "json", false, "one JSON object, the tree in it")
	_ = cmd.MarkFlagRequired("ip")
	cmd.MarkFlagsOneRequired("helo", "from")
	return cmd
}

func (f *spfFlags) run(ctx context.Context, out io.Writer) (err error) {
	if f.Client, err = netip.ParseAddr(f.ip); err != nil {
		return answer.NewUsage(fmt.Errorf("--ip: %w", err))
	}
	if f.Now, err = parseNow(f.now); err != nil {
		return err
	}
	if f.Resolver, err = examine.OpenResolver(f.zone); err != nil {
		return err
	}
	f.From = trimPath(f.From)
	return f.Check(ctx, out)
}
