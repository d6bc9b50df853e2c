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
		Short: "Find what is wrong with what the DNS says of a domain's mail, and print the records to publish",
		Long: `Domain asks the DNS for all that receivers look at: SPF with everything that it includes, DKIM keys, DMARC with the
consent of domains that reports go to, MX hosts with their addresses and reverse names, MTA-STS, TLS reports, and records
of methods that are gone. The records are judged by the same code as the daemon's. Only the DNS is asked, unless --deep
is given: then the MX hosts are connected to on port 25 for STARTTLS, their certificates and DANE, and the MTA-STS policy
is got by HTTPS. No mail is sent, no redirect followed, and no address connected to that is not public.

Of each domain it prints the verdict first, then every finding: what is wrong, why it matters, the record with the place
marked, and the record to publish as a line of a zone file, as a bare value, and in strings. What could not be found out
is reported as that, never as missing; so are, with --zone, names outside of the zones in the file, which do not change
the exit code. Then it says in words what SPF allows, and what that costs of 10 lookups.

The DNS cannot list the selectors of a domain: a short list of common ones is tried, after a selector that does not exist,
which finds wildcards. Name those in use with --selector; a missing key is a mistake then. With --address the addresses
that mail leaves from are asked about, with --helo the names that the servers say. With --config the keys of that
configuration are compared with what is published for the domains. --name-servers asks each authoritative name server of
a domain for its TXT, MX and DMARC records, and says where they differ.

--reports reads the DMARC reports of 90 days that came in, in the store that reports.store of the configuration names.
Selectors that they show are looked at; p=reject that rests on SPF alone, mail that strict alignment loses, sources that
SPF lacks and terms that nothing uses are named, and the next step of the policy when the reports allow for it.

What answers say of DNSSEC is shown when all name servers that are asked are on this host, and one validates: anybody on
the way to another host could have written it.

--list prints all codes. They are stable. With --diff, and what an earlier run with --json has printed, it prints what has
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
		"ask the name servers of this configuration file, and compare its keys")
	flags.StringVar(&f.Zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.file, "file", "", "check the domains in this file too, one a line; - is standard input")
	flags.StringSliceVar(&f.Selectors, "selector", nil,
		"selector of a DKIM key that is in use; may be given several times")
	flags.StringSliceVar(&f.Clients, "address", nil,
		"address that the domain's mail leaves from; may be given several times")
	flags.StringSliceVar(&f.Helo, "helo", nil,
		"name that a server of the domain says in HELO; may be given several times")
	flags.BoolVar(&f.Sources.Reports, "reports", false,
		"compare with the DMARC reports in the store of the configuration")
	flags.BoolVar(&f.Sources.Deep, "deep", false,
		"connect to the MX hosts for STARTTLS, certificates and DANE, and get the MTA-STS policy")
	flags.BoolVar(&f.Servers, "name-servers", false, "ask every authoritative name server, and compare what they say")
	flags.StringVar(&f.Format, "format", "", `"text", "json" or "prometheus" (default text)`)
	flags.BoolVar(&f.json, "json", false, "one JSON object for each domain")
	flags.BoolVar(&f.Strict, "strict", false, "exit with 1 for warnings, too")
	flags.BoolVar(&f.list, "list", false, "print all codes with their severities, and check nothing")
	flags.StringVar(&f.diff, "diff", "", "say what has changed since the --json output in this file")
	flags.Float64Var(&f.Rate, "rate", 0, "questions to the DNS a second at most (default no limit)")
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
