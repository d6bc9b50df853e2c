package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/setup"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
)

// TestSetupHints runs the commands that setup prints on a host with OpenDKIM, whose configuration
// is not at its usual place, and OpenDMARC: the import, the check, and shadow before the real
// OpenDKIM.
func TestSetupHints(t *testing.T) {
	h := newOldHost(t, "sv")
	front, old := rig.FreePort(t, "127.0.0.1"), "unix:"+h.path("old.sock")
	rig.StartOpenDKIM(t, old, h.lines...)
	h.write(t, "opendkim.conf", strings.Join(append(h.lines, "Socket "+old), "\n")+"\n")
	h.write(t, "opendmarc.conf", "AuthservID mx.home.example\nSocket inet:8893@localhost\nRejectFailures true\n")

	var out bytes.Buffer
	err := setup.Run(t.Context(), setup.Options{
		Domains: []string{"home.example"}, MTA: "none", Yes: true, JSON: true, Out: &out,
		Config: h.path("none.toml"), OpenDKIM: h.path("opendkim.conf"), OpenDMARC: h.path("opendmarc.conf"),
		Resolver: dnstest.Must(""),
	})
	if err == nil {
		t.Error("setup is content where OpenDKIM is")
	}
	var result setup.Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	moving := h.path("moving")
	var commands [][]string
	for line := range strings.Lines(strings.Join(result.Todo, "\n")) {
		if command, ok := strings.CutPrefix(line, "  mailseal "); ok {
			command = strings.ReplaceAll(command, "~/moving", moving)
			command = strings.ReplaceAll(command, "inet:8892@127.0.0.1", "inet:"+portOf(front)+
				"@127.0.0.1")
			commands = append(commands, strings.Fields(command))
		}
	}
	if len(commands) != 3 {
		t.Fatalf("want import, check and shadow, got %v", result.Todo)
	}
	for _, args := range commands[:2] {
		if said := rig.Run(t, args...); said.Code != 0 {
			t.Errorf("mailseal %s: %+v", strings.Join(args, " "), said)
		}
	}
	made, err := os.ReadFile(filepath.Join(moving, "mailseal.toml"))
	if err != nil || !bytes.Contains(made, []byte(`p_reject = "reject"`)) ||
		!bytes.Contains(made, []byte("home.example")) {
		t.Errorf("what was imported: %v\n%s", err, made)
	}
	log := h.path("shadow.log")
	shadow := rig.Serve(t, rig.DaemonOptions{}, append(commands[2], "--log", log)...)
	said := rig.RunWith(t, []byte("From: a@home.example\r\nSubject: s\r\n\r\nhi\r\n"), "mta",
		"--milter", "inet:"+portOf(front)+"@127.0.0.1", "-")
	if said.Code != 0 || !strings.Contains(said.Stdout, "DKIM-Signature") {
		t.Errorf("through shadow: %+v", said)
	}
	shadow.Stop(t)
	text, err := os.ReadFile(log)
	if err != nil || !bytes.Contains(text, []byte("author=home.example")) {
		t.Errorf("shadow's log: %v\n%s", err, text)
	}
}
