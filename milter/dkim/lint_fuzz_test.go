package dkim

import "testing"

// FuzzLint holds that flaws are marked within the text, and that a mended record is one.
func FuzzLint(f *testing.F) {
	for _, s := range []string{"v=DKIM1 k=RSA p=", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "o=~; t=y"} {
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
		if mended := Repair(text); mended != "" {
			if _, err := ParseRecord(mended); err != nil {
				t.Errorf("%q: the mended record %q: %v", text, mended, err)
			}
		}
	})
}
