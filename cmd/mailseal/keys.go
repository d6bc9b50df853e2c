package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
	"mailseal/cmd/mailseal/keyring"
)

// keysFlags is what all commands below "mailseal keys" have.
type keysFlags struct {
	config string
	force  string
	keyring.Options
}

// keyStep describes a command that brings keys to their next stage.
type keyStep struct{ verb, short, long string }

// keySteps are these commands, in the order of a key's life.
var keySteps = []keyStep{
	{"activate", "Sign with published keys, and retire the previous ones of the same algorithm",
		`Activate makes published keys sign from now on. Keys of the same domain and algorithm that
signed before become retiring. Activate refuses a key as long as the name servers do not show its
record, or have not shown it for rotation.publish, unless --force is given. It always refuses a
private key that does not work.`},
	{"retire", "Stop signing with keys that have a successor; leave their records in the DNS",
		`Retire stops signing with active keys. It refuses a key that has no successor: another
active key of the same domain and algorithm whose record the name servers show. Leave the records of
retiring keys in the DNS for rotation.overlap, since receivers need them for mail that is still on
its way.`},
	{"revoke", "Mark retiring keys as revoked, once the name servers show the empty p= that revokes them",
		`Revoke marks retiring keys as revoked after rotation.overlap, once the name servers show
their records with an empty p=. Until then it prints the record to publish.`},
	{"remove", "Delete the private keys whose records have been deleted from the DNS",
		`Remove deletes the private keys of revoked keys and, if you name them by record, of keys
that never signed. Delete their records from the DNS first: remove refuses a key whose record a name
server still shows.`},
}

func newKeysCmd() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, publish, use and retire keys, each step when the DNS is ready",
		Long:  help("keys"),
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.bind(cmd.PersistentFlags())
	excludes(cmd, []string{"server"}, "zone")
	cmd.AddCommand(newKeysListCmd(&f), newKeysRecordCmd(&f), newKeysGenerateCmd(&f),
		newKeysPublishCheckCmd(&f), newKeysRotateCmd(&f))
	for _, step := range keySteps {
		cmd.AddCommand(newKeysStepCmd(&f, step))
	}
	return cmd
}

func (f *keysFlags) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.ZoneName, "zone", "", "take all DNS answers from this zone file")
	flags.StringSliceVar(&f.Servers, "server", nil,
		"query these name servers, by address or name, instead of rotation.servers")
	flags.BoolVar(&f.JSON, "json", false, "print one JSON object per line")
}

// open makes the keyring that a command works with.
func (f *keysFlags) open(ctx context.Context, out io.Writer) (*keyring.Ring, error) {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return nil, err
	}
	if f.ZoneName != "" {
		if f.Zone, err = examine.OpenResolver(f.ZoneName); err != nil {
			return nil, err
		}
	}
	return keyring.Open(ctx, cfg, f.Options, out)
}

// formatFlag lets records be printed for what publishes them.
func (f *keysFlags) formatFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Format, "format", "zone", "format of printed records: zone, line, "+
		"nsupdate, json or none")
	excludes(cmd, []string{"format"}, "json")
}

func newKeysListCmd(f *keysFlags) *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use:   "list [DOMAIN...]",
		Short: "List the keys and their stages, or with --format the records that must be published now",
		Long:  help("keys-list"),
		Args:  filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Format = format
			for _, name := range []string{"zone", "server"} {
				if format == "none" && cmd.Flags().Changed(name) {
					return answer.NewUsage(fmt.Errorf("--%s has no effect without --format: "+
						"list queries no name server", name))
				}
			}
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.List(cmd.Context(), args, all)
		},
	}
	cmd.Flags().StringVar(&format, "format", "none", "print the records instead: zone, line, "+
		"nsupdate or json")
	cmd.Flags().BoolVar(&all, "all", false, "also list removed keys")
	excludes(cmd, []string{"format"}, "json")
	excludes(cmd, []string{"all"}, "format")
	return cmd
}

func newKeysRecordCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record NAME...",
		Short: "Print the records of existing keys",
		Long: `Record prints the records of keys that Mailseal manages, and of keys in files with
which rules sign. NAME is the name of a record, a domain, or the name of a key in the
configuration.`,
		Example: "  mailseal keys record mail._domainkey.example.com --format line",
		Args:    oneOrMore("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Record(cmd.Context(), args)
		},
	}
	f.formatFlag(cmd)
	ignores(cmd, "zone", "server")
	return cmd
}

func newKeysGenerateCmd(f *keysFlags) *cobra.Command {
	var g keyring.Generation
	cmd := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Make a new generation of keys for a domain, and print the records to publish",
		Long: `Generate makes a key of each algorithm in rotation.algorithms for a domain, and
names their selectors after the template in rotation.selector; if a selector is taken, also by the
other key of the same run, the new one ends in -2, -3 and so on. It prints the records to publish.
If no key of the domain has signed, the daemon signs with the new ones as soon as all name servers
show their records. Otherwise they replace the present keys by "mailseal keys rotate". Each run
makes new keys: keys that were made before and do not sign yet are listed first, with the command
that removes them.

With --vendor it makes no key. It records the selector of a key with which another system signs, and
from then on Mailseal prints and checks the record of that key.

The exit code is 0 if the keys were made, 1 if not, such as when the configuration has mistakes, 2 if
the domain, selector or algorithm is invalid, 3 if the configuration or state_directory cannot be
read or written.`,
		Args: exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Generate(args[0], g)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&g.Selector, "selector", "",
		"template of the selectors, instead of rotation.selector")
	cmd.Flags().StringSliceVar(&g.Algorithms, "algorithm", nil,
		"algorithms of the keys, instead of rotation.algorithms: rsa2048, rsa3072, rsa4096, ed25519, or "+
			"rsa for an RSA key of the size in rotation.algorithms")
	cmd.Flags().BoolVar(&g.Vendor, "vendor", false,
		"make no key; another system signs with the key at --selector")
	cmd.Flags().StringVar(&g.Record, "record", "",
		"with --vendor: text of the record, if it is known")
	needs(cmd, []string{"record"}, "vendor")
	excludes(cmd, []string{"algorithm"}, "vendor")
	ignores(cmd, "zone", "server")
	return cmd
}

func newKeysPublishCheckCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "publish-check [DOMAIN|NAME...]",
		Short: "Compare keys with their records at each name server; keys that all servers show " +
			"become published",
		Long: `Publish-check asks each name server for the records of keys, and prints what it
shows. A generated key becomes published when all name servers show its record. Without arguments it
checks all keys that Mailseal manages; DOMAIN selects the keys of a domain, and NAME one key by the
name of its record.

The exit code is 1 if a record is missing or wrong, 3 if a name server did not answer.`,
		Args: filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.PublishCheck(cmd.Context(), args, f.force)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "", "treat keys as published although the DNS does "+
		"not show them; the value is the reason, which is recorded")
	return cmd
}

func newKeysRotateCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--every 90d] [DOMAIN...]",
		Short: "Run the rotation steps that are due, and show what each key waits for",
		Long: `Rotate runs the steps that are due: it makes new keys before the old ones reach
their maximum age, activates published keys whose records have been visible for rotation.publish,
revokes keys that have not signed for rotation.overlap, and removes them once their records are
gone. For each key it prints what it waits for, and the record to publish. KEY ROTATION in
mailseal.toml(5) describes the stages. An Ed25519 key does not begin to sign before the RSA key that
was made with it, since few receivers verify Ed25519. You can run rotate as often as you like.`,
		Args: filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Rotate(cmd.Context(), args)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.Every, "every", "",
		"age at which a new key replaces a key, such as 90d; the default is rotation.every")
	return cmd
}

func newKeysStepCmd(f *keysFlags, step keyStep) *cobra.Command {
	cmd := &cobra.Command{
		Use:   step.verb + " DOMAIN|NAME...",
		Short: step.short,
		Long: step.long + `

DOMAIN selects all keys of a domain that this step can follow. NAME selects one key by the name of its record, such
as mail._domainkey.example.com.`,
		Args: oneOrMore("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Move(cmd.Context(), step.verb, args, f.force)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "",
		"take the step although the DNS is not ready or it is too early; the value is the reason, "+
			"which is recorded")
	return cmd
}
