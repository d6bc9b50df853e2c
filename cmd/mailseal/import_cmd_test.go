package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	conf := filepath.Join(t.TempDir(), "opendkim.conf")
	write := func(text string) {
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "Mode s\nSocket inet:8891@localhost\nAuthservID mx.example.com\nDomain " +
		"example.com\nKeyFile /k.pem\nSelector mail\n"
	write(good)
	out, code := runCommand(t, "import-opendkim", "--conf", conf, "--out", dir)
	if code != exitGood || !strings.Contains(out, "Taken over as it was: Mode") {
		t.Fatalf("got code %d and\n%s", code, out)
	}
	made := filepath.Join(dir, "mailseal.toml")
	if _, err := loadConfig(made); err != nil {
		t.Errorf("what was made: %v", err)
	}
	before, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	write(good + "Canonicalization simple/simple\n")
	if _, code := runCommand(t, "import-opendkim", "--conf", conf, "--out", dir); code != exitBad {
		t.Errorf("over a file that is there: got code %d", code)
	}
	if after, err := os.ReadFile(made); err != nil || string(after) != string(before) {
		t.Errorf("the file was overwritten: %v", err)
	}
	out, code = runCommand(t, "import-opendkim", "--conf", conf, "--json")
	for line := range strings.Lines(out) {
		var note struct{ Group, Text string }
		if err := json.Unmarshal([]byte(line), &note); err != nil || note.Group == "" ||
			note.Text == "" {
			t.Fatalf("a note: %s: %v", line, err)
		}
	}
	if code != exitGood || out == "" {
		t.Errorf("as JSON: got code %d and %q", code, out)
	}
	write(good + "InternalHosts refile:/no/such/file\n")
	if _, code := runCommand(t, "import-opendkim", "--conf", conf); code != exitUnknown {
		t.Errorf("what cannot be imported: got code %d", code)
	}
	if _, code := runCommand(t, "import-opendkim", "--no-such-flag"); code != exitUsage {
		t.Errorf("a flag that is not there: got code %d", code)
	}
}
