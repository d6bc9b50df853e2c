package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignBeforeTheFirstKey holds that sign does not exit with 1, which scripts take for "nothing
// asks for a signature", when a rule matches but its domain has no key yet.
func TestSignBeforeTheFirstKey(t *testing.T) {
	s := newLifeSite(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(s.config), "state"), 0o750); err != nil {
		t.Fatal(err)
	}
	const text = "From: a@example.com\n\nHi.\n"
	_, errs, code := mailseal(t, text, "sign", "--config", s.config)
	if code != exitUnknown || !strings.Contains(errs, "mailseal keys generate example.com") {
		t.Errorf("without a key: exit code %d, want %d; %s", code, exitUnknown, errs)
	}
	other := strings.Replace(text, "example.com", "other.example", 1)
	if _, errs, code = mailseal(t, other, "sign", "--config", s.config); code != exitBad {
		t.Errorf("no rule: exit code %d, want %d; %s", code, exitBad, errs)
	}
	_, errs, code = mailseal(t, "", "keys", "--config", s.config, "list", "--format", "line")
	if code != exitBad || !strings.Contains(errs, "there are no keys in") {
		t.Errorf("list: exit code %d, want %d; %s", code, exitBad, errs)
	}
}

// TestKeysGenerateAlgorithm holds that generate takes the words of keygen, that a wrong word is a
// wrong command line, and that remove says how to name a key that is only generated.
func TestKeysGenerateAlgorithm(t *testing.T) {
	s := newLifeSite(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(s.config), "state"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.run(exitUsage, "", "generate", "example.com", "--algorithm", "dsa")
	s.run(exitGood, "v=DKIM1; k=rsa;", "generate", "example.com", "--algorithm", "rsa",
		"--format", "line")
	_, errs, code := mailseal(t, "", "keys", "--config", s.config, "--zone", s.zone, "remove",
		"example.com")
	_, name, found := strings.Cut(strings.TrimSpace(errs), "full name: mailseal keys remove ")
	if code != exitBad || !found {
		t.Fatalf("remove: exit code %d, want %d; %s", code, exitBad, errs)
	}
	s.run(exitGood, "is now removed", "remove", name)
}

// TestKeygenLongKey holds that keygen makes no key that receivers may refuse.
func TestKeygenLongKey(t *testing.T) {
	dir := t.TempDir()
	_, errs, code := mailseal(t, "", "keygen", "--domain", "example.com", "--dir", dir,
		"--bits", "5000")
	if code != exitUsage || !strings.Contains(errs, "at most 4096") {
		t.Errorf("exit code %d, want %d; %s", code, exitUsage, errs)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("files were made: %v, %v", made, err)
	}
}
