package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/domains"
)

// domainFlags is the command line of "mailseal domain".
type domainFlags struct {
	from, file, diff string
	json, list       bool
	domains.Sources
	domains.Request
}

func newDomainCmd() *cobra.Command {
	var f domainFlags
	cmd := &cobra.Command{
		Use:   "domain [NAME...]",
		Short: "Check the DNS records for a domain's mail, and print the records to publish",
		Long: `Domain looks up all records that receivers use: SPF with everything that it includes, DKIM keys, DMARC with
the consent of the domains that get its reports, MX hosts with their addresses and reverse names, MTA-STS,
TLS reports, BIMI (the record, not the logo), and records of obsolete methods. The records are judged by the
same code that the daemon uses. Only the DNS is queried, unless --deep is given: then domain connects to the
MX hosts on port 25 to test STARTTLS, certificates and DANE, and fetches the MTA-STS policy by HTTPS. It
sends no mail, follows no redirects, and connects only to public addresses.

For each domain it prints the verdict first, then every finding: what is wrong, why it matters, the record with the
place marked, and the record to publish as a line of a zone file, as a bare value, and split into strings. On a
terminal, long records are laid out in several lines that a zone file accepts; in a file or a pipe each record is one
line. What could not be found out is reported as unknown, never as missing; with --zone this includes names outside
the zones in the file, which do not change the exit code. Then it explains in words what SPF allows, and how many of
the 10 lookups that takes.

The DNS cannot list the selectors of a domain, so domain tries a short list of common ones, after a random one that
would reveal a wildcard. Name the selectors in use with --selector; a missing key is then a mistake. --address names
addresses from which mail leaves, and --helo the names that the servers use; both are checked. With --config the keys of
that configuration are compared with the published records. --name-servers asks each authoritative name server of a
domain for its TXT, MX and DMARC records, and reports differences.

--reports reads the received DMARC reports of 90 days from the store in reports.store of the configuration. It checks
the selectors that they show, and reports p=reject that depends on SPF alone, mail that fails because of strict
alignment, sources that are missing in SPF, SPF terms that no mail uses, and the next step of the policy if the reports
allow it.

DNSSEC results are shown only if all name servers that are asked run on this host and one of them validates: on the way
from another host the result could have been forged.

--list prints all codes, which are stable. With --diff and the --json output of an earlier run, it prints what has
changed since.

The exit code is 0 when there is no mistake, 1 when there is one (with --strict also when there is a warning), 2 for a
wrong command line, 3 when something could not be found out.`,
		Example: `  mailseal domain example.com --selector s2026a --address 192.0.2.1
  mailseal domain --zone example.com.zone example.com
  mailseal domain --file domains.txt --rate 5 --format prometheus > /var/lib/node_exporter/mailseal.prom`,
		Args: filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Progress = cmd.ErrOrStderr()
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.from, "config", "c", "",
		"use the name servers of this configuration file, and compare its keys")
	flags.StringVar(&f.Zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.file, "file", "", "also check the domains in this file, one per line; - "+
		"is standard input")
	flags.StringSliceVar(&f.Selectors, "selector", nil,
		"selector of a DKIM key that is in use; may be given several times")
	flags.StringSliceVar(&f.Clients, "address", nil,
		"address from which the domain's mail leaves; may be given several times")
	flags.StringSliceVar(&f.Helo, "helo", nil,
		"name that a server of the domain uses in HELO; may be given several times")
	flags.BoolVar(&f.Sources.Reports, "reports", false,
		"compare with the DMARC reports in the store of the configuration")
	flags.BoolVar(&f.Sources.Deep, "deep", false,
		"test STARTTLS, certificates and DANE of the MX hosts, and fetch the MTA-STS policy")
	flags.BoolVar(&f.Servers, "name-servers", false, "ask every authoritative name server, and "+
		"compare their answers")
	flags.StringVar(&f.Format, "format", "", `"text", "json" or "prometheus" (default text)`)
	flags.BoolVar(&f.json, "json", false, "one JSON object for each domain")
	flags.BoolVar(&f.Strict, "strict", false, "exit with 1 also for warnings")
	flags.BoolVar(&f.list, "list", false, "print all codes with their severities, and check nothing")
	flags.StringVar(&f.diff, "diff", "", "print what has changed since the --json output in this "+
		"file")
	flags.Float64Var(&f.Rate, "rate", 0, "maximum number of DNS queries per second (default no "+
		"limit)")
	excludes(cmd, []string{"config", "name-servers"}, "zone")
	excludes(cmd, []string{"format"}, "json")
	excludes(cmd, []string{"zone", "file", "selector", "address", "helo", "strict", "diff", "rate",
		"config", "format", "name-servers", "reports", "deep"}, "list")
	return cmd
}

func (f *domainFlags) run(ctx context.Context, stdin io.Reader, out io.Writer, args []string) error {
	if f.list {
		return answer.NotBad(domains.List(out, f.json))
	}
	if f.json {
		f.Format = domains.JSON
	}
	if err := f.read(stdin, args); err != nil {
		return err
	}
	if f.from != "" || f.Sources.Reports {
		cfg, err := loadConfig(f.from)
		if err != nil {
			return err
		}
		f.Config = cfg
	}
	return f.RunWith(ctx, f.Sources, out)
}

// read takes what the command line and the files on it say.
func (f *domainFlags) read(stdin io.Reader, args []string) (err error) {
	f.Names = args
	if f.file != "" {
		text, err := readInput(f.file, stdin)
		if err != nil {
			return answer.NewUnknown(err)
		}
		f.Names = append(f.Names, domains.ReadNames(string(text))...)
	}
	if f.diff != "" {
		f.Before, err = readInput(f.diff, stdin)
	}
	return err
}
