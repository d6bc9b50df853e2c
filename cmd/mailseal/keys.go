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

func newKeysCmd() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, publish, use and retire keys, each step when the DNS is ready for it",
		Long: `Keys leads keys through their lives: generated, published, active, retiring, revoked, removed. It keeps them in the
state directory and publishes nothing itself: it prints the records, and looks at the name servers, those of --server
or rotation.servers or else all authoritative ones of the domain. A step that the DNS is not ready for is refused, and
told which server shows what; --force gives a reason to make it all the same, which is recorded. A server that does not
answer stops a step like one that disagrees, since it is not known what it shows, and the exit code is 3 then:
rotation.may_be_silent allows for some, --server asks others. Rules sign with the active keys of a domain by the setting
managed.

From nothing: keys generate DOMAIN; publish the records; keys rotate DOMAIN, by hand or by timer, does the rest and says
what it waits for. A domain's first keys sign as soon as all name servers show them, and the daemon looks for that every
minute; until then mail goes unsigned, with a warning (first_key in mailseal.toml). Exit codes: 0 good, 1 a step was refused, 3 the name servers did not answer.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.bind(cmd.PersistentFlags())
	excludes(cmd, []string{"server"}, "zone")
	cmd.AddCommand(newKeysListCmd(&f), newKeysRecordCmd(&f), newKeysGenerateCmd(&f),
		newKeysPublishCheckCmd(&f), newKeysRotateCmd(&f))
	for _, step := range []struct{ verb, short string }{
		{"activate", "Sign with published keys; those before them of the same algorithm retire"},
		{"retire", "Sign no more with keys that have a successor; their records stay"},
		{"revoke", "Take down that retired keys are revoked, once their records say so"},
		{"remove", "Destroy the private halves of keys whose records are gone"},
	} {
		cmd.AddCommand(newKeysStepCmd(&f, step.verb, step.short))
	}
	return cmd
}

func (f *keysFlags) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.ZoneName, "zone", "", "answer all DNS questions from this zone file")
	flags.StringSliceVar(&f.Servers, "server", nil,
		"ask these name servers, by address or name, instead of rotation.servers")
	flags.BoolVar(&f.JSON, "json", false, "print one JSON object a line")
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
	cmd.Flags().StringVar(&f.Format, "format", "zone", "how to print records: zone, line, nsupdate, json or none")
	excludes(cmd, []string{"format"}, "json")
}

func newKeysListCmd(f *keysFlags) *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use:   "list [DOMAIN...]",
		Short: "List the keys that sign and their stages, or with --format the records that must be published now",
		Long: `List prints the keys and their stages. With --format it prints the records that the name servers have to show now, for
what publishes them: it says the same as keys rotate waits for. A new key is among them from its making on; one that
retires stays until rotation.overlap is over and its successor is published, and then says p=, that it is revoked; one
that is revoked is gone, or taken away by nsupdate's commands. The name servers are asked where a key is to be revoked,
and nowhere else; if they do not answer, its record stays as it is. Where there are no keys at all, the exit code is 1: that
is no order to take all records down. An operator who publishes what list prints, and nothing else
at these names, and runs keys rotate, has keys that go through their whole lives.`,
		Args: filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Format = format
			for _, name := range []string{"zone", "server"} {
				if format == "none" && cmd.Flags().Changed(name) {
					return answer.NewUsage(fmt.Errorf("--%s has no effect without --format: no "+
						"name server is asked", name))
				}
			}
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.List(cmd.Context(), args, all)
		},
	}
	cmd.Flags().StringVar(&format, "format", "none", "print records instead: zone, line, nsupdate or json")
	cmd.Flags().BoolVar(&all, "all", false, "list keys that are removed, too")
	excludes(cmd, []string{"format"}, "json")
	excludes(cmd, []string{"all"}, "format")
	return cmd
}

func newKeysRecordCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record NAME...",
		Short: "Print the records of keys that there are",
		Long: `Record prints the record of each key that is named by its record, its domain or its name in the configuration: of keys that
Mailseal manages, and of those that rules sign with from files.`,
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
		Long: `Generate makes a key of each of rotation.algorithms for a domain, with selectors by the template rotation.selector.
With --vendor it makes none: it takes down a selector that another system signs with, which we only publish and watch.`,
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
	cmd.Flags().StringVar(&g.Selector, "selector", "", "template of the selectors instead of rotation.selector")
	cmd.Flags().StringSliceVar(&g.Algorithms, "algorithm", nil,
		"rsa2048, rsa3072, rsa4096, ed25519, instead of rotation.algorithms")
	cmd.Flags().BoolVar(&g.Vendor, "vendor", false, "the key is a vendor's, at --selector")
	cmd.Flags().StringVar(&g.Record, "record", "", "text of the vendor's record, if it is known")
	needs(cmd, []string{"record"}, "vendor")
	excludes(cmd, []string{"algorithm"}, "vendor")
	ignores(cmd, "zone", "server")
	return cmd
}

func newKeysPublishCheckCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish-check [DOMAIN|NAME...]",
		Short: "Compare keys with what each name server shows; those that all of them show become published",
		Args:  filled,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.PublishCheck(cmd.Context(), args, f.force)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "", "take keys for published although the DNS does "+
		"not show them, for this reason, which is recorded")
	return cmd
}

func newKeysRotateCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--every 90d] [DOMAIN...]",
		Short: "Make whatever steps are due now, and say what is waited for",
		Long: `Rotate makes the steps that are due now: new keys in time before the old ones come of age, published keys active once
they have been seen for rotation.publish, keys that signed no more for rotation.overlap revoked, and removed once their
records are gone. It says what it waits for and which records to publish. An Ed25519 key does not begin to sign before its
RSA companion does, since few verifiers know it. Run it as often as you like.`,
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
		"age of a key at which the next takes over, such as 90d; the default is rotation.every")
	return cmd
}

func newKeysStepCmd(f *keysFlags, verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   verb + " DOMAIN|NAME...",
		Short: short,
		Args:  oneOrMore("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return r.Move(cmd.Context(), verb, args, f.force)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "",
		"do it although the DNS or the time speaks against it, for this reason, which is recorded")
	return cmd
}
