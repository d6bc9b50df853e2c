package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
	"mailseal/milter/rotation"
)

// List prints the keys that sign, will sign or have signed, and are named by record or by domain,
// all of them for no name: those of the state directory with their stages, and those of rules with
// their files; or, with a format, the records that must be published now, as Rotate waits for them.
// Removed keys are listed too if all are wanted.
func (r *Ring) List(ctx context.Context, names []string, all bool) error {
	if r.o.Format != "none" && !r.o.JSON {
		return r.listRecords(ctx, names)
	}
	found, err := r.rotator.Keys(names)
	if err != nil {
		return answer.NewUnknown(err)
	}
	listed := 0
	for _, k := range found {
		if k.Stage == keys.Removed && !all {
			continue
		}
		listed++
		if err := r.listOne(k); err != nil {
			return err
		}
	}
	others, err := r.others(ctx, names)
	if err != nil {
		return err
	}
	for _, k := range others {
		listed++
		if err := r.listOther(k); err != nil {
			return err
		}
	}
	r.listSources()
	if listed == 0 && !r.o.JSON {
		fmt.Fprintf(r.out, "there are no keys in %s; \"mailseal keys generate DOMAIN\" makes the first\n",
			r.rotator.Dir())
	}
	return nil
}

// listRecords prints records. Commands for nsupdate take away what must not be there any more; in
// the other formats it is not among the records.
func (r *Ring) listRecords(ctx context.Context, names []string) error {
	others, err := r.others(ctx, names)
	if err != nil {
		return answer.NewUnknown(err)
	}
	records, gone, err := r.rotator.Wanted(ctx, names)
	switch {
	case errors.Is(err, rotation.ErrNoKey) && (len(others) == 0 ||
		len(names) == 0 && assembly.ManagesKeys(r.cfg)):
		if len(names) == 0 {
			return answer.NewBad(fmt.Errorf("there are no keys in %s; \"mailseal keys generate "+
				"DOMAIN\" makes the first", r.rotator.Dir()))
		}
		return answer.NewBad(err)
	case err != nil && !errors.Is(err, rotation.ErrNoKey):
		return answer.NewUnknown(err)
	}
	for _, k := range others {
		if k.record.Text != "" {
			records = append(records, k.record)
		}
	}
	for _, record := range records {
		if record.Text == "" {
			continue // a vendor's, of which only the selector is known
		}
		text, err := r.formatted(record)
		if err != nil {
			return err
		}
		fmt.Fprint(r.out, text)
	}
	if r.o.Format != "nsupdate" {
		return nil
	}
	for _, name := range gone {
		fmt.Fprint(r.out, deleteCommand(name))
	}
	return nil
}

// Other is a key that signs, and that Mailseal does not look after: of a file, or of the
// configuration.
type Other struct {
	Name        string         `json:"name"` // of the key in the configuration
	Domain      string         `json:"domain"`
	Selector    string         `json:"selector"`
	Algorithm   keys.Algorithm `json:"algorithm,omitempty"`
	Bits        int            `json:"bits,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	Stage       string         `json:"stage"` // "signs", or "unusable"
	From        string         `json:"from"`  // the file, or "mailseal.toml"
	Error       string         `json:"error,omitempty"`

	record keys.Record
}

// The stages of keys that are not in the state directory.
const (
	signs    = "signs"
	unusable = "unusable"
)

// others are the keys of rules beside those of the state directory and of sources, that are named
// by record or by domain; all of them for no name.
func (r *Ring) others(ctx context.Context, names []string) ([]Other, error) {
	files := assembly.FileKeys(ctx, r.cfg, nil)
	parts := &assembly.Parts{Config: r.cfg,
		Domains: assembly.DomainKeys(r.cfg, nil, slog.New(slog.DiscardHandler))}
	table := assembly.NewKeyTable(r.cfg, files, nil).With(parts.Domains)
	var out []Other
	for _, p := range parts.Expand(assembly.UsedPlacements(r.cfg)) {
		entry, ok := r.cfg.Keys[p.Key]
		if !ok || entry.Source != "" {
			continue
		}
		k := r.other(ctx, table, p, entry)
		if isNamed(k, names) {
			out = append(out, k)
		}
	}
	return out, ctx.Err()
}

func (r *Ring) other(ctx context.Context, table assembly.KeyTable, p assembly.Placement,
	entry config.Key) Other {
	out := Other{
		Name:     p.Key,
		Domain:   domain.ASCII(entry.Domain),
		Selector: domain.ASCII(entry.Selector),
		Stage:    signs,
		From:     entry.File,
	}
	if p.Domain != "" {
		out.Domain = p.Domain
	}
	if out.From == "" {
		out.From = "mailseal.toml"
	}
	if entry.IsPerDomain() {
		out.From = strings.ReplaceAll(out.From, "%", p.Domain)
	}
	k, err := table.Look(ctx, p.Key, p.Domain)
	if err == nil {
		out.Algorithm, out.Bits = k.Algorithm()
		k.Domain = out.Domain
		out.record, err = k.Record(keys.RecordOptions{})
		out.Fingerprint = out.record.Fingerprint
	}
	if err != nil && out.Domain != "%" {
		out.Stage, out.Error = unusable, answer.Text(err)
	}
	return out
}

func (k Other) recordName() string { return k.Selector + "._domainkey." + k.Domain }

func isNamed(k Other, names []string) bool {
	for _, name := range names {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if name == k.recordName() || name == strings.ToLower(k.Name) ||
			domain.ASCII(name) == k.Domain {
			return true
		}
	}
	return len(names) == 0
}

func (r *Ring) listOther(k Other) error {
	if r.o.JSON {
		return json.NewEncoder(r.out).Encode(k)
	}
	kind := fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
	if k.Error != "" {
		kind = "?"
	}
	_, err := fmt.Fprintf(r.out, "%-44s %-9s %-22s  %-11s %.19s  %s\n", k.recordName(), k.Stage, "",
		kind, k.Fingerprint, k.From)
	return err
}

// listSources names the sources whose keys sign as well, and are not listed: there may be a million
// of them.
func (r *Ring) listSources() {
	if r.o.JSON {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Sources)) {
		fmt.Fprintf(r.out, "source %s also has keys that sign; mailseal check --dns checks them\n",
			name)
	}
}

// Record prints the record of each key that is named by record, by domain or by its name in the
// configuration: those of the state directory, and those of rules.
func (r *Ring) Record(ctx context.Context, names []string) error {
	for _, name := range names {
		records, err := r.recordsOf(ctx, name)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return answer.NewBad(fmt.Errorf(
				"there is no key %s, or its record is not known; \"mailseal keys list\" shows all keys", name))
		}
		for _, record := range records {
			text, err := r.formatted(record)
			if err != nil {
				return err
			}
			fmt.Fprint(r.out, text)
		}
	}
	return nil
}

func (r *Ring) recordsOf(ctx context.Context, name string) ([]keys.Record, error) {
	found, err := r.rotator.Keys([]string{name})
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	var out []keys.Record
	for _, k := range found {
		if k.Stage != keys.Removed && k.Text != "" {
			out = append(out, k.Record())
		}
	}
	others, err := r.others(ctx, []string{name})
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	for _, k := range others {
		if k.record.Text != "" {
			out = append(out, k.record)
		}
	}
	return out, nil
}

// deleteCommand has nsupdate take a record away.
func deleteCommand(name string) string { return fmt.Sprintf("update delete %s. TXT\nsend\n", name) }

func (r *Ring) listOne(k keylife.Key) error {
	if r.o.JSON {
		return json.NewEncoder(r.out).Encode(k)
	}
	kind := fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
	if k.Vendor {
		kind = "vendor's"
	}
	_, err := fmt.Fprintf(r.out, "%-44s %-9s since %s  %-11s %.19s\n",
		k.Name(), k.Stage, k.Since.UTC().Format("2006-01-02 15:04"), kind, k.Fingerprint)
	return err
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
		return 0, fmt.Errorf("--every %q is not a duration such as 90d", s)
	}
	return d, nil
}
