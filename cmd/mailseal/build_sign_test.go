package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/dkim"
)

// TestBuildOversign holds that empty lists of fields mean none and no list the default: an import from OpenDKIM writes
// empty ones.
func TestBuildOversign(t *testing.T) {
	for _, tc := range []struct {
		name, more string
		want       string
	}{
		{"empty lists", "oversign = []\noversign_if_present = []\n", ""},
		{"one empty list", "oversign_if_present = []\n", strings.Join(dkim.DefaultOversign(), " ")},
		{"no list", "", strings.Join(append(dkim.DefaultOversign(), dkim.DefaultOversignPresent()...), " ")},
	} {
		path := filepath.Join(t.TempDir(), "mailseal.toml")
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(serveKeys, "%DIR%", "/run")+"[signing]\n"+tc.more), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		o, err := buildSignOptions(cfg.Sign[0].SignOptions)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(append(o.Oversign, o.OversignPresent...), " "); got != tc.want || o.Oversign == nil || o.OversignPresent == nil {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
