package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns/dnstest"
)

// bySPFAlone is a report whose mail has no signature.
const bySPFAlone = `<?xml version="1.0"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>
<report_metadata><org_name>Org</org_name><email>dmarc@org.example</email><report_id>7</report_id>
<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>
<policy_published><domain>example.com</domain><p>reject</p><adkim>r</adkim><aspf>r</aspf></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>40</count><policy_evaluated><disposition>none</disposition>
<dkim>fail</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>
<envelope_from>example.com</envelope_from></identifiers><auth_results><spf><domain>example.com</domain><scope>mfrom</scope>
<result>pass</result></spf></auth_results></record></feedback>
`

// TestDomainConfig asks the name servers of a configuration, compares its keys with what they show,
// and looks at what the reports in its store say.
func TestDomainConfig(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if out, code := runCommand(t, "keygen", "--domain", "example.com", "--selector", "mail",
		"--algorithm", "ed25519", "--dir", dir); code != exitGood {
		t.Fatal(out)
	}
	z := dnstest.Must(`$ORIGIN .
example.com. 3600 IN NS ns.example.com.
ns.example.com. 3600 IN A 127.0.53.7
example.com. 3600 IN MX 0 .
example.com. 3600 IN TXT "v=spf1 ip4:192.0.2.1 ~all"
_dmarc.example.com. 3600 IN TXT "v=DMARC1; p=reject; rua=mailto:a@mx.example.com"
mx.example.com. 3600 IN A 198.51.100.25
mail._domainkey.example.com. 3600 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
`)
	config := fmt.Sprintf(`authserv_id = "mx.example.com"
dns = { servers = [%q], timeout = "20s", tries = 1 }
domain = "example.com"
selector = "mail"
key_file = %q
reports = { store = "sqlite:%s" }
`, serveZone(t, z), path("mail.pem"), path("r.db"))
	if err := os.WriteFile(path("mailseal.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args string) (string, int) {
		t.Helper()
		args = strings.ReplaceAll(args, "CONFIG", path("mailseal.toml"))
		out, errs, code := mailseal(t, "", strings.Fields(args)...)
		return out + errs, code
	}
	out, code := run("domain --config CONFIG example.com")
	if code != exitBad || !strings.Contains(out, "[dkim-key-mismatch]") ||
		strings.Contains(out, "[name-server-silent]") {
		t.Errorf("--config: exit code %d\n%s", code, out)
	}
	out, code = run("domain --config CONFIG --name-servers example.com")
	if !strings.Contains(out, "ns.example.com [name-server-silent]") {
		t.Errorf("--name-servers: exit code %d\n%s", code, out)
	}
	out, code = run("domain --config CONFIG --reports example.com")
	if code != exitUnknown || !strings.Contains(out, "r.db") ||
		!strings.Contains(out, "reports import") {
		t.Errorf("no reports: exit code %d\n%s", code, out)
	}
	day := time.Now().UTC().Truncate(24*time.Hour).Unix() - 2*86400
	if err := os.WriteFile(path("report.xml"), fmt.Appendf(nil, bySPFAlone, day, day+86399),
		0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := run("reports import --config CONFIG " + path("report.xml")); code != exitGood {
		t.Fatalf("import: exit code %d\n%s", code, out)
	}
	out, code = run("domain --config CONFIG --reports example.com")
	if code != exitBad || !strings.Contains(out, "dmarc-reject-by-spf-alone") {
		t.Errorf("--reports: exit code %d\n%s", code, out)
	}
	out, code = run("propose spf --reports --config CONFIG example.com")
	if code != exitGood || !strings.Contains(out,
		"40 messages from 192.0.2.1 (ours): already allowed") {
		t.Errorf("propose spf --reports: exit code %d\n%s", code, out)
	}
}
