package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
)

func newKeysListCmd(f *keysFlags) *cobra.Command {
	var removed bool
	var format string
	cmd := &cobra.Command{
		Use:   "list [DOMAIN...]",
		Short: "List keys and their stages, or with --format the records that must be published now",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			f.format = format
			return f.list(cmd.OutOrStdout(), r, args, removed)
		},
	}
	cmd.Flags().StringVar(&format, "format", "none", "print records instead: zone, line, nsupdate or json")
	cmd.Flags().BoolVar(&removed, "all", false, "list keys that are removed, too")
	return cmd
}

func (f *keysFlags) list(out io.Writer, r *rotator, domains []string, removed bool) error {
	state, err := r.store.Read()
	if err != nil {
		return exit(exitUnknown, err)
	}
	listed := 0
	for _, k := range state.Keys {
		if !isWanted(k, domains) || k.Stage == keys.Removed && !removed {
			continue
		}
		listed++
		if err := f.listOne(out, k); err != nil {
			return err
		}
	}
	if listed == 0 && !f.json && f.format == "none" {
		fmt.Fprintf(out, "no keys here in %s; mailseal keys generate DOMAIN makes the first\n", r.store.Dir)
	}
	return nil
}

func (f *keysFlags) listOne(out io.Writer, k keylife.Key) error {
	switch {
	case f.json:
		return json.NewEncoder(out).Encode(k)
	case f.format != "none":
		if k.Stage == keys.Removed || k.Text == "" {
			return nil
		}
		text, err := f.formatted(k.Record())
		fmt.Fprint(out, text)
		return err
	}
	kind := fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
	if k.Vendor {
		kind = "vendor's"
	}
	_, err := fmt.Fprintf(out, "%-44s %-9s since %s  %-11s %.19s\n", k.Name(), k.Stage, k.Since.UTC().Format("2006-01-02 15:04"), kind, k.Fingerprint)
	return err
}

// isWanted tells whether a key is one of those named: by its domain or by the name of its record; for none, all are.
func isWanted(k keylife.Key, names []string) bool {
	for _, name := range names {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if name == k.Name() || domain.ASCII(name) == k.Domain {
			return true
		}
	}
	return len(names) == 0
}
