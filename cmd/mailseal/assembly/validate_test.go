package assembly

import (
	"strings"
	"testing"

	"mailseal/config"
)

// TestValidate holds that values which the filter could not be made of are found without making it.
func TestValidate(t *testing.T) {
	const good = oneRule + "[verify]\ntrusted_sealers = [\"example.net\"]\n"
	for _, tt := range []struct {
		name  string
		spoil func(*config.Config)
		want  string // "" for no mistake
	}{
		{"good", func(*config.Config) {}, ""},
		{"a list of the filter", func(
			c *config.Config) {
			c.Exempt.AuthorDomains = []string{"a@exa mple.com"}
		}, "exempt.author_domains: "},
		{"a login's addresses", func(c *config.Config) {
			c.Senders.Logins = map[string][]string{"l": {"a@exa mple.com"}}
		}, "senders.logins.l: "},
		{"a rule", func(c *config.Config) { c.Sign[0].From = []string{"a@exa mple.com"} }, "sign[0].from: "},
		{"the signing table", func(c *config.Config) { c.Signing.Match = "any" }, "signing.match: "},
		{"the policy", func(c *config.Config) { c.Verify.TrustedSealers = []string{"a..b"} },
			"verify.trusted_sealers[0]: "},
	} {
		cfg, err := config.Parse("mailseal.toml", []byte(good))
		if err != nil {
			t.Fatal(err)
		}
		tt.spoil(cfg)
		err = Validate(cfg)
		if (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
