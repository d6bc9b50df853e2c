package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewcomer runs commands as someone does who has not set up what they need, or who writes a
// value in another form, and holds that the answer says what to do.
func TestNewcomer(t *testing.T) {
	dir := t.TempDir()
	if out, errs, code := mailseal(t, "", "keygen", "--domain", "example.com", "--dir",
		filepath.Join(dir, "keys")); code != exitGood {
		t.Fatal(out, errs)
	}
	made, err := filepath.Glob(filepath.Join(dir, "keys", "*.pem"))
	if err != nil || len(made) == 0 {
		t.Fatal(made, err)
	}
	files := map[string]string{
		"plain.toml": "domain = \"example.com\"\nselector = \"mail\"\nkey_file = \"" + made[0] +
			"\"\n" +
			"[reports]\nstore = \"sqlite:" + dir + "/reports.db\"\n",
		"away.toml": "domain = \"example.com\"\nselector = \"mail\"\nkey_file = \"" + made[0] +
			"\"\n" +
			"[reports]\nstore = \"sqlite:" + dir + "/gone/reports.db\"\n",
		"zone": "$ORIGIN example.com.\n@ 3600 IN SOA ns h 1 2 3 4 5\n" +
			"@ 3600 IN TXT \"v=spf1 include:_spf.example.net -all\"\n@ 3600 IN MX 10 mx.example.net.\n" +
			"_dmarc 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:a@example.org\"\n" +
			"s1._domainkey 3600 IN CNAME s1.example.net.\n",
		"spf": "$ORIGIN .\nhard.example. 60 IN TXT \"v=spf1 ip4:192.0.2.1 ip4:nonsense -all\"\n" +
			"two.example. 60 IN TXT \"v=spf1 ip4:192.0.2.1 ~all\"\ntwo.example. 60 IN TXT \"v=spf1 mx ~all\"\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := `no such file or directory: -c names it; is the path right? "mailseal setup" makes`
	for _, tc := range []struct {
		name, args string
		code       int
		want, not  string
	}{
		{"status of no configuration", "status -c @gone.toml", exitUnknown, "gone.toml: " + missing,
			"no daemon answers"},
		{"reload of no configuration", "reload -c @gone.toml", exitUnknown, "gone.toml: " + missing,
			"no daemon answers"},
		{"explain of no configuration", "explain-signing --from a@example.com -c @gone.toml", exitUnknown, missing, ""},
		{"check of no configuration", "check --no-mta -c @gone.toml", exitUnknown, missing, ""},
		{"reports of no configuration", "reports list -c @gone.toml", exitUnknown, missing, "collect"},
		{"status of a broken one", "status --no-check -c @zone", exitBad, "zone:1", ""},
		{"reload of a broken one", "reload -c @zone", exitBad, "not reloaded: the configuration in effect stays",
			"no daemon answers"},
		{"no store yet", "reports list -c @plain.toml", exitUnknown,
			"reports.store: there is no store of reports at", "No mail is counted"},
		{"a store is made", "reports suppress -c @plain.toml a@b.example", exitGood, "a@b.example", ""},
		{"nothing is collected", "reports preview -c @plain.toml example.net", exitBad,
			"collect = true in [reports] of", ""},
		{"there is no store", "reports list -c @away.toml", exitUnknown, "collect = true in [reports] of", ""},
		{"an empty list", "reports list -c @plain.toml", exitGood, "while reports.collect is true", ""},
		{"preview of no domain", "reports preview -c @plain.toml not.a..domain", exitUsage,
			"not a domain name", "collect"},
		{"list of no domain", "reports list -c @plain.toml --domain a..b", exitUsage, "not a domain name", ""},
		{"names outside the file", "domain --zone @zone --selector s1 example.com", exitGood,
			"[zone-file-outside]", "[dkim-missing]"},
		{"a mail host outside", "domain --zone @zone --selector s1 example.com", exitGood,
			"not checked: mx.example.net", "mx-no-address"},
		{"an include outside", "domain --zone @zone --selector s1 example.com", exitGood,
			"_spf.example.net: unknown, because", "spf-include"},
		{"a report address outside", "domain --zone @zone --selector s1 example.com", exitGood,
			"not checked: _dmarc.example.org", "unauthorized"},
		{"an alias outside", "domain --zone @zone --selector s1 example.com", exitGood,
			"an alias of s1.example.net", "dangling"},
		{"a name in the file", "domain --zone @zone --selector s7 example.com", exitBad, "[dkim-missing]", ""},
		{"another domain than the file's", "domain --zone @zone example.org", exitUnknown,
			"could not check NS", "domain-missing"},
		{"a network", "propose spf --zone @spf --address 192.0.2.0/24 a.example", exitGood,
			"v=spf1 ip4:192.0.2.0/24 ~all", ""},
		{"a network of IPv6", "propose spf --zone @spf --address 2001:db8::/32 a.example", exitGood,
			"ip6:2001:db8::/32", ""},
		{"an address in a network", "propose spf --zone @spf --address 192.0.2.7/24 a.example",
			exitUsage, "192.0.2.0/24; write one", ""},
		{"no address", "propose spf --zone @spf --address here a.example", exitUsage,
			"neither an IP address nor a network", "ParseAddr"},
		{"a private address", "propose spf --zone @spf --address 10.1.2.3 a.example", exitGood,
			"10.1.2.3 is private", ""},
		{"-all", "propose spf --zone @spf hard.example", exitGood, "The published record ends in -all", ""},
		{"a dropped term", "propose spf --zone @spf hard.example", exitGood,
			`The term "ip4:nonsense" of the published record was left out`, ""},
		{"two records", "propose spf --zone @spf two.example", exitGood, "This published record is not used", ""},
		{"mailto", "propose dmarc --zone @spf --reports MAILTO:a@a.example a.example", exitGood,
			"rua=mailto:a@a.example", "MAILTO"},
		{"one flag of three", "sign --domain example.com", exitUsage,
			"--domain has no effect without --selector", "group"},
		{"two forms", "reports read --json --csv @zone", exitUsage, "--json has no effect " +
			"together with --csv", "group"},
		{"two forms of a list", "reports sources --json --csv", exitUsage, "--json has no effect " +
			"together with --csv", "group"},
		{"no name", "keys record", exitUsage, "keys record needs at least one NAME", "arg(s)"},
		{"two addresses", "reports suppress a b", exitUsage, "takes only one ADDRESS", "arg(s)"},
	} {
		args := strings.Fields(tc.args)
		for i, a := range args {
			if name, isFile := strings.CutPrefix(a, "@"); isFile {
				args[i] = filepath.Join(dir, name)
			}
		}
		out, errs, code := mailseal(t, "", args...)
		all := out + errs
		if code != tc.code || !strings.Contains(all, tc.want) ||
			tc.not != "" && strings.Contains(all, tc.not) {
			t.Errorf("%s: exit code %d, want %d with %q and without %q\n%s", tc.name, code, tc.code,
				tc.want, tc.not, all)
		}
	}
}
