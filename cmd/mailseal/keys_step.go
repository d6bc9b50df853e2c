package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
)

// keyStep is a command that brings keys to a stage.
type keyStep struct {
	verb  string
	to    keys.Stage
	from  []keys.Stage // of a domain's keys; a key that is named may come from wherever there is a step
	short string
}

var keySteps = []keyStep{
	{"activate", keys.Active, []keys.Stage{keys.Published}, "Sign with published keys; those before them of the same algorithm retire"},
	{"retire", keys.Retiring, []keys.Stage{keys.Active}, "Sign no more with keys that have a successor; their records stay"},
	{"revoke", keys.Revoked, []keys.Stage{keys.Retiring}, "Take down that retired keys are revoked, once their records say so"},
	{"remove", keys.Removed, []keys.Stage{keys.Revoked}, "Destroy the private halves of keys whose records are gone"},
}

func newKeysStepCmd(f *keysFlags, step keyStep) *cobra.Command {
	cmd := &cobra.Command{
		Use:   step.verb + " DOMAIN|NAME...",
		Short: step.short,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			return f.step(cmd.Context(), cmd.OutOrStdout(), r, step, args)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "", "do it although the DNS or the time speaks against it, for this reason, which is recorded")
	return cmd
}

// step brings the keys that are named to a stage.
func (f *keysFlags) step(ctx context.Context, out io.Writer, r *rotator, step keyStep, names []string) error {
	v, _, err := r.view(ctx, domainsOfKeys(names))
	if err != nil {
		return exit(exitUnknown, err)
	}
	var events []keylife.Event
	err = r.update(func(state *keylife.State) error {
		events = nil
		for _, name := range names {
			wanted := step.keys(state, name)
			if len(wanted) == 0 {
				return fmt.Errorf("%s: no key to %s%s; see mailseal keys list", name, step.verb, stagesOf(state, name))
			}
			for _, k := range wanted {
				events = append(events, stepEvent(k, step.to, state.Move(k, step.to, v, f.force)))
			}
		}
		return nil
	})
	if err != nil {
		return exit(exitBad, err)
	}
	if err := f.printEvents(out, events); err != nil {
		return err
	}
	bad, unknown := false, false
	for _, e := range events {
		silent := v.Sights[e.Name] == keys.SightUnknown
		bad, unknown = bad || e.Refused && !silent, unknown || e.Refused && silent
	}
	if unknown {
		f.sayWayOut(out)
	}
	return exitFor(bad, unknown)
}

// domainsOfKeys are the domains that keys are of which are named by domain or by record: what succeeds one is of its
// domain, too.
func domainsOfKeys(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		if _, d, ok := strings.Cut(strings.ToLower(name), "._domainkey."); ok {
			name = d
		}
		out[i] = domain.ASCII(strings.TrimSuffix(name, "."))
	}
	return out
}

// stagesOf says where the keys of a domain are that are not where a step begins: ": 2026q4r is generated".
func stagesOf(state *keylife.State, name string) string {
	var out []string
	for _, k := range state.Keys {
		if k.Domain == domain.ASCII(strings.TrimSuffix(name, ".")) && k.Stage != keys.Removed {
			out = append(out, k.Selector+" is "+string(k.Stage))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

// keys are those that a name stands for: a record's, or a domain's.
func (s keyStep) keys(state *keylife.State, name string) []*keylife.Key {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if k := state.Find(name); k != nil {
		return []*keylife.Key{k}
	}
	return slices.DeleteFunc(state.Of(domain.ASCII(name), s.from...), func(k *keylife.Key) bool { return k.Vendor })
}

// vendor takes down a selector that somebody else signs with.
func (r *rotator) vendor(state *keylife.State, of, selector, text string) ([]keylife.Event, error) {
	k := keylife.Key{Domain: of, Selector: domain.ASCII(strings.ToLower(selector)), Vendor: true, Text: text}
	if text != "" {
		record, err := dkim.ParseRecord(text)
		if err != nil {
			return nil, fmt.Errorf("--record: %w", err)
		}
		k.Algorithm, k.Bits = keys.Algorithm(strings.TrimSuffix(record.Key.Algorithm(), "-sha256")), record.Key.Bits()
	}
	if err := state.Add(k, r.now()); err != nil {
		return nil, err
	}
	e := keylife.Event{Name: k.Name(), Step: keys.Generated, Waits: "its record at all name servers"}
	if text != "" {
		record := k.Record()
		e.Publish = &record
	}
	return []keylife.Event{e}, nil
}
