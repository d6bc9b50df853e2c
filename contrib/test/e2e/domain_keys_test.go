package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/miltertest"
)

const domainKeysConfig = `authserv_id = "mx.example.com"
mode = "sign"
state_directory = "%[1]s"
listen = [{ address = "unix:%[1]s/s" }]
control = { address = "%[1]s/control" }
ours = { authenticated = true }
[keys."mail._domainkey.%%"]
file = "%[1]s/keys/%%/mail.pem"
[[sign]]
from = ["*"]
keys = ["mail._domainkey.%%"]
`

// TestKeysOfDomains has users send through the daemon where each domain has its key in a file of
// its own: with a key, without one, with one that came or went meanwhile, over a restart, and where
// the disk with the keys is away.
func TestKeysOfDomains(t *testing.T) {
	dir := rig.Dir(t)
	text, err := keys.Marshal(made.key(t, "of domains", keys.Ed25519))
	if err != nil {
		t.Fatal(err)
	}
	add := func(domain string) {
		t.Helper()
		path := filepath.Join(dir, "keys", domain, "mail.pem")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	add("one.example")
	add("xn--bcher-kva.example")
	config := fmt.Sprintf(domainKeysConfig, dir)
	daemon := rig.MailsealIn(t, dir, config, rig.DaemonOptions{})
	send := func(name, author, d, want string) {
		t.Helper()
		got := fateOf(t, dir, miltertest.Message{
			From: "joe@one.example", To: []string{"b@other.example"}, Auth: "joe",
			Raw: []byte("From: a@" + author + "\n\nbody\n"),
		}, "d="+d+"; s=mail;")
		if got != want {
			t.Errorf("%s: %s, want %s\n%s", name, got, want, daemon.Output())
		}
	}
	send("a key", "one.example", "one.example", "signed")
	send("a domain in U-labels", "bücher.example", "xn--bcher-kva.example", "signed")
	send("capitals", "ONE.Example", "one.example", "signed")
	send("no key", "two.example", "", "unsigned")
	send("a way out", "..", "", "unsigned")
	add("two.example")
	send("a key that came", "two.example", "two.example", "signed")
	move("keys/one.example", "one")
	send("a key that is lost", "one.example", "", "451")
	daemon.Stop(t)
	daemon = rig.MailsealIn(t, dir, config, rig.DaemonOptions{})
	send("it is, after a restart", "one.example", "", "451")
	send("another domain", "two.example", "two.example", "signed")
	move("one", "keys/one.example")
	send("it is back", "one.example", "one.example", "signed")
	move("keys", "away")
	send("the disk is away", "three.example", "", "451")
	if log := daemon.Output(); !strings.Contains(log, filepath.Join(dir, "keys")) ||
		!strings.Contains(log, "check that the disk is mounted") {
		t.Errorf("the log does not say which directory is missing:\n%s", log)
	}
	move("away", "keys")
	send("it is mounted again", "three.example", "", "unsigned")
	move("keys/two.example", "two")
	if said := rig.Run(t, "reload", "--config", filepath.Join(dir, "mailseal.toml"),
		"--accept"); said.Code != 0 {
		t.Errorf("reload --accept: %+v", said)
	}
	send("it is let go", "two.example", "", "unsigned")
}
