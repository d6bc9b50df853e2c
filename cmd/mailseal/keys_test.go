package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/keys/keylife"
)

// lifeSite is a configuration with a state directory, and the zone file that is its DNS.
type lifeSite struct {
	t            *testing.T
	config, zone string
	store        keylife.Store
}

const lifeConfig = `authserv_id = "mx.example.com"
state_directory = "state"
listen = [{ address = "inet:8891@127.0.0.1" }]
rotation = { publish = "0s", overlap = "0s", algorithms = ["ed25519"], selector = "s{alg}" }
[[sign]]
from = "example.com"
managed = "example.com"
`

func newLifeSite(t *testing.T) *lifeSite {
	t.Helper()
	dir := t.TempDir()
	s := &lifeSite{t, filepath.Join(dir, "mailseal.toml"), filepath.Join(dir, "zone"),
		keylife.Store{Dir: filepath.Join(dir, "state")}}
	if err := os.WriteFile(s.config, []byte(lifeConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	s.publish("")
	return s
}

func (s *lifeSite) publish(zone string) {
	s.t.Helper()
	if err := os.WriteFile(s.zone, []byte("example.com. A 192.0.2.1\n"+zone), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// run runs "mailseal keys ARGS" and wants an exit code and a part of the output.
func (s *lifeSite) run(code int, want string, args ...string) string {
	s.t.Helper()
	all := []string{"keys", "--config", s.config}
	asks := args[0] != "generate" && args[0] != "record" && (args[0] != "list" ||
		slices.Contains(args, "--format"))
	if asks { // the others ask no name server
		all = append(all, "--zone", s.zone)
	}
	out, got := runCommand(s.t, append(all, args...)...)
	if got != code || !strings.Contains(out, want) {
		s.t.Fatalf("keys %s: got code %d and\n%swant code %d and %q", strings.Join(args, " "), got,
			out, code, want)
	}
	return out
}

func (s *lifeSite) stage(selector string) keys.Stage {
	s.t.Helper()
	state, err := s.store.Read()
	if err != nil {
		s.t.Fatal(err)
	}
	k := state.Find(selector + "._domainkey.example.com")
	if k == nil {
		return ""
	}
	return k.Stage
}

func TestKeysByHand(t *testing.T) {
	s := newLifeSite(t)
	state := filepath.Join(filepath.Dir(s.config), "state")
	if out, code := runCommand(t, "check", "--config", s.config); code != exitBad ||
		!strings.Contains(out, "mount its disk") ||
		strings.Contains(out, "keys generate --config") {
		t.Errorf("check without the directory of the keys: got %d, %s", code, out)
	}
	if err := os.Mkdir(state, 0o750); err != nil {
		t.Fatal(err)
	}
	if out, code := runCommand(t, "check", "--config", s.config); code != exitBad ||
		!strings.Contains(out, "mailseal keys generate --config "+s.config+" example.com\n") {
		t.Errorf("check of nothing: got %d, %s", code, out)
	}
	first := s.run(exitGood, "se._domainkey.example.com is now generated, waits until all name servers show its record",
		"generate", "example.com", "--format", "line")
	record := records(first)
	s.run(exitBad, "absent", "publish-check", "example.com")
	s.run(exitBad, "stays generated: it cannot become active, but published or removed", "activate",
		"se._domainkey.example.com")
	s.publish("$SERVFAIL se._domainkey.example.com\n")
	s.run(exitUnknown, "unreached", "publish-check")
	s.publish(record)
	s.run(exitGood, "is now published", "publish-check", "EXAMPLE.com")
	if out, code := runCommand(t, "check", "--config", s.config); code != exitBad ||
		!strings.Contains(out, "mailseal keys rotate --config "+s.config+" example.com\n") {
		t.Errorf("check before: got %d, %s", code, out)
	}
	s.run(exitGood, "is now active", "activate", "example.com")
	if out, code := runCommand(t, "check", "--config", s.config, "--zone",
		s.zone); code != exitGood || !strings.Contains(out, "1 of 1 records good") {
		t.Errorf("check after: got %d, %s", code, out)
	}
	if out, code := runCommand(t, "explain-signing", "--config", s.config, "--from",
		"a@example.com"); code != exitGood ||
		!strings.Contains(out, "signs as se._domainkey.example.com") {
		t.Errorf("explain-signing: got %d, %s", code, out)
	}
	s.run(exitBad, "make and activate one first", "retire", "example.com")

	second := s.run(exitGood, "se-2._domainkey.example.com is now generated", "generate",
		"example.com", "--format", "line")
	other := records(second)
	s.publish(record + other)
	s.run(exitGood, "is now published", "publish-check")
	s.run(exitGood, "se-2._domainkey.example.com is now active", "activate",
		"se-2._domainkey.example.com.")
	if s.stage("se") != keys.Retiring {
		t.Fatalf("the key before is %s", s.stage("se"))
	}
	s.run(exitBad, `se._domainkey.example.com. 3600 IN TXT "v=DKIM1; k=ed25519; p="`, "revoke",
		"example.com", "--format", "line")
	s.publish(other + `se._domainkey.example.com. TXT "v=DKIM1; k=ed25519; p="` + "\n")
	s.run(exitGood, "is now revoked", "revoke", "example.com")
	s.run(exitBad, "remove the record first", "remove", "example.com")
	s.publish(other)
	private := filepath.Join(s.store.Dir, "keys/example.com/se.pem")
	if _, err := os.Stat(private); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "is now removed", "remove", "example.com")
	if _, err := os.Stat(private); err == nil {
		t.Error("the private key is still there")
	}
	if out := s.run(exitGood, "se-2._domainkey.example.com", "list"); strings.Contains(out,
		"se._domainkey") {
		t.Errorf("list: %s", out)
	}
	s.run(exitGood, "se._domainkey.example.com ", "list", "--all")
	s.run(exitBad, "", "activate", "example.net")
}

// records are the lines with records that a command printed with --format line.
func records(out string) string {
	var found strings.Builder
	for line := range strings.Lines(out) {
		if strings.Contains(line, " IN TXT ") {
			found.WriteString(line)
		}
	}
	return found.String()
}

func TestKeysRotate(t *testing.T) {
	s := newLifeSite(t)
	first := s.run(exitGood, "", "generate", "example.com", "--format", "line")
	record := records(first)
	s.run(exitGood, "waits until all name servers show its record", "rotate")
	s.publish(record)
	if out := s.run(exitGood, "is now published", "rotate"); !strings.Contains(out,
		"is now active") {
		t.Errorf("the first key is not active as soon as it is published: %s", out)
	}
	s.run(exitGood, "", "rotate")
	if s.stage("se-2") != "" {
		t.Fatal("a key was made that nobody asked for")
	}
	second := s.run(exitGood, "se-2._domainkey.example.com is now generated", "rotate", "--every",
		"0h0m1ns", "--format", "line")
	other := records(second)
	s.publish(record + other)
	s.run(exitGood, "is now published", "rotate", "example.com")
	s.run(exitGood, "is now active", "rotate")
	s.run(exitGood, "waits until all name servers show its record with the empty p=", "rotate")
	s.publish(other)
	s.run(exitGood, "is now revoked", "rotate")
	s.run(exitGood, "is now removed", "rotate")
	s.publish(other + "$TIMEOUT se-2._domainkey.example.com\n")
	s.run(exitGood, "", "rotate")
}

func TestKeysForce(t *testing.T) {
	s := newLifeSite(t)
	s.run(exitGood, "", "generate", "example.com")
	s.run(exitBad, "", "activate", "example.com", "--force",
		"no stage is jumped over, and none is guessed")
	state, _ := s.store.Read()
	record := state.Keys[0].Record()
	s.publish(record.Line() + "\n")
	s.run(exitGood, "is now published", "publish-check")
	s.publish("")
	s.run(exitBad, "no record is published", "activate", "example.com")
	s.run(exitGood, "is now active", "activate", "example.com", "--force", "moving servers")
	state, _ = s.store.Read()
	last := state.Keys[0].History[2]
	if last.Forced != "moving servers" || !strings.Contains(last.Over, "no record is published") {
		t.Errorf("got %+v", last)
	}
	if err := os.Remove(filepath.Join(s.store.Dir, "keys/example.com/se.pem")); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "", "generate", "example.com")
	if err := s.store.Update(func(state *keylife.State) error {
		state.Keys[1].Stage = keys.Published
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.store.Dir, "keys/example.com/se-2.pem")); err != nil {
		t.Fatal(err)
	}
	s.run(exitBad, "the private key does not work", "activate", "example.com", "--force", "really")
}

// TestKeysGenerateSays holds that generate says when the new keys sign, and of a second run first
// which keys are there and then why the selector has a number.
func TestKeysGenerateSays(t *testing.T) {
	s := newLifeSite(t)
	first := s.run(exitGood, "The daemon checks every minute", "generate", "example.com",
		"--format",
		"line")
	if !strings.Contains(first, "goes unsigned (first_key)") {
		t.Errorf("of the first keys:\n%s", first)
	}
	again := s.run(exitGood, "(the selector se is taken by another key, so -2 was added)",
		"generate",
		"example.com")
	if !strings.HasPrefix(again, "se._domainkey.example.com (was there before: generated since ") ||
		!strings.Contains(again, "mailseal keys remove se._domainkey.example.com)\nse-2.") {
		t.Errorf("of a second run:\n%s", again)
	}
	s.publish(records(first))
	s.run(exitGood, "is now active", "rotate")
	s.run(exitGood, "The present keys continue to sign. Run \"mailseal keys rotate\"", "generate",
		"example.com")
	for _, tc := range []struct {
		code int
		args string
	}{
		{exitUsage, "--selector {yr}"}, {exitUsage, "--algorithm dsa"},
		{exitUsage, "--selector {year} --vendor"},
	} {
		args := append([]string{"generate", "example.com"}, strings.Fields(tc.args)...)
		s.run(tc.code, "", args...)
	}
	if err := os.RemoveAll(s.store.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.store.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitUnknown, "", "generate", "example.com")
}

func TestKeysVendor(t *testing.T) {
	s := newLifeSite(t)
	s.run(exitUsage, "", "generate", "example.com", "--vendor")
	s.run(exitBad, "", "generate", "example.com", "--vendor", "--selector", "v", "--record",
		"v=spf1 -all")
	const text = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	s.run(exitGood, `v._domainkey.example.com. 3600 IN TXT "`+text, "generate", "example.com",
		"--vendor", "--selector", "v", "--record", text, "--format", "line")
	s.publish(`v._domainkey.example.com. TXT "` + text + "\"\n")
	s.run(exitGood, "is now published", "rotate", "--every", "1ns")
	s.run(exitGood, "", "rotate", "--every", "1ns")
	if s.stage("v") != keys.Published || s.stage("se") != "" {
		t.Errorf("got %s, %s", s.stage("v"), s.stage("se"))
	}
	if out, code := runCommand(t, "check", "--config", s.config, "--zone",
		s.zone); !strings.Contains(out, "1 of 1 records good") {
		t.Errorf("got %d, %s", code, out)
	}
	s.run(exitGood, "a vendor's key, published; Mailseal only", "rotate")
	s.publish("")
	s.run(exitGood, "is now removed", "remove", "v._domainkey.example.com")
	s.run(exitBad, "which is the last stage", "activate", "v._domainkey.example.com")
	s.run(exitGood, "is now generated", "generate", "example.com", "--vendor", "--selector", "v")
	s.run(exitBad, "", "generate", "example.com", "--vendor", "--selector", "v")
}

func TestKeysFormats(t *testing.T) {
	s := newLifeSite(t)
	s.run(exitUsage, "", "generate", "example.com", "--format", "fax")
	if s.stage("se") != "" {
		t.Fatal("a key was made before the mistake was found")
	}
	s.run(exitGood, "", "generate", "example.com")
	s.run(exitGood, "se._domainkey.example.com. 3600 IN TXT (\n", "list", "--format", "zone")
	s.run(exitGood, "update add se._domainkey.example.com.", "list", "--format", "nsupdate")
	s.run(exitGood, "", "list", "example.net")
	s.run(exitBad, "", "list", "example.net", "--format", "zone") // not an empty zone
	var record struct{ Name, Value string }
	if err := json.Unmarshal([]byte(s.run(exitGood, "", "list", "--format", "json")),
		&record); err != nil || record.Name != "se._domainkey.example.com" {
		t.Errorf("got %+v, %v", record, err)
	}
	var key struct{ Stage, Selector string }
	if err := json.Unmarshal([]byte(s.run(exitGood, "", "list", "--json")), &key); err != nil ||
		key.Stage != "generated" {
		t.Errorf("got %+v, %v", key, err)
	}
}

// TestKeysFirst holds that one who has published the records of a first key need not wait, but for
// another record that was there before; and that generate says what to configure.
func TestKeysFirst(t *testing.T) {
	s := newLifeSite(t)
	out := s.run(exitGood, "  [[sign]]\n  from = [\"*@example.net\"]\n  managed = \"example.net\"\n",
		"generate", "example.net", "--format", "line")
	if !strings.Contains(out, "se._domainkey.example.net.") {
		t.Fatalf("got %s", out)
	}
	first := s.run(exitGood, "", "generate", "example.com", "--format", "line")
	if strings.Contains(first, "[[sign]]") {
		t.Errorf("a rule is there already: %s", first)
	}
	record := strings.TrimSpace(records(first))
	s.publish("se._domainkey.example.com. 7200 IN TXT \"v=DKIM1; k=ed25519; " +
		"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n")
	s.run(exitGood, "waits until all name servers show its record", "rotate", "example.com")
	s.publish(record + "\n")
	s.run(exitGood, "another record was at this name, and resolvers may still have it cached; wait until", "rotate",
		"example.com")
	s.run(exitBad, "another record was at this name", "activate", "example.com")
}

// TestKeysRecord holds that the records of all keys can be printed again, and that all that sign
// are listed.
func TestKeysRecord(t *testing.T) {
	s := newLifeSite(t)
	dir := t.TempDir()
	if out, code := runCommand(t, "keygen", "--domain", "example.org", "--selector", "f", "--dir",
		dir, "--algorithm", "ed25519"); code != exitGood {
		t.Fatal(out)
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "[keys.\"f._domainkey.example.org\"]\nfile = \""+dir+
		"/f.pem\"\n[[sign]]\nfrom = \"example.org\"\nkeys = \"f._domainkey.example.org\"\n"...)
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "", "generate", "example.com")
	s.run(exitGood, `f._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=ed25519; p=`, "record",
		"example.org", "--format", "line")
	s.run(exitGood, `se._domainkey.example.com. 3600 IN TXT "v=DKIM1; k=ed25519; p=`, "record",
		"SE._domainkey.example.com.", "--format", "line")
	s.run(exitBad, "", "record", "other._domainkey.example.com")
	list := s.run(exitGood, "f._domainkey.example.org", "list")
	if !strings.Contains(list, "se._domainkey.example.com") ||
		!strings.Contains(list, dir+"/f.pem") {
		t.Errorf("got %s", list)
	}
	s.run(exitGood, `"stage":"signs"`, "list", "--json")
	s.run(exitGood, "f._domainkey.example.org. 3600 IN TXT", "list", "--format", "line")
	if list := s.run(exitGood, "se._domainkey.example.com", "list",
		"example.com"); strings.Contains(list, "example.org") {
		t.Errorf("of one domain: got %s", list)
	}
}
