package dmarc

import "testing"

// FuzzLint tests that flaws are marked within the text, and that a repaired record is valid.
func FuzzLint(f *testing.F) {
	for _, s := range []string{"v=DMARC1 p=rejct, rua:<a@example.com>",
		"_dmarc v=DMARC1; fo=1,d; aspf=strict", "v=DMRAC1;p=none"} {
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
		if r, err := Parse(text); err == nil && (r.Broken != "" || len(r.Notes) > 0) &&
			len(Lint(text)) == 0 {
			t.Errorf("%q: broken %q, notes %q, and Lint says nothing", text, r.Broken, r.Notes)
		}
		if repaired, ok := Repair(text); ok {
			if !isRecord(repaired) {
				t.Errorf("%q: the mended record %q is none", text, repaired)
			}
			if again, ok := Repair(repaired); !ok || again != repaired {
				t.Errorf("%q: mended twice: %q, then %q", text, repaired, again)
			}
		}
	})
}
