package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `authserv_id = "mx.example.com"
listen = [{ address = "inet:8891@127.0.0.1" }]
[keys."s._domainkey.example.com"]
file = "s.pem"
[[sign]]
from = "example.com"
keys = "s._domainkey.example.com"
`

// configured returns the path of a configuration beside a good key.
func configured(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	// test directories are closed, which makes any file safe
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, code := runCommand(t, "keygen", "--domain", "example.com", "--selector", "s",
		"--algorithm", "ed25519", "--dir", dir); code != exitGood {
		t.Fatal("no key")
	}
	path := filepath.Join(dir, "mailseal.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheck(t *testing.T) {
	seed := `private_key = "YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4="` + "\n"
	tests := []struct {
		name string
		text string
		code int
		want string // a part of the output
	}{
		{"good", goodConfig, exitGood, "mailseal.toml: good; keys: 1, rules: 1, sockets: 1"},
		{"mistake", "mod = 1\n" + goodConfig, exitBad, `mailseal.toml:1: mod: unknown setting; did you mean "mode"?`},
		{"no key file", goodConfig + "[keys.\"t._domainkey.example.com\"]\nfile = \"t.pem\"\n",
			exitBad, `mailseal.toml:9: keys."t._domainkey.example.com".file: `},
		{"key that does not sign mail", goodConfig + "[keys.\"t._domainkey.example.com\"]\nfile " +
			"= \"mailseal.toml\"\n", exitBad, "malformed private key"},
		{"keys though nobody signs", "mode = \"verify\"\n[keys.\"t._domainkey.example.com\"]\nfile = \"t.pem\"\n",
			exitBad, "t.pem does not exist; restore it if it was in use"},
		{"key for everybody to read", goodConfig + "[keys.\"t._domainkey.example.com\"]\n" + seed,
			exitGood, `keys."t._domainkey.example.com".private_key: `},
		{"key for any domain, and for an international one", goodConfig +
			"[keys.t]\ndomain = \"%\"\nselector = \"t\"\nfile = \"s.pem\"\n[keys.u]\ndomain = " +
			"\"bücher.example\"\nselector = \"u\"\nfile = \"s.pem\"\n", exitGood, "keys: 3"},
		{"unsafe key that must be safe", "require_safe_keys = true\n" + goodConfig +
			"[keys.\"t._domainkey.example.com\"]\nfile = \"mailseal.toml\"\n", exitBad,
			"others can read or replace the key"},
		{"nobody signs", "authserv_id = \"mx.example.com\"\n", exitGood, "warning: "},
		{"socket's directory", "listen = [{ address = \"unix:/nowhere/m.sock\" }]\n", exitBad, "mkdir -p /nowhere"},
		{"directory that systemd makes", "listen = [{ address = \"unix:/run/no such " +
			"daemon/m.sock\" }]\n", exitGood, "RuntimeDirectory="},
		{"socket's group", "listen = [{ address = \"unix:/tmp/m.sock\", group = \"no such group\" }]\n",
			exitBad, `listen[0].group: no group "no such group" on this host`},
		{"socket's user", "listen = [{ address = \"unix:/tmp/m.sock\", user = \"no such user\" }]\n",
			exitBad, "listen[0].user: "},
		{"socket that is none", "listen = [{ address = \"unix:/etc/passwd\" }]\n", exitBad, "is " +
			"not a socket"},
		{"tables that are not there", "key_table = \"/k\"\nsigning_table = \"/s\"\n", exitBad,
			"signing_table: /s: no such file"},
		{"token that is not there", "[sources.web]\ndriver = \"http\"\nurl = " +
			"\"https://k.example\"\ntoken_file = \"token\"\n", exitBad, "sources.web.token_file: "},
		{"token for everybody to read",
			"[sources.web]\ndriver = \"http\"\nurl = \"https://k.example\"\ntoken_file = \"mailseal.toml\"\n",
			exitBad, "chmod 0640"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, code := runCommand(t, "check", "--config", configured(t, tt.text))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("got code %d and\n%swant code %d and %q", code, out, tt.code, tt.want)
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	type answer struct {
		Errors, Warnings []struct {
			File, Path, Text string
			Line             int
		}
		Findings []struct {
			Code, Severity, File, Setting, Text string
			Line                                int
		}
		Keys []struct{ Name, Record, Fingerprint string }
	}
	parse := func(out string) (a answer) {
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return a
	}
	out, code := runCommand(t, "check", "--json", "--config", configured(t, goodConfig))
	if a := parse(out); code != exitGood || len(a.Keys) != 1 ||
		a.Keys[0].Record != "s._domainkey.example.com" ||
		!strings.HasPrefix(a.Keys[0].Fingerprint, "sha256:") {
		t.Errorf("got code %d, %s", code, out)
	}
	out, code = runCommand(t, "check", "--json", "--config", configured(t, "mode = 1\n"))
	if a := parse(out); code != exitBad || len(a.Errors) != 1 || a.Errors[0].Line != 1 ||
		a.Errors[0].Path != "mode" ||
		len(a.Findings) != 1 || a.Findings[0].Code != "config-mistake" ||
		a.Findings[0].Severity != "error" || a.Findings[0].Setting != "mode" {
		t.Errorf("got code %d, %s", code, out)
	}
	out, code = runCommand(t, "check", "--json", "--config",
		filepath.Join(t.TempDir(), "none.toml"))
	if a := parse(out); code != exitUnknown || len(a.Errors) != 0 ||
		len(a.Findings) != 1 || a.Findings[0].Severity != "unknown" ||
		a.Findings[0].Code != "config-unreadable" {
		t.Errorf("no file: got code %d, %s", code, out)
	}
}

// TestNoConfiguration: a file that is not there is no bad answer of any command. The shadow is not
// among them: it passes mail on without one.
func TestNoConfiguration(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.toml")
	for _, args := range [][]string{
		{"check"},
		{"serve"},
		{"sign"},
		{"keys", "list"},
		{"keys", "rotate"},
		{"explain-signing", "--from", "a@example.com"},
		{"sql-import", "--source", "s", "."},
	} {
		if _, code := runCommand(t, append(args, "--config", none)...); code != exitUnknown {
			t.Errorf("%s: got code %d, want %d", strings.Join(args, " "), code, exitUnknown)
		}
	}
	path := configured(t, "include = \"none.toml\"\n"+goodConfig)
	if _, code := runCommand(t, "keys", "list", "--config", path); code != exitBad {
		t.Errorf("a file that the configuration names: got code %d, want %d", code, exitBad)
	}
}
