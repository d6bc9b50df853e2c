package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/rotation"
)

// List prints the keys that are named by record or by domain, all of them for no name, with their stages; or, with a
// format, the records that must be published now, as Rotate waits for them. Removed keys are listed too if all are wanted.
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
	if listed == 0 && !r.o.JSON {
		fmt.Fprintf(r.out, "no keys here in %s; mailseal keys generate DOMAIN makes the first\n", r.rotator.Dir())
	}
	return nil
}

// listRecords prints records. Commands for nsupdate take away what must not be there any more; in the other formats it is
// not among the records.
func (r *Ring) listRecords(ctx context.Context, names []string) error {
	records, gone, err := r.rotator.Wanted(ctx, names)
	switch {
	case errors.Is(err, rotation.ErrNoKey):
		return answer.NewBad(err)
	case err != nil:
		return answer.NewUnknown(err)
	}
	for _, record := range records {
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
		return 0, fmt.Errorf("--every %q is no duration such as 90d", s)
	}
	return d, nil
}
