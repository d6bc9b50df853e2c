package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
)

// rule adds a rule to a configuration.
func rule(from, more string) string {
	return strings.Replace(goodConfig, `from = "example.com"`, "from = "+from+"\n"+more, 1)
}

// publishedBeside returns the record of the key s.pem beside a configuration, as d= of a domain.
func publishedBeside(t *testing.T, path, domain string) keys.Record {
	t.Helper()
	source := assembly.FileKeys(t.Context(), &config.Config{Keys: map[string]config.Key{
		"k": {Domain: domain, Selector: "s", File: filepath.Join(filepath.Dir(path), "s.pem")}}},
		nil)
	k, err := source.Key(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	record, err := k.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// anyDomain has a key that signs as the author's domain.
var anyDomain = strings.Replace(strings.Replace(goodConfig, `[keys."s._domainkey.example.com"]`,
	"[keys.k]\ndomain = \"%\"\nselector = \"s\"", 1),
	`keys = "s._domainkey.example.com"`, `keys = "k"`, 1)

func TestCheckDNS(t *testing.T) {
	const own = "RECORD example.com\n"
	tests := []struct {
		name   string
		config string
		zone   string // "RECORD d" stands for the key's record at d
		code   int
		want   string
	}{
		{"good", goodConfig, own, exitGood, "DNS: 1 of 1 records good"},
		{"missing", goodConfig, "example.com. A 192.0.2.1\n", exitBad,
			"error: s._domainkey.example.com: there is no TXT record"},
		{"what to publish", goodConfig, "", exitBad,
			`publish: s._domainkey.example.com. 3600 IN TXT "v=DKIM1; k=ed25519; p=`},
		{"doubled suffix", goodConfig, `s._domainkey.example.com.example.com. TXT "KEY"` + "\n",
			exitBad, "the record is at s._domainkey.example.com.example.com"},
		{"test", goodConfig, `s._domainkey.example.com. TXT "KEY; t=y"` + "\n", exitGood,
			"warning: s._domainkey.example.com: has t=y"},
		{"servers fail", goodConfig, "$SERVFAIL s._domainkey.example.com\n", exitUnknown,
			"not found out: s._domainkey.example.com: could not find out"},
		{"the rule's domain is what counts", rule(`"example.com"`, `domain = "example.org"`), own,
			exitBad, "s._domainkey.example.org: there is no TXT record"},
		{"key of no rule", goodConfig + "[keys.\"s._domainkey.example.net\"]\nfile = \"s.pem\"\n",
			own, exitBad, "s._domainkey.example.net: there is no TXT record"},
		{"any author's domain, of a rule", anyDomain, own, exitGood, "1 of 1 records good"},
		{"any author's domain, of a rule, missing", anyDomain, "", exitBad, "error: s._domainkey.example.com: "},
		{"any author's domain, of everybody", strings.Replace(anyDomain, `from = "example.com"`,
			`from = "*"`, 1), "", exitGood, "note: " +
			"key \"k\" signs as the author's domain"},
		{"not aligned", rule(`["example.com", "example.net"]`, ""), own, exitBad,
			"sign[0]: signs mail from example.net as d=example.com, which DMARC does not accept for that domain"},
		{"not aligned with a record", rule(`"example.net"`, ""),
			own + `_dmarc.example.net. TXT "v=DMARC1; p=reject"` + "\n", exitBad,
			"mail from example.net as d=example.com"},
		{"the parent's key", rule(`"*@*.example.com"`, ""), own, exitGood, "1 of 1 records good"},
		{"the parent's key, relaxed", rule(`"news.example.com"`, ""),
			own + `_dmarc.example.com. TXT "v=DMARC1; p=reject"` + "\n", exitGood, "1 of 1"},
		{"the parent's key, strict", rule(`"news.example.com"`, ""), own +
			`_dmarc.example.com. TXT "v=DMARC1; p=reject; adkim=s"` + "\n", exitBad, "strict"},
		{"DMARC cannot be asked", rule(`"news.example.com"`, ""),
			own + "$SERVFAIL _dmarc.news.example.com\n$SERVFAIL _dmarc.example.com\n", exitUnknown,
			"sign[0]: whether d=example.com is aligned with news.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := configured(t, tt.config)
			out, code := runCommand(t, "check", "--config", path, "--zone",
				zoneBeside(t, path, tt.zone))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("got code %d and\n%swant code %d and %q", code, out, tt.code, tt.want)
			}
		})
	}
}

// zoneBeside writes a zone file beside a configuration and returns its path.
func zoneBeside(t *testing.T, path, text string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "RECORD "); ok {
			line = publishedBeside(t, path, strings.TrimSpace(name)).Line() + "\n"
		}
		b.WriteString(strings.ReplaceAll(line, "KEY", publishedBeside(t, path, "example.com").Text))
	}
	file := filepath.Join(filepath.Dir(path), "zone")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckDNSJSON(t *testing.T) {
	path := configured(t, goodConfig)
	out, code := runCommand(t, "check", "--json", "--config", path, "--zone",
		zoneBeside(t, path, "example.com. A 192.0.2.1\n"))
	var answer struct {
		Findings []struct{ Code, Area, Setting, Fix string }
		DNS      struct {
			Records []struct{ Name, State string }
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	r, fs := answer.DNS.Records, answer.Findings
	if code != exitBad || len(r) != 1 || r[0].State != "absent" || len(fs) != 1 ||
		fs[0].Code != "dns-record-missing" ||
		fs[0].Area != "dns" || fs[0].Setting != r[0].Name ||
		!strings.HasPrefix(fs[0].Fix, "publish: "+r[0].Name) {
		t.Errorf("got code %d, %s", code, out)
	}
	if out, _ = runCommand(t, "check", "--json", "--config", path); strings.Contains(out, `"dns"`) {
		t.Errorf("asked though nobody wanted it: %s", out)
	}
}
