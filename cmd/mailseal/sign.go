package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
)

// signFlags is the command line of "mailseal sign".
type signFlags struct {
	config, now string
	examine.Signing
}

func newSignCmd() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign [--config FILE | --domain D --selector S --key FILE ...] < message",
		Short: "Sign a message from standard input",
		Long: `Sign reads a message from standard input and writes it, signed, to standard output. Line ends stay as they came.
Keys and rules are those of the configuration; or name a domain, and a selector and a key file for each signature.
When no rule matches the author, or there is none, nothing is written and the exit code is 1. It is 3 when a rule matches
and the message could not be signed, and when the configuration could not be read: do not send the message then.`,
		Example: `  mailseal sign --config /etc/mailseal/mailseal.toml < message > signed
  mailseal sign --domain example.com --selector mail --key mail.pem < message > signed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.Domain, "domain", "", "domain that signs: the d= tag")
	cmd.Flags().StringArrayVar(&f.Selectors, "selector", nil, "selector: the s= tag; one for each --key")
	cmd.Flags().StringArrayVar(&f.KeyFiles, "key", nil, "file of a private key; one signature for each")
	cmd.Flags().StringVar(&f.Canonicalization, "canonicalization", "", `of header and body, such as "relaxed/simple"`)
	cmd.Flags().StringVar(&f.now, "now", "", "time of the signature, as 2026-01-31T12:00:00Z")
	cmd.MarkFlagsRequiredTogether("domain", "selector", "key")
	cmd.MarkFlagsMutuallyExclusive("config", "domain")
	return cmd
}

func (f *signFlags) run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	if f.Now, err = parseNow(f.now); err != nil {
		return err
	}
	if f.Domain == "" {
		if f.Config, err = loadConfig(f.config); err != nil {
			return answer.NotBad(err)
		}
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return answer.NewUnknown(err)
	}
	signed, err := f.Sign(ctx, raw)
	if err != nil {
		return err
	}
	_, err = out.Write(signed)
	return err
}
