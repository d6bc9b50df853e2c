package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"mailseal/milter/spf"
)

// spfTime is how long a check may take (RFC 7208 section 4.6.4: at least 20 seconds).
const spfTime = 20 * time.Second

// spfFlags is the command line of "mailseal spf".
type spfFlags struct {
	ip, helo, from, receiver, zone, now string
	json                                bool
	hasFrom                             bool // --from was given, perhaps as the null sender
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
			f.hasFrom = cmd.Flags().Changed("from")
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.helo, "helo", "", "what the client said in HELO")
	flags.StringVar(&f.from, "from", "", "envelope sender; empty for a bounce")
	flags.StringVar(&f.receiver, "receiver", "", "this host's name, for a domain's explanation (default: unknown)")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.BoolVar(&f.json, "json", false, "one JSON object, the tree in it")
	_ = cmd.MarkFlagRequired("ip")
	cmd.MarkFlagsOneRequired("helo", "from")
	return cmd
}

func (f *spfFlags) run(ctx context.Context, out io.Writer) error {
	ip, err := netip.ParseAddr(f.ip)
	if err != nil {
		return exit(exitUsage, fmt.Errorf("--ip: %w", err))
	}
	now, err := parseNow(f.now)
	if err != nil {
		return err
	}
	resolver, err := openResolver(f.zone)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	checker := &spf.Checker{Resolver: resolver, Receiver: f.receiver, Now: now}
	id := spf.Identity{IP: ip, Helo: f.helo, MailFrom: trimPath(f.from), Scope: spf.Helo}
	if f.hasFrom {
		id.Scope = spf.MailFrom
	}
	r := checker.Check(ctx, id)
	if err := f.print(out, r); err != nil {
		return err
	}
	switch r.Value {
	case spf.Pass:
		return nil
	case spf.Temperror:
		return exit(exitUnknown, nil)
	}
	return exit(exitBad, nil)
}

func (f *spfFlags) print(out io.Writer, r spf.Result) error {
	if f.json {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprint(out, r)
	return err
}
