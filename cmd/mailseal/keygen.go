package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/keyring"
)

func newKeygenCmd() *cobra.Command {
	var o keyring.FileOptions
	cmd := &cobra.Command{
		Use:   "keygen --domain D [--selector S] [--dir DIR]",
		Short: "Make keys for a domain, and the DNS records for them",
		Long: `Keygen makes an RSA key of 2048 bits and an Ed25519 key, and writes each into a file DIR/SELECTOR.pem
that only its owner can read. It never overwrites a file. It prints the records to publish, as lines of a zone file
and as one line, the fingerprint of each public key, and the lines for the configuration. All receivers verify RSA;
the Ed25519 key makes a second signature, under the selector with "-ed" appended. Gmail does not verify Ed25519: it
reports that signature as failed in Authentication-Results and in DMARC reports, and uses the RSA signature. Some
services refuse mail with two signatures: for them use --algorithm rsa. If root runs keygen, new
files and directories belong to the owner of the nearest directory that already exists.

The daemon signs with the keys once the printed lines are in its configuration and it was reloaded
(mailseal reload). Publish the records before that, and wait until all name servers show them:
verifiers do not accept signatures whose record is missing. "mailseal check --dns" compares them.

The exit code is 0 if the keys were made, 1 if a file exists already, 2 if the domain, selector,
algorithm or size is invalid, 3 if a file cannot be written.`,
		Example: "  mailseal keygen --domain example.com --selector mail --dir /var/lib/mailseal/keys/example.com",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("bits") && !slices.Contains(o.Algorithms, "rsa") {
				return answer.NewUsage(errors.New("--bits has no effect without --algorithm rsa: " +
					"Ed25519 keys have one size"))
			}
			return keyring.GenerateFiles(o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.Domain, "domain", "", "domain that will sign: the d= tag")
	cmd.Flags().StringVar(&o.Selector, "selector", "mail", "selector: the s= tag")
	cmd.Flags().StringVar(&o.Dir, "dir", ".", "directory of the files; created if it does not "+
		"exist")
	cmd.Flags().StringSliceVar(&o.Algorithms, "algorithm", []string{"rsa", "ed25519"},
		"kinds of keys")
	cmd.Flags().IntVar(&o.RSABits, "bits", keyring.DefaultRSABits, "size of the RSA key, 1024 to 4096")
	cmd.Flags().BoolVar(&o.Record.Testing, "testing", false,
		"write t=y into the records: the domain is testing DKIM")
	cmd.Flags().BoolVar(&o.Record.Strict, "strict", false,
		"write t=s into the records: i= must not name a subdomain")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	_ = cmd.MarkFlagRequired("domain")
	return cmd
}
