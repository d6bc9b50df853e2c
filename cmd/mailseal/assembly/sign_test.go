package assembly

import (
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// TestBuildOversign holds that empty lists of fields mean none and no list the default: an import
// from OpenDKIM writes empty ones.
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
		if got := strings.Join(append(o.Oversign, o.OversignPresent...), " "); got != tc.want ||
			o.Oversign == nil || o.OversignPresent == nil {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestSigningTable holds that the setting match decides how many rules sign, and that a word which
// only the configuration knows is refused: it must not become one of the others.
func TestSigningTable(t *testing.T) {
	const two = oneRule + "[[sign]]\nfrom = [\"*\"]\nkeys = [\"good._domainkey.example.com\"]\ndomain = \"%\"\n"
	author := message.Address{Local: "a", Domain: "example.com"}
	for _, tc := range []struct {
		match config.Match
		want  int // rules; 0 for an error
	}{
		{config.MatchFirst, 1},
		{config.MatchAll, 2},
		{"any", 0},
		{"", 0},
	} {
		cfg, err := config.Parse("mailseal.toml", []byte(two))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Signing.Match = tc.match
		signer, err := (&Parts{Config: cfg}).Signer()
		if (err == nil) != (tc.want > 0) {
			t.Errorf("match = %q: %v", tc.match, err)
			continue
		}
		if err != nil {
			continue
		}
		if got := len(signer.Match(sign.Query{Author: author})); got != tc.want {
			t.Errorf("match = %q: %d rules sign, want %d", tc.match, got, tc.want)
		}
	}
}
