package spf

import (
	"slices"
	"testing"

	"mailseal/milter/lint"
)

// FuzzLint tests that flaws are marked within the text, and that a repaired record is valid.
func FuzzLint(f *testing.F) {
	for _, s := range []string{"v=spf1 mx ip4: ?all",
		"TXT v=spf1 a:192.0.2.1 inlcude:x.example - all", "v = spf1 mx v=spf1 -al"} {
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
		if isRecord(text) {
			_, err := parseRecord(text)
			isBroken := slices.ContainsFunc(Lint(text), func(f lint.Flaw) bool {
				return slices.Contains([]string{FlawSyntax, FlawTwice, FlawPasted}, f.Code)
			})
			if err != nil && !isBroken {
				t.Errorf("%q: receivers answer permerror (%v), and Lint says %v", text, err,
					Lint(text))
			}
		} else if _, near := Resembles(text); near != (len(Lint(text)) > 0) {
			t.Errorf("%q: resembles a record: %v, Lint says %v", text, near, Lint(text))
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
