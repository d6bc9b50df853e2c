package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/keys"
)

// runCommand runs a command line and returns what it prints and the code it asks for.
func runCommand(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	stdout, stderr, code := runCommandErr(t, args...)
	if stderr != "" {
		t.Logf("mailseal %s: %s", strings.Join(args, " "), stderr)
	}
	return stdout, code
}

// runCommandErr returns what was said on standard error, too.
func runCommandErr(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if args[0] == "check" && !strings.Contains(strings.Join(args, " "), "--postfix") {
		args = append(args, "--no-mta") // nothing of the host that the tests run on
	}
	return mailseal(t, "", args...)
}

func TestKeygen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	out, code := runCommand(t, "keygen", "--domain", "Example.com", "--selector", "mail", "--dir",
		dir)
	if code != exitGood {
		t.Fatalf("got code %d", code)
	}
	_, text, ok := strings.Cut(out, "[keys.")
	if !ok {
		t.Fatalf("no configuration in %s", out)
	}
	cfg, err := config.Parse("mailseal.toml", []byte("[keys."+text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]keys.Algorithm{"mail._domainkey.example.com": keys.RSA,
		"mail-ed._domainkey.example.com": keys.Ed25519} {
		checkMade(t, cfg.Keys[name], want, out)
	}
	if len(cfg.Sign) != 1 || len(cfg.Sign[0].Keys) != 2 || cfg.Sign[0].From[0] != "*@example.com" {
		t.Errorf("got rules %+v, want one with both keys", cfg.Sign)
	}
}

// checkMade holds a key's file against what keygen printed.
func checkMade(t *testing.T, c config.Key, want keys.Algorithm, printed string) {
	t.Helper()
	info, err := os.Stat(c.File)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s: got mode %o, want 0600", c.File, info.Mode().Perm())
	}
	pem, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.Parse(pem)
	if err != nil {
		t.Fatal(err)
	}
	k := keys.Key{Domain: c.Domain, Selector: c.Selector, Signer: signer}
	if alg, _ := k.Algorithm(); alg != want {
		t.Errorf("%s: got %s, want %s", c.File, alg, want)
	}
	record, err := k.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{record.Zone(), record.Line(), record.Text, record.Fingerprint} {
		if !strings.Contains(printed, form) {
			t.Errorf("%s is not printed: %s", form, printed)
		}
	}
}

func TestKeygenNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mail-ed.pem") // the second one that it would write
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, code := runCommand(t, "keygen", "--domain", "example.com", "--dir",
		dir); code != exitBad {
		t.Errorf("got code %d, want %d", code, exitBad)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("got %q, %v, want the file as it was", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mail.pem")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v: half of the keys are there", err)
	}
}

func TestKeygenJSON(t *testing.T) {
	dir := t.TempDir()
	out, code := runCommand(t, "keygen", "--domain", "bücher.example", "--selector", "s", "--dir",
		dir, "--algorithm", "ed25519", "--testing", "--strict", "--json")
	if code != exitGood {
		t.Fatalf("got code %d", code)
	}
	var got struct {
		Keys []struct {
			Selector, Algorithm, File string
			Record                    struct{ Name, Value string }
		}
		Configuration string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got.Keys) != 1 {
		t.Fatalf("got %d keys, want 1", len(got.Keys))
	}
	k := got.Keys[0]
	if k.Selector != "s" || k.Algorithm != "ed25519" || k.File != filepath.Join(dir, "s.pem") ||
		k.Record.Name != "s._domainkey.xn--bcher-kva.example" || !strings.HasPrefix(k.Record.Value,
		"v=DKIM1; k=ed25519; t=y:s; p=") {
		t.Errorf("got %+v", k)
	}
	if _, err := config.Parse("m.toml", []byte(got.Configuration)); err != nil {
		t.Error(err)
	}
}

func TestKeygenUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"no domain", nil},
		{"no domain name", []string{"--domain", "a..b"}},
		{"no selector", []string{"--domain", "a.example", "--selector", "a b"}},
		{"unknown algorithm", []string{"--domain", "a.example", "--algorithm", "dsa"}},
		{"too short", []string{"--domain", "a.example", "--bits", "512"}},
		{"an argument", []string{"--domain", "a.example", "b.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, code := runCommand(t, append([]string{"keygen", "--dir", dir},
				tt.args...)...); code != exitUsage {
				t.Errorf("got code %d, want %d", code, exitUsage)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
				t.Errorf("got files %v, %v, want none", files, err)
			}
		})
	}
}
