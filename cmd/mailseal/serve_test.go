package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const serveKeys = `
authserv_id = "mx.example.com"
[[listen]]
address = "unix:%DIR%/s"
[keys."good._domainkey.example.com"]
private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[[sign]]
from = ["example.com"]
keys = ["good._domainkey.example.com"]
`

// TestServeRefuses holds what keeps the daemon from starting, and that it says all of it.
func TestServeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		says           []string
	}{
		{"a mistake in the configuration", "authserv_id", "autserv_id", []string{"autserv_id", `"authserv_id"`, ":2:"}},
		{"a rule with a key that does not exist", `keys = ["good`, `keys = ["god`, []string{`no key "god._domainkey.example.com"`, "good._domainkey.example.com"}},
		{"no key that can sign", `private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`, `file = "gone.pem"`, []string{"no key can sign", "gone.pem"}},
		{"a socket that cannot be made", "%DIR%/s", "%DIR%/no/such/directory/s", []string{"listen[0]", "no/such/directory"}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "mailseal.toml")
		text := strings.ReplaceAll(strings.Replace(serveKeys, tc.old, tc.new, 1), "%DIR%", dir)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		err := serve(t.Context(), path, &log, func() { t.Errorf("%s: it serves", tc.name) })
		if codeOf(err) != exitBad {
			t.Errorf("%s: %v, want exit code %d", tc.name, err, exitBad)
			continue
		}
		for _, s := range tc.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: says\n%v\nwithout %q", tc.name, err, s)
			}
		}
	}
}
