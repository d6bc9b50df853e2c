package dkim

import (
	"slices"
	"testing"

	"mailseal/milter/lint"
)

// refusals are the flaws of records that verifiers do not use. FlawLarge is also that of keys that
// some of them take.
var refusals = []string{
	FlawPasted, FlawVersion, FlawMalformed, FlawRevoked, FlawShort, FlawHash, FlawKeyType,
	FlawService,
}

// FuzzLint tests that flaws are marked within the text, and that a repaired record is valid.
func FuzzLint(f *testing.F) {
	for _, s := range []string{"v=DKIM1 k=RSA p=",
		"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "o=~; t=y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		for _, flaw := range Lint(text) {
			if flaw.Start < 0 || flaw.End < flaw.Start || flaw.End > len(text) || flaw.Text == "" {
				t.Errorf("%q: %s at %d-%d: %q", text, flaw.Code, flaw.Start, flaw.End, flaw.Text)
			}
		}
		_, err := ParseRecord(text)
		isRefused := slices.ContainsFunc(Lint(text),
			func(f lint.Flaw) bool { return slices.Contains(refusals, f.Code) })
		if isRefused != (err != nil) && len(text) < 1000 {
			t.Errorf("%q: verifiers say %v, Lint says %v", text, err, Lint(text))
		}
		if repaired := Repair(text); repaired != "" {
			if _, err := ParseRecord(repaired); err != nil {
				t.Errorf("%q: the mended record %q: %v", text, repaired, err)
			}
		}
	})
}
