package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDomainCommands runs domain, dkim and spf with a name against a zone file.
func TestDomainCommands(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	zone := write("zone", `$ORIGIN .
example.com. 3600 IN MX 0 .
example.com. 3600 IN TXT "v=spf1 -all"
_dmarc.example.com. 3600 IN TXT "v=DMARC1; p=reject; rua=mailto:a@example.net; fo=1:d; ruf=mailto:b@example.net"
example.com._report._dmarc.example.net. 3600 IN TXT "v=DMARC1"
example.net. 3600 IN MX 10 mx.example.net.
s1._domainkey.example.com. 3600 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
bad.example. 3600 IN TXT "v=spf1 +all"
two.example. 3600 IN TXT "v=spf1 -all"
two.example. 3600 IN TXT "v=spf1 mx -all"
none.example. 3600 IN TXT "text"
soft.example. 3600 IN TXT "v=spf1 -all"
soft.example. 3600 IN MX 0 .
_dmarc.soft.example. 3600 IN TXT "v=DMARC1; p=reject"
$SERVFAIL slow.example.
$SERVFAIL s1._domainkey.slow.example.
`)
	list := write("list", "# parked\nexample.com # first\n\nsoft.example\n")
	for _, tc := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"a mistake", "domain bad.example", exitBad, "[spf-plus-all]"},
		{"a warning", "domain soft.example", exitGood, "[dmarc-no-rua]"},
		{"a warning that counts", "domain --strict soft.example", exitBad, "[dmarc-no-rua]"},
		{"not checked", "domain slow.example", exitUnknown, "could not check"},
		{"nothing to check", "domain", exitUsage, ""},
		{"no domain", "domain exa..mple", exitUsage, ""},
		{"a list", "domain --file " + list + " --format prometheus", exitBad,
			`mailseal_domain_finding{domain="example.com",code="dkim-ed25519-alone",severity="error"} 1`},
		{"JSON", "domain --json soft.example", exitGood, `"version":1,"domain":"soft.example","verdict":"warnings"`},
		{"no such format", "domain --format xml example.com", exitUsage, ""},
		{"all codes", "domain --list", exitGood, "spf-plus-all"},
		{"a missing key", "domain --selector s7 soft.example", exitBad, "[dkim-missing]"},
		{"an address", "domain --address 192.0.2.7 soft.example", exitBad, "[spf-own-address]"},
		{"no address", "domain --address here soft.example", exitUsage, ""},
		{"a key", "dkim s1 example.com", exitGood, "a key for ed25519-sha256 of 256 bits"},
		{"no key", "dkim s2 example.com", exitBad, "[dkim-missing]"},
		{"a key that is not known", "dkim s1 slow.example", exitUnknown, "could not check"},
		{"words", "spf example.com", exitGood, "example.com: fail"},
		{"no record", "spf none.example", exitBad, "none.example: no SPF record\n"},
		{"two records", "spf two.example", exitBad, "two.example: 2 SPF records; receivers use none"},
		{"no domain for SPF", "spf nowhere.example", exitBad, "the domain does not exist"},
		{"no answer", "spf slow.example", exitUnknown, ""},
		{"a client", "spf --ip 192.0.2.1 example.com", exitBad, "fail: "},
		{"report addresses", "dmarc --json example.com", exitGood,
			`"rua":["mailto:a@example.net"],"ruf":["mailto:b@example.net"],"fo":["1","d"]`},
	} {
		args := strings.Fields(tc.args)
		if !strings.Contains(tc.args, "--list") {
			args = append(args, "--zone", zone)
		}
		out, errs, code := mailseal(t, "", args...)
		if code != tc.code || !strings.Contains(out, tc.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", tc.name, code, tc.code, tc.want, out,
				errs)
		}
	}
}
