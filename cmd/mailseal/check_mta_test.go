package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// postfixBeside makes a Postfix's directory out of a few lines of main.cf, and returns it.
func postfixBeside(t *testing.T, main string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.cf":   "compatibility_level = 3.6\ninternal_mail_filter_classes = bounce\n" + main,
		"master.cf": "smtp inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckMTA(t *testing.T) {
	const good = "smtpd_milters = inet:127.0.0.1:8891\nnon_smtpd_milters = $smtpd_milters\n"
	tests := []struct {
		name, main string
		code       int
		want       string
	}{
		{"good", good, exitGood, ": good; services through Mailseal: 2 of 2, warnings: 0\n"},
		{"warning", good + "milter_default_action = accept\n", exitGood,
			"main.cf:5: milter_default_action: accept: while Mailseal is down"},
		{"error", "smtpd_milters = inet:8891@127.0.0.1\n", exitBad, "smtpd exits at once, and no " +
			"client gets an answer\n  smtpd_milters = inet:127.0.0.1:8891\n"},
		{"all errors counted", "smtpd_milters = inet:8891@127.0.0.1\n", exitBad,
			": errors: 1, warnings: 0, services through Mailseal: 0 of 2\n"},
		{"not yet", "", exitBad, "\n  smtpd_milters = { inet:127.0.0.1:8891, " +
			"default_action=tempfail }\n  non_smtpd_milters = $smtpd_milters\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, code := runCommand(t, "check", "--config", configured(t, goodConfig), "--postfix",
				postfixBeside(t, tt.main), "--sendmail", sendmailBeside(t))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("got code %d and\n%swant code %d and %q", code, out, tt.code, tt.want)
			}
			if tt.name == "good" && (strings.Contains(out, "Sendmail") ||
				strings.Contains(out, "warning: /")) {
				t.Errorf("got %s", out)
			}
		})
	}
}

// sendmailBeside makes the directory of a Sendmail that no one uses.
func sendmailBeside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sendmail.cf"),
		[]byte("O DaemonPortOptions=Name=MTA\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckMTAFlags(t *testing.T) {
	path := configured(t, goodConfig)
	if _, code := runCommand(t, "check", "--config", path, "--postfix",
		t.TempDir()); code != exitUnknown {
		t.Errorf("no Postfix there: got code %d", code)
	}
	broken := postfixBeside(t, "smtpd_milters = inet:8891@127.0.0.1\n")
	if out, code := runCommand(t, "check", "--config", path, "--no-mta", "--postfix",
		broken); code != exitUsage {
		t.Errorf("told not to look, and where: got code %d, %s", code, out)
	}
	out, _ := runCommand(t, "check", "--json", "--config", path, "--postfix", broken, "--sendmail",
		sendmailBeside(t))
	var a struct {
		MTAs     []struct{ Server string }
		Findings []struct {
			Severity, File, Fix string
			Line                int
		}
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.MTAs) != 2 {
		t.Fatalf("got %v, %s", err, out)
	}
	f := a.Findings[0]
	if f.Severity != "error" || f.File != filepath.Join(broken, "main.cf") || f.Line != 3 ||
		!strings.HasPrefix(f.Fix, "smtpd_milters = inet:127.0.0.1:8891\n") ||
		a.MTAs[1].Server != "Sendmail" {
		t.Errorf("got %+v", a)
	}
}
