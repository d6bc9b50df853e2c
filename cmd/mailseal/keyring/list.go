package keyring

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys"
	"mailseal/keys/keylife"
)

// List prints the keys that are named by record or by domain, all of them for no name, with their stages; or, with a
// format, the records that must be published now. Removed keys are listed too if all are wanted.
func (r *Ring) List(names []string, all bool) error {
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
	if listed == 0 && !r.o.JSON && r.o.Format == "none" {
		fmt.Fprintf(r.out, "no keys here in %s; mailseal keys generate DOMAIN makes the first\n", r.rotator.Dir())
	}
	return nil
}

func (r *Ring) listOne(k keylife.Key) error {
	switch {
	case r.o.JSON:
		return json.NewEncoder(r.out).Encode(k)
	case r.o.Format != "none":
		if k.Stage == keys.Removed || k.Text == "" {
			return nil
		}
		text, err := r.formatted(k.Record())
		fmt.Fprint(r.out, text)
		return err
	}
	kind := fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
	if k.Vendor {
		kind = "vendor's"
	}
	_, err := fmt.Fprintf(r.out, "%-44s %-9s since %s  %-11s %.19s\n", k.Name(), k.Stage, k.Since.UTC().Format("2006-01-02 15:04"), kind, k.Fingerprint)
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
