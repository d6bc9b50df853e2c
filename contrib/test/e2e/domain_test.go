package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// mailRecords are what a domain with good mail has in the DNS, signed or not. There is a record at
// _domainkey because the zones of unbound 1.17 do not deny names below one that has none.
func mailRecords(name string) string {
	return strings.ReplaceAll(`@@. MX 10 mx.@@.
@@. TXT "v=spf1 mx ~all"
mx.@@. A 198.51.100.25
_domainkey.@@. A 192.0.2.1
s1._domainkey.@@. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_dmarc.@@. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@@@."
`, "@@@.", "@"+name)
}

func zoneOf(name string, lines ...string) string {
	text := fmt.Sprintf("$TTL 3600\n%s SOA ns. hostmaster. 1 3600 600 86400 300\n%s NS ns.\n", name,
		name)
	for _, l := range lines {
		text += l
	}
	return text
}

// lookedAt is what is read of the answer of "mailseal domain --json".
type lookedAt struct {
	Domain, Verdict string
	Findings        []struct{ Code, Name, Text string }
	Records         []struct {
		Name, Type, Status string
		Secure             bool
	}
}

func (l lookedAt) codes() []string {
	var out []string
	for _, f := range l.Findings {
		if !slices.Contains(out, f.Code) {
			out = append(out, f.Code)
		}
	}
	return out
}

// A resolver that validates answers SERVFAIL for records that were changed after they were signed:
// they could not be checked, which is another thing than missing. Of a domain that is signed the
// answers are said to be secure, and of one that is not it is noted.
func TestDomainBehindUnbound(t *testing.T) {
	records := func(name string) string { return strings.ReplaceAll(mailRecords(name), "@@", name) }
	address := rig.Unbound(t, []rig.DNSZone{
		{Name: ".", Signed: true, Text: zoneOf(".", "ns. A 127.0.0.1\ncom. NS ns.\norg. NS ns.\n",
			"25.100.51.198.in-addr.arpa. PTR mx.good.com.\n25.100.51.198.in-addr.arpa. PTR mx.plain.org.\n",
			"25.100.51.198.in-addr.arpa. PTR mx.bogus.com.\n")},
		{Name: "com.", Signed: true, Text: zoneOf("com.", records("good.com"), records("bogus.com"),
			"alias.com. MX 0 .\nalias.com. TXT \"v=spf1 -all\"\n_dmarc.alias.com. CNAME _dmarc.bogus.com.\n"),
			Spoil: func(signed string) string {
				// The one who changed these did not sign them again.
				signed = strings.ReplaceAll(signed, "rua=mailto:dmarc@bogus.com",
					"rua=mailto:dmarc@evil.example")
				return strings.ReplaceAll(signed, "bogus.com.\t\t3600\tIN TXT\t\"v=spf1 mx",
					"bogus.com.\t\t3600\tIN TXT\t\"v=spf1 +all")
			}},
		{Name: "org.", Text: zoneOf("org.", records("plain.org"))},
	})
	file := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "[dns]\nservers = [%q]\ntimeout = \"5s\"\n",
		address), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(name string, code int) lookedAt {
		r := rig.Run(t, "domain", "--config", file, "--json", "--selector", "s1", name)
		var out lookedAt
		if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Code != code {
			t.Fatalf("%s: exit code %d, want %d: %v\n%s%s", name, r.Code, code, err, r.Stdout,
				r.Stderr)
		}
		return out
	}
	const bogus, noAnswer, notSigned = "dnssec-bogus", "dns-no-answer", "dnssec-none"
	for _, tc := range []struct {
		name   string
		code   int
		signed bool
		has    []string // findings that are about DNSSEC, or failures
	}{
		{"good.com", 1, true, nil}, // 1: an Ed25519 key alone
		{"plain.org", 1, false, []string{notSigned}},
		{"bogus.com", 3, true, []string{bogus}},
		{"alias.com", 3, true, []string{bogus}},
	} {
		got := look(tc.name, tc.code)
		var about []string
		for _, c := range got.codes() {
			switch {
			case c == bogus || c == noAnswer || c == notSigned:
				about = append(about, c)
			case strings.HasSuffix(c, "-none") && c != "sts-none" && c != "tlsrpt-none" ||
				strings.Contains(c, "missing") && tc.name != "alias.com":
				t.Errorf("%s: %s, though it is there", tc.name, c)
			}
		}
		if !slices.Equal(about, tc.has) {
			t.Errorf("%s: %q, want %q among %+v", tc.name, about, tc.has, got.Findings)
		}
		for _, r := range got.Records {
			if isOwn := strings.HasSuffix(r.Name, tc.name); isOwn && r.Status == "found" &&
				r.Secure != tc.signed {
				t.Errorf("%s: %s %s: secure is %v", tc.name, r.Type, r.Name, r.Secure)
			}
			if r.Status == "failed" && strings.HasPrefix(r.Name, "mx.") {
				t.Errorf("%s: %s %s failed, though it is unchanged", tc.name, r.Type, r.Name)
			}
		}
	}
}
