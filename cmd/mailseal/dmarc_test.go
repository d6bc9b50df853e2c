package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const dmarcZone = `
_dmarc.example.com.   IN TXT "v=DMARC1; p=reject; sp=quarantine; pct=50"
news.example.com.     IN A 192.0.2.1
$SERVFAIL _dmarc.lost.example.
`

func TestDMARCCommand(t *testing.T) {
	zone := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(zone, []byte(dmarcZone), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		says []string
	}{
		{"example.com", exitGood, []string{"asks for: reject (p=)", "organizational domain: example.com", "pct"}},
		{"news.example.com", exitGood, []string{"asks for: quarantine (sp=)", "_dmarc.news.example.com"}},
		{"news.example.com --dkim example.com", exitGood, []string{"dkim example.com: aligned", "Result: pass"}},
		{"example.com --spf other.example", exitBad, []string{"spf  other.example: not aligned", "Result: fail"}},
		{"other.example", exitBad, []string{"Result: none"}},
		{"lost.example", exitUnknown, []string{"Result: temperror"}},
		{"not..a.name", exitUsage, nil},
		{"example.com --json", exitGood, []string{`"policy":"reject"`, `"organizational_domain":"example.com"`}},
	} {
		out, _, code := mailseal(t, "",
			append([]string{"dmarc", "--zone", zone}, strings.Fields(tc.args)...)...)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.args, code, tc.code, out)
		}
		for _, s := range tc.says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: says\n%s\nwithout %q", tc.args, out, s)
			}
		}
	}
}
