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
		Long:  help("domain"),
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
	flags.StringVar(&f.Zone, "zone", "", "take all DNS answers from this zone file")
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
	flags.BoolVar(&f.Servers, "name-servers", false, "query every authoritative name server, and "+
		"compare their answers")
	flags.StringVar(&f.Format, "format", "", `"text", "json" or "prometheus" (default text)`)
	flags.BoolVar(&f.json, "json", false, "one JSON object for each domain")
	flags.BoolVar(&f.Strict, "strict", false, "exit with 1 for warnings, too")
	flags.BoolVar(&f.list, "list", false,
		"print all codes with their severities, and check nothing")
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

func (f *domainFlags) run(ctx context.Context, stdin io.Reader, out io.Writer,
	args []string) error {
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
		names, err := domains.ReadNames(f.file, string(text))
		if err != nil {
			return answer.NewUsage(err)
		}
		f.Names = append(f.Names, names...)
	}
	if f.diff != "" {
		f.Before, err = readInput(f.diff, stdin)
	}
	return err
}
