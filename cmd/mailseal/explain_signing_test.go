package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const explainConfig = `
authserv_id = "mx.example.com"
[ours]
networks = ["192.0.2.0/24"]
hosts = ["app.example.com"]
[signing]
unsigned_recipients = ["internal.example"]
[keys."good._domainkey.example.com"]
private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[keys."gone._domainkey.example.org"]
file = "gone.pem"
[[sign]]
from = ["boss@example.com"]
keys = ["good._domainkey.example.com"]
when.logins = ["boss"]
[[sign]]
from = ["example.com"]
keys = ["good._domainkey.example.com"]
[[sign]]
from = ["example.org"]
keys = ["gone._domainkey.example.org"]
[[sign]]
from = ["info*@*.example.net"]
keys = ["good._domainkey.example.com"]
`

func TestExplainSigning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(path, []byte(explainConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		says []string
	}{
		{"--from boss@example.com --ip 192.0.2.1", exitGood, []string{"is ours (network)", "sign[0]", "nobody logged in", "sign[1]  fits", "signs as good._domainkey.example.com", "pattern for the author: 2.", "by *@example.com"}},
		{"--from info-desk@a.example.net --ip 192.0.2.1", exitGood, []string{"sign[3]  fits", "by info*@*.example.net"}},
		{"--from boss@example.com --user boss", exitGood, []string{"is ours (authenticated)", "sign[0]  fits", "sign[0] stands before it"}},
		{"--from boss@example.com --ip 198.51.100.1 --host app.example.com --user boss", exitGood, []string{"is ours (authenticated)"}},
		{"--from a@example.com --ip 198.51.100.1 --host app.example.com", exitGood, []string{"is ours (host)"}},
		{"--from boss@example.com --ip 198.51.100.1", exitBad, []string{"is theirs (stranger)", "not ours"}},
		{"--from a@elsewhere.example --ip 192.0.2.1", exitBad, []string{"no rule names the author"}},
		{"--from a@example.org --ip 192.0.2.1", exitBad, []string{"CANNOT SIGN", "deferred"}},
		{"--from a@example.com --ip 192.0.2.1 --to b@internal.example", exitBad, []string{"unsigned_recipients"}},
		{"--from a@example.com --ip 192.0.2.1 --json", exitGood, []string{`"signed":true`, `"record":"good._domainkey.example.com"`}},
		{"--from nobody --ip 192.0.2.1", exitUsage, nil},
		{"--from a@example.com --ip x", exitUsage, nil},
	} {
		var out bytes.Buffer
		root := newRootCmd()
		root.SetOut(&out)
		root.SetArgs(append([]string{"explain-signing", "--config", path}, strings.Fields(tc.args)...))
		if code := codeOf(root.ExecuteContext(t.Context())); code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.args, code, tc.code, out.String())
		}
		for _, s := range tc.says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: says\n%s\nwithout %q", tc.args, out.String(), s)
			}
		}
	}
}
