package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
)

// TestProposeDKIM makes keys for a domain and runs the command again until they sign: not before
// both name servers show both records, and without another key however often it is run.
func TestProposeDKIM(t *testing.T) {
	first, second := &dnstest.Zone{}, &dnstest.Zone{}
	one, two, silent := serveZone(t, first), serveZone(t, second), silentServer(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "mailseal.toml")
	settings := strings.Replace(serversConfig, `["ed25519"], selector = "s{alg}"`,
		`["rsa2048", "ed25519"]`, 1)
	settings = strings.Replace(settings, `publish = "0s"`, `publish = "48h"`, 1)
	if err := os.WriteFile(config, fmt.Appendf(nil, settings, one, two, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	store := keylife.Store{Dir: filepath.Join(dir, "state")}
	run := func(code int, want string, args ...string) string {
		t.Helper()
		out, got := runCommand(t, append([]string{"propose", "dkim", "--config", config,
			"example.com"}, args...)...)
		if got != code || !strings.Contains(out, want) {
			t.Fatalf("exit code %d, want %d and %q in\n%s", got, code, want, out)
		}
		return out
	}
	stages := func() (out []keys.Stage) {
		t.Helper()
		state, err := store.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range state.Keys {
			out = append(out, k.Stage)
		}
		return out
	}
	holds := func(z *dnstest.Zone, most int) {
		t.Helper()
		state, err := store.Read()
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string][]string{"example.com": {"x"}}
		for _, k := range state.Keys[:most] {
			texts[k.Record().Name] = []string{k.Record().Text}
		}
		z.Replace(dnstest.FromMap(texts))
	}
	generated := []keys.Stage{keys.Generated, keys.Generated}

	out := run(exitBad, "keys were made")
	if got := stages(); !slices.Equal(got, generated) {
		t.Fatalf("stages %q", got)
	}
	for _, want := range []string{"does not sign yet", "zone file:", "value:\n    v=DKIM1",
		"in strings:", one + ": absent", two + ": absent"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing says %q in\n%s", want, out)
		}
	}
	if strings.Contains(run(exitBad, "Publish the records"), "keys were made") ||
		len(stages()) != 2 {
		t.Error("a second run makes keys")
	}
	holds(first, 2)
	run(exitBad, two+": absent")
	holds(second, 1) // one of the two records alone
	run(exitBad, "Publish the records")
	run(exitUnknown, silent+": unreached", "--server", one, "--server", silent)
	if got := stages(); slices.Contains(got[1:], keys.Active) {
		t.Fatalf("stages %q though a record is missing", got)
	}
	holds(second, 2)
	out = run(exitGood, "All keys sign")
	if got := stages(); !slices.Equal(got, []keys.Stage{keys.Active, keys.Active}) {
		t.Fatalf("stages %q\n%s", got, out)
	}
	run(exitGood, "All keys sign")
	if len(stages()) != 2 {
		t.Error("keys that sign are made again")
	}
	for _, line := range strings.Split(out, "\n") {
		if text, isValue := strings.CutPrefix(line, "    v=DKIM1"); isValue {
			if _, err := dkim.ParseRecord("v=DKIM1" + text); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
	if out, _ := runCommand(t, "propose", "dkim", "--config", config, "exa..mple"); out != "" {
		t.Errorf("no domain: %s", out)
	}
}
