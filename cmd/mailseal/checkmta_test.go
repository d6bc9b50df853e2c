package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config/mta"
	"mailseal/milter/action"
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
		{"warning", good + "milter_default_action = accept\n", exitGood, "main.cf:5: milter_default_action: accept: while Mailseal is away"},
		{"error", "smtpd_milters = inet:8891@127.0.0.1\n", exitBad, "smtpd ends at once, so that no client gets an answer\n  smtpd_milters = inet:127.0.0.1:8891\n"},
		{"all errors counted", "smtpd_milters = inet:8891@127.0.0.1\n", exitBad, ": errors: 1, warnings: 0, services through Mailseal: 0 of 2\n"},
		{"not yet", "", exitGood, "\n  smtpd_milters = { inet:127.0.0.1:8891, default_action=tempfail }\n  non_smtpd_milters = $smtpd_milters\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, code := runCommand(t, "check", "--config", configured(t, goodConfig), "--postfix", postfixBeside(t, tt.main), "--sendmail", sendmailBeside(t))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("got code %d and\n%swant code %d and %q", code, out, tt.code, tt.want)
			}
			if tt.name == "good" && (strings.Contains(out, "Sendmail") || strings.Contains(out, "warning: /")) {
				t.Errorf("got %s", out)
			}
		})
	}
}

// sendmailBeside makes the directory of a Sendmail that nobody uses.
func sendmailBeside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sendmail.cf"), []byte("O DaemonPortOptions=Name=MTA\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckMTAFlags(t *testing.T) {
	path := configured(t, goodConfig)
	if _, code := runCommand(t, "check", "--config", path, "--postfix", t.TempDir()); code != exitUnknown {
		t.Errorf("no Postfix there: got code %d", code)
	}
	broken := postfixBeside(t, "smtpd_milters = inet:8891@127.0.0.1\n")
	if out, code := runCommand(t, "check", "--config", path, "--no-mta", "--postfix", broken); code != exitGood || strings.Contains(out, "Postfix") {
		t.Errorf("told not to look: got code %d, %s", code, out)
	}
	out, _ := runCommand(t, "check", "--json", "--config", path, "--postfix", broken, "--sendmail", sendmailBeside(t))
	var a struct{ MTAs []mta.Report }
	if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.MTAs) != 2 {
		t.Fatalf("got %v, %s", err, out)
	}
	f := a.MTAs[0].Findings[0]
	if f.Severity != mta.Error || f.File != filepath.Join(broken, "main.cf") || f.Line != 3 || f.Fix != "smtpd_milters = inet:127.0.0.1:8891" || a.MTAs[1].Server != "Sendmail" {
		t.Errorf("got %+v", a.MTAs)
	}
}

// TestMTAAsConfigured: what mail servers are told of the configuration is what the configuration says.
func TestMTAAsConfigured(t *testing.T) {
	const text = "listen = [{ address = \"unix:/run/m.sock\", mode = \"0600\", group = \"mail\", role = \"ours\" }, { address = \"inet6:1@::1\" }]\nmode = \"sign\"\n[ours]\nnetworks = [\"10.0.0.0/8\"]\ndaemon_names = [\"A\"]\n" +
		"[relays]\nnetworks = [\"192.0.2.1\"]\n[exempt]\nnetworks = [\"192.0.2.2\"]\n[limits]\nmessage_deadline = \"7s\"\n"
	path := configured(t, strings.Replace(goodConfig, "listen = [{ address = \"inet:8891@127.0.0.1\" }]\n", text, 1))
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	d := asMTASees(cfg)
	if !d.Signs || d.Verifies || len(d.Networks) != 1 || d.Networks[0].String() != "10.0.0.0/8" || len(d.Others) != 2 || d.Deadline.Seconds() != 7 || len(d.DaemonNames) != 1 || len(d.Listeners) != 2 {
		t.Fatalf("got %+v", d)
	}
	want := mta.Listener{Setting: "listen[0]", Role: action.RoleOurs, Network: "unix", Target: "/run/m.sock", Mode: 0o600, Group: "mail"}
	if d.Listeners[0] != want || d.Listeners[1].Network != "tcp6" || d.Listeners[1].Target != "[::1]:1" {
		t.Errorf("got %+v", d.Listeners)
	}
}
