package config_test

import (
	"strings"
	"testing"

	"mailseal/config"
)

// TestShapes reads values where tables are expected: the error says what to write, and written so
// the file is read.
func TestShapes(t *testing.T) {
	const sign = "\nkeys = [\"k._domainkey.example.com\"]\n"
	for _, tc := range []struct{ text, want, write string }{
		{`listen = "inet:8891@127.0.0.1"`, `write [[listen]] on a line of its own, and below it ` +
			`address = "inet:8891@127.0.0.1"`, "[[listen]]\naddress = \"inet:8891@127.0.0.1\""},
		{`listen = ["inet:8891@127.0.0.1"]`, `write [[listen]] on a line of its own`, ""},
		{"[listen]\naddress = \"inet:8891@127.0.0.1\"", "write [[listen]], with two pairs of brackets", ""},
		{`log = "debug"`, `write [log] on a line of its own, and below it level = "debug"`,
			"[log]\nlevel = \"debug\""},
		{`dns = "127.0.0.1"`, `below it servers = ["127.0.0.1"]`, "[dns]\nservers = [\"127.0.0.1\"]"},
		{`reports = true`, `write [reports] on a line of its own, and below it collect = true`, ""},
		{`metrics = "127.0.0.1:9891"`, `below it address = "127.0.0.1:9891"`,
			"[metrics]\naddress = \"127.0.0.1:9891\""},
		{`keys."k._domainkey.example.com" = "k.pem"`, `below it file = "k.pem"`, ""},
		{"[[signing]]\nexpiry = \"10d\"", "write [signing], with one pair of brackets", ""},
		{`sign = "example.com"`, `write [[sign]] on a line of its own, and below it from = ["example.com"]`, ""},
		{`sign = [{ from = ["*@example.com"], when = "x@example.com" }]` + sign,
			`write when = { recipients = ["x@example.com"] }`, ""},
		{`policy.rules = { when = "true" }`, "write [[policy.rules]], with two pairs of brackets", ""},
		{`control = 5`, `write [control] on a line of its own, and below it address = "/`, ""},
	} {
		_, err := config.Parse("mailseal.toml", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.text, err, tc.want)
		}
		if tc.write == "" {
			continue
		}
		_, err = config.Parse("mailseal.toml", []byte(tc.write))
		if err != nil && strings.Contains(err.Error(), "expected") {
			t.Errorf("%s: what it says to write: %v", tc.text, err)
		}
	}
}
