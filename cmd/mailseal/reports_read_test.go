package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reportXML is a report with what the screen has a place for: a source that passes, one that does
// not, an override, a row that cannot be counted, and text that would do harm in a terminal or a
// spreadsheet.
const reportXML = `<?xml version="1.0"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>
<report_metadata><org_name>=cmd() ` + "\u202e" + `&#x1b;[31m</org_name><email>dmarc@org.example</email><report_id>7</report_id><error>late</error>
<generator>g</generator><date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata>
<policy_published><domain>example.com</domain><p>quarantine</p><sp>reject</sp><np>reject</np><adkim>r</adkim><aspf>r</aspf><fo>1</fo><testing>y</testing><discovery_method>treewalk</discovery_method></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>1200</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from><envelope_from>example.com</envelope_from><envelope_to>org.example</envelope_to></identifiers><auth_results><dkim><domain>example.com</domain><selector>s</selector><result>pass</result></dkim><spf><domain>example.com</domain><scope>mfrom</scope><result>pass</result></spf></auth_results></record>
<record><row><source_ip>198.51.100.7</source_ip><count>40</count><policy_evaluated><disposition>quarantine</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers><auth_results><spf><domain>bounce.esp.example</domain><result>pass</result></spf><dkim><domain>esp.example</domain><result>pass</result></dkim></auth_results></record>
<record><row><source_ip>203.0.113.9</source_ip><count>3</count><policy_evaluated><disposition>none</disposition><spf>fail</spf><reason><type>local_policy</type><comment>c</comment></reason></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers><auth_results><dkim><domain>other.example</domain><result>fail</result></dkim></auth_results></record>
<record><row><source_ip>203.0.113.9</source_ip><count>-3</count></row></record>
</feedback>
`

const reportTLS = `{"organization-name":"Org","contact-info":"tls@org.example","report-id":"9",
"date-range":{"start-datetime":"2023-11-15T00:00:00Z","end-datetime":"2023-11-15T23:59:59Z"},
"policies":[{"policy":{"policy-type":"sts","policy-domain":"example.com","mx-host":"*.example.com"},
"summary":{"total-successful-session-count":100,"total-failure-session-count":2},
"failure-details":[{"result-type":"certificate-expired","sending-mta-ip":"192.0.2.1","receiving-mx-hostname":"mx.example.com",
"receiving-ip":"192.0.2.2","failed-session-count":2,"failure-reason-code":"x","additional-information":"y"}]}]}`

const reportARF = `From: a@org.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

A message failed.
--b
Content-Type: message/feedback-report

Feedback-Type: auth-failure
Source-IP: 192.0.2.9
Reported-Domain: example.com
Auth-Failure: dmarc
Identity-Alignment: dkim
Delivery-Result: reject
Incidents: 3
--b
Content-Type: text/rfc822-headers

From: joe@example.com
Subject: hello
--b--
`

func TestReportsRead(t *testing.T) {
	dir := t.TempDir()
	second := strings.Replace(reportXML, "<report_id>7<", "<report_id>8<", 1)
	for name, text := range map[string]string{"joined.xml": reportXML + "\n" + second,
		"cut.json": reportTLS[:460], "r.xml": reportXML, "tls.json": reportTLS,
		"arf.eml": reportARF, "again.xml": reportXML, "note.txt": "hello",
		"empty.xml": "", "joe.eml": "From: joe@example.org\nSubject: hello\n\nhello\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, args string
		code       int
		want       []string
	}{
		{"the screen", "@r.xml", exitBad, []string{
			"1 report of =cmd() ??[31m, 15 Nov 2023 (UTC).",
			"example.com: 1,243 messages, 96.5% pass DMARC; of 43 that fail, 3 delivered " +
				"nevertheless and 40\n  quarantined. Policy:",
			"p=quarantine sp=reject np=reject", "192.0.2.1     ours        1,200  100%",
			"Set up a signing domain at the service;", "would not help",
			`row 4 in line 9: count "-3" is out of range: 0 to 1000000000; the other rows were read`,
			"an aligned result is missing",
		}},
		{"all kinds", "@r.xml @tls.json @arf.eml @again.xml", exitBad, []string{
			"1 report was found more than once and counted once.",
			"TLS report of Org, 15 Nov 2023 (UTC).",
			"example.com, policy sts: 100 sessions over TLS, 2 failed.",
			"certificate-expired: 2 sessions to mx.example.com from 192.0.2.1 (x)",
			"Failure report (auth-failure) on example.com: 3 messages from 192.0.2.9.",
			"not aligned: dkim", "Subject: hello",
		}},
		{"two reports in a file", "@joined.xml", exitBad, []string{
			"2 reports of =cmd() ??[31m, 15 Nov 2023 (UTC).", "joined.xml: row 4 in line 9: ",
			"joined.xml > report 2: row 4 in line 20: ",
		}},
		{"two reports in a file, as JSON", "--json @joined.xml", exitBad,
			[]string{`joined.xml > report 2","reporter":`}},
		{"a TLS report that is cut off", "@cut.json", exitBad, []string{
			"example.com, policy sts: 100 sessions over TLS, 2 failed.",
			"cut.json: line 5, byte 107: the file ends early, in policy 1, whose sums are whole; 1 policy was read",
		}},
		{"a spreadsheet", "--csv @r.xml", exitBad,
			[]string{"'=cmd() ??[31m,7,example.com,2023-11-15T00:00:00Z",
				",198.51.100.7,40,fail,"}},
		{"as it is", "--raw @tls.json", exitGood, []string{`"organization-name":"Org"`}},
		{"no report", "@note.txt", exitBad,
			[]string{"note.txt: this is not a report: neither XML, JSON, gzip, zip, tar, bzip2 nor a mail"}},
		{"an empty file", "@empty.xml", exitBad, []string{"empty.xml: the file is empty: there is no report in it"}},
		{"a mail without a report", "@joe.eml", exitBad, []string{"joe.eml: there is no report in it"}},
		{"a mail without a report beside one", "@tls.json @joe.eml", exitGood,
			[]string{"1 other mail contains no report:", "joe.eml."}},
		{"no file", "@gone", exitUnknown, []string{"gone: no such file"}},
		{"no file, and a mail without a report", "@gone @joe.eml", exitUnknown,
			[]string{"gone: no such file", "joe.eml: there is no report in it"}},
		{"no argument", "", exitUsage, []string{"name a file"}},
		{"two forms", "--json --csv @r.xml", exitUsage, []string{"--json has no effect together " +
			"with --csv"}},
	} {
		words := strings.Fields(strings.ReplaceAll(tc.args, "@", dir+"/"))
		out, errs, code := mailseal(t, "", append([]string{"reports", "read"}, words...)...)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d: %s", tc.name, code, tc.code, errs)
		}
		for _, want := range tc.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: %q is missing in\n%s%s", tc.name, want, out, errs)
			}
		}
	}
	if out, _, code := mailseal(t, reportTLS, "reports", "read", "-"); code != exitGood ||
		!strings.Contains(out, "certificate-expired") {
		t.Errorf("standard input: exit code %d: %s", code, out)
	}
}
