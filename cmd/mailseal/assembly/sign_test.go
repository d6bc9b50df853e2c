package assembly

import (
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/milter/dkim"
)

// TestBuildOversign holds that empty lists of fields mean none and no list the default: an import from OpenDKIM writes
// empty ones.
const oneRule = `
authserv_id = "mx.example.com"
[[listen]]
address = "unix:/run/s"
[keys."good._domainkey.example.com"]
private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[[sign]]
from = ["example.com"]
keys = ["good._domainkey.example.com"]
`

func TestBuildOversign(t *testing.T) {
	for _, tc := range []struct {
		name, more string
		want       string
	}{
		{"empty lists", "oversign = []\noversign_if_present = []\n", ""},
		{"one empty list", "oversign_if_present = []\n", strings.Join(dkim.DefaultOversign(), " ")},
		{"no list", "", strings.Join(append(dkim.DefaultOversign(), dkim.DefaultOversignPresent()...), " ")},
	} {
		cfg, err := config.Parse("mailseal.toml", []byte(oneRule+"[signing]\n"+tc.more))
		if err != nil {
			t.Fatal(err)
		}
		o, err := SignOptions(cfg.Sign[0].SignOptions)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(append(o.Oversign, o.OversignPresent...), " "); got != tc.want || o.Oversign == nil || o.OversignPresent == nil {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
