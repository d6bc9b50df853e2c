package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSPFCommand(t *testing.T) {
	zone := filepath.Join(t.TempDir(), "zone")
	const text = `
example.com TXT "v=spf1 ip4:192.0.2.1 -all exp=why.example.com"
why.example.com TXT "says %{r} at %{t}"
mail.example.org TXT "v=spf1 exists:%{l}.%{h} ?all"
postmaster.mail.example.org A 127.0.0.2
$TIMEOUT slow.example.com
`
	if err := os.WriteFile(zone, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, args string
		code       int
		want       string // in the output
	}{
		{"pass", "--ip 192.0.2.1 --from joe@example.com", exitGood, "pass: 192.0.2.1 matches"},
		{"mapped", "--ip ::ffff:192.0.2.1 --from <joe@example.com>", exitGood, "pass: 192.0.2.1 matches"},
		{"fail", "--ip 192.0.2.2 --from joe@example.com --receiver mx.example.net --now 2023-11-14T22:13:20Z",
			exitBad, "example.com explains: says mx.example.net at 1700000000"},
		{"null sender", "--ip 192.0.2.1 --helo mail.example.org --from=", exitGood,
			"mailfrom postmaster@mail.example.org"},
		{"HELO", "--ip 192.0.2.1 --helo mail.example.org", exitGood, "helo postmaster@mail.example.org"},
		{"none", "--ip 192.0.2.1 --from joe@example.net", exitBad, "none: example.net does not exist"},
		{"temperror", "--ip 192.0.2.1 --from joe@slow.example.com", exitUnknown, "temperror: "},
		{"JSON", "--ip 192.0.2.2 --from joe@example.com --json", exitBad, `"mechanism":"-all"`},
		{"no address", "--from joe@example.com", exitUsage, ""},
		{"no identity", "--ip 192.0.2.1", exitUsage, ""},
		{"bad address", "--ip 192.0.2.1x --from joe@example.com", exitUsage, ""},
		{"bad time", "--ip 192.0.2.1 --from joe@example.com --now yesterday", exitUsage, ""},
		{"argument", "--ip 192.0.2.1 --from joe@example.com example.com", exitUsage, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := runSPF(t, append(strings.Fields(tt.args), "--zone", zone))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d, want %d\n%s\nwant in it: %s", code, tt.code, out, tt.want)
			}
			if tt.name == "JSON" && !json.Valid([]byte(out)) {
				t.Errorf("not JSON: %s", out)
			}
		})
	}
	if code, _ := runSPF(t, []string{"--ip", "192.0.2.1", "--helo", "x.example", "--zone",
		zone + "x"}); code != exitUnknown {
		t.Errorf("no zone file: exit code %d", code)
	}
}

func runSPF(t *testing.T, args []string) (int, string) {
	t.Helper()
	out, errs, code := mailseal(t, "", append([]string{"spf"}, args...)...)
	if code == exitUsage {
		return code, errs
	}
	return code, out
}
