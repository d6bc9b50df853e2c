package daemon

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailseal/config"
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

// TestBuildRefuses holds what keeps the daemon from starting, and that it says all of it.
func TestBuildRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		says           []string
	}{
		{"a mistake in the configuration", "authserv_id", "autserv_id", []string{"autserv_id", `"authserv_id"`, ":2:"}},
		{"a rule with a key that does not exist", `keys = ["good`, `keys = ["god`,
			[]string{`no key "god._domainkey.example.com"`, "good._domainkey.example.com"}},
		{"no key that can sign", `private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`,
			`file = "gone.pem"`, []string{"no key can sign", "gone.pem"}},
		{"a socket that cannot be made", "%DIR%/s", "%DIR%/no/such/directory/s",
			[]string{"listen[0]", "no/such/directory"}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "mailseal.toml")
		text := strings.ReplaceAll(strings.Replace(serveKeys, tc.old, tc.new, 1), "%DIR%", dir)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := build(t.Context(), path, io.Discard)
		if err == nil {
			t.Errorf("%s: it serves", tc.name)
			continue
		}
		for _, s := range tc.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: says\n%v\nwithout %q", tc.name, err, s)
			}
		}
	}
}

func TestUnserved(t *testing.T) {
	cfg := &config.Config{Listen: []config.Listener{{Network: "fd", Target: "one"},
		{Network: "fd", Target: "4"}, {Network: "unix", Target: "three"}}}
	env := map[string]string{"LISTEN_PID": strconv.Itoa(os.Getpid()),
		"LISTEN_FDNAMES": "one:two:three"}
	lookup := func(name string) string { return env[name] }
	if got := unserved(cfg, lookup); len(got) != 1 || got[0] != "three" {
		t.Errorf("got %q, want three alone", got)
	}
	env["LISTEN_PID"] = "1"
	if got := unserved(cfg, lookup); got != nil {
		t.Errorf("somebody else's sockets: %q", got)
	}
}
