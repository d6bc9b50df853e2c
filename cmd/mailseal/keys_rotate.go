package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newKeysRotateCmd(f *keysFlags) *cobra.Command {
	var days string
	cmd := &cobra.Command{
		Use:   "rotate [--every 90d] [DOMAIN...]",
		Short: "Make whatever steps are due now, and say what is waited for",
		Long: `Rotate makes the steps that are due now: new keys in time before the old ones come of age, published keys active once
they have been seen for rotation.publish, keys that signed no more for rotation.overlap revoked, and removed once their
records are gone. It says what it waits for and which records to publish. An Ed25519 key does not begin to sign before its
RSA companion does, since few verifiers know it. Run it as often as you like.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			if days != "" {
				if r.policy.Every, err = parseAge(days); err != nil {
					return exit(exitUsage, err)
				}
			}
			return f.rotate(cmd.Context(), cmd.OutOrStdout(), r, args)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&days, "every", "", "age of a key at which the next takes over, such as 90d; the default is rotation.every")
	return cmd
}

// parseAge reads a duration that may be in days.
func parseAge(s string) (time.Duration, error) {
	text, isDays := strings.CutSuffix(s, "d")
	if isDays {
		text += "h"
	}
	d, err := time.ParseDuration(text)
	if isDays {
		d *= 24
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--every %q is no duration such as 90d", s)
	}
	return d, nil
}

func (f *keysFlags) rotate(ctx context.Context, out io.Writer, r *rotator, domains []string) error {
	domains = domainsOfKeys(domains)
	state, err := r.store.Read()
	if err != nil {
		return exit(exitUnknown, err)
	}
	for _, d := range domains {
		if !slices.Contains(state.Domains(), d) {
			return exit(exitBad, noKeys([]string{d}))
		}
	}
	events, err := r.rotate(ctx, domains)
	if err != nil {
		return exit(exitUnknown, err)
	}
	if err := f.printEvents(out, events); err != nil {
		return err
	}
	for _, e := range events {
		if e.Unknown {
			f.sayWayOut(out)
			return exit(exitUnknown, nil)
		}
	}
	return nil
}
