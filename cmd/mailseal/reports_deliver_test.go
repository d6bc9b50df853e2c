package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReportsDeliver pipes mails in as a mail server does, whose authserv-id says who sent them.
func TestReportsDeliver(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "m.toml")
	text := goodConfig + "\n[reports]\ndirectory = \"" + dir + "\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mail := "From: dmarc@org.example\r\nContent-Type: text/xml\r\n\r\n" + reportXML
	if out, errs, code := mailseal(t, mail, "reports", "deliver", "--config", config); code != exitGood {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	out, errs, _ := mailseal(t, "", "reports", "received", "--config", config)
	if !strings.Contains(out, "unaligned") || !strings.Contains(out, " no ") {
		t.Errorf("a mail that nothing authenticates: %s%s", out, errs)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(text, dir, dir+"/none", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := mailseal(t, mail, "reports", "deliver", "--config", config); code != exitDefer {
		t.Errorf("a store that is away: exit code %d, want %d: %s%s", code, exitDefer, out, errs)
	}
}
