package main

import (
	"cmp"
	"context"
	"io"
	"strings"

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
		Use:   "sign [--config FILE | --domain D --selector S --key FILE ...] [FILE]",
		Short: "Sign a message",
		Long:  help("sign"),
		Example: `  mailseal sign --config /etc/mailseal/mailseal.toml message.eml > signed.eml
  mailseal sign --domain example.com --selector mail --key mail.pem < message > signed`,
		Args: atMostOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmp.Or(strings.Join(args, ""), "-"), cmd.InOrStdin(),
				cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+
		defaultConfig+")")
	cmd.Flags().StringVar(&f.Domain, "domain", "", "domain that signs: the d= tag")
	cmd.Flags().StringArrayVar(&f.Selectors, "selector", nil,
		"selector: the s= tag; one for each --key")
	cmd.Flags().StringArrayVar(&f.KeyFiles, "key", nil, "file of a private key; each makes one "+
		"signature")
	cmd.Flags().StringVar(&f.Canonicalization, "canonicalization", "",
		`canonicalization of header and body, such as "relaxed/simple"`)
	cmd.Flags().StringVar(&f.now, "now", "", "time of the signature, as 2026-01-31T12:00:00Z")
	together(cmd, "domain", "selector", "key")
	excludes(cmd, []string{"config"}, "domain")
	return cmd
}

func (f *signFlags) run(ctx context.Context, file string, in io.Reader, out io.Writer) (err error) {
	if f.Now, err = parseNow(f.now); err != nil {
		return err
	}
	if f.Domain == "" {
		// From sign, 1 says that nothing asks for a signature, and a script then sends the message
		// as it is: a configuration with mistakes must not look like that.
		if f.Config, err = loadConfig(f.config); err != nil {
			return answer.NotBad(err)
		}
	}
	raw, err := readInput(file, in)
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
