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
	if out, errs, code := mailseal(t, mail, "reports", "deliver", "--config",
		config); code != exitGood {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if _, errs, code := mailseal(t, "\n", "reports", "deliver", "--config", config); code !=
		exitGood || !strings.Contains(errs, "the mail is empty: nothing was stored") {
		t.Errorf("an empty mail: exit code %d: %s", code, errs)
	}
	out, errs, _ := mailseal(t, "", "reports", "received", "--config", config)
	if !strings.Contains(out, "unaligned") || !strings.Contains(out, " no ") {
		t.Errorf("a mail that nothing authenticates: %s%s", out, errs)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(text, dir, dir+"/none", 1)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := mailseal(t, mail, "reports", "deliver", "--config",
		config); code != exitDefer {
		t.Errorf("a store that is away: exit code %d, want %d: %s%s", code, exitDefer, out, errs)
	}
}

// TestBouncesByPipe holds that a mail to the sender of a report is taken for one that came back,
// whether the recipient is given or in the environment of an alias, and is no mail with reports.
func TestBouncesByPipe(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "m.toml")
	text := goodConfig + "\n[reports]\ndirectory = \"" + dir + "\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const forged = "r+20261129abcdefghijklmnopqrstuv00-1-aaaaaaaaaaaaaaaaaaaaaaaaaa@reports.example.net"
	mail := "From: MAILER-DAEMON@org.example\r\nContent-Type: text/xml\r\n\r\n" + reportXML
	if _, errs, code := mailseal(t, mail, "reports", "deliver", "--config", config,
		forged); code != exitGood {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	t.Setenv("ORIGINAL_RECIPIENT", forged)
	if _, errs, code := mailseal(t, mail, "reports", "deliver", "--config",
		config); code != exitGood {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	out, _, _ := mailseal(t, "", "reports", "received", "--config", config, "--json")
	if strings.Contains(out, "org.example") {
		t.Errorf("it was taken for a report: %s", out)
	}
	if out, _, _ = mailseal(t, "", "reports", "list", "--config", config,
		"--json"); !strings.Contains(out, "\"forged_bounces\": 2") {
		t.Errorf("the senders that were made up are not counted: %s", out)
	}
}
