package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReportsStore brings reports in and looks at them in each way.
func TestReportsStore(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at := "--store=sqlite:" + dir + "/r.db"
	whole := strings.Replace(reportXML,
		`<record><row><source_ip>203.0.113.9</source_ip><count>-3</count></row></record>`, "", 1)
	report := put("r.xml", whole)
	other := put("v.xml", strings.Replace(whole, "<count>40<", "<count>41<", 1))
	for _, tc := range []struct {
		name, args string
		code       int
		want       []string
	}{
		{"no store", "domains", exitUnknown, []string{"--store: there is no store of reports at"}},
		{"import", "import " + report, exitGood, []string{"1 file or mail: 1 new report on 1243 messages"}},
		{"again", "import " + report, exitGood, []string{"0 new reports", "; 1 imported before"}},
		{"a variant", "import " + other, exitGood, []string{"1 with the id of another report and other content"}},
		{"not a report", "import " + put("x", "hello"), exitBad, []string{"x: this is not a report"}},
		{"no file", "import " + dir + "/gone", exitUnknown, []string{"gone: no such file"}},
		{"domains", "domains", exitGood,
			[]string{"example.com      1243  1200  1200  1200          3           40         0  " +
				"2023-11-15  2023-11-15"}},
		{"one domain", "domains --domain none.example", exitGood, []string{"the store has no such reports"}},
		{"sources", "sources --domain example.com", exitGood,
			[]string{"192.0.2.1     ours        1,200", "198.51.100.7  unknown        40",
				"not-aligned (198.51.100.7): SPF passes for bounce.esp.example",
				"include to your SPF"}},
		{"sources as CSV", "sources --csv", exitGood, []string{
			"example.com,192.0.2.1,1200,1200,1200,1200,0,0,0,2023-11-15,2023-11-15,ours,the SPF " +
				"record of the domain names it,fine,"}},
		{"received", "received", exitGood,
			[]string{"1       2023-11-15  org.example  example.com      1243        3  whole  yes      file"}},
		{"received, one", "received 1", exitGood, []string{"1,243 messages in 3 records.", "it " +
			"counts: it was imported by hand", "error text of the reporter: late",
			"192.0.2.1: ours, the SPF record of the domain names it. Nothing to do"}},
		{"the variant", "received 2", exitGood, []string{"it does not count, since report 1 has the same id"}},
		{"no such number", "received 77", exitBad, []string{"there is no report with this number"}},
		{"import the other kinds", "import " + put("t.json", reportTLS) + " " + put("arf.eml", reportARF), exitGood,
			[]string{"1 TLS reports; 1 failure reports"}},
		{"failure reports", "received --kind failure", exitGood, []string{"auth-failure"}},
		{"one failure report", "received --kind failure 2", exitGood,
			[]string{"Failure report (auth-failure)", "its mail is not authenticated"}},
		{"TLS reports", "received --kind tls", exitGood, []string{"number  day         reporter",
			"2023-11-15", "example.com", "certificate-expired"}},
		{"one TLS report", "received --kind tls 1", exitGood,
			[]string{"TLS report of Org", "its mail is not authenticated"}},
		{"no such TLS report", "received --kind tls 9", exitBad, []string{"there is no report with this number"}},
		{"one TLS report as CSV", "received --kind tls --csv 1", exitUsage, []string{"use --json"}},
		{"no kind", "received --kind x", exitUsage, []string{"is not aggregate, tls or failure"}},
		{"no number", "received x", exitUsage, []string{`"x" is not the number of a report`}},
		{"accept nobody", "accept none.example", exitBad, []string{"no report of this reporter"}},
		{"accept", "accept org.example", exitGood, []string{"Reports of org.example count from now on"}},
		{"verify", "verify", exitGood, []string{"The daily sums agree with the records"}},
		{"reparse", "reparse", exitGood, []string{"5 files or mails read again: 2 reports"}},
		{"verify after that", "verify --json", exitGood, []string{`"equal":true`}},
		{"a store that is none", "verify --store=mysql:x", exitUsage, []string{`write "sqlite:/path/reports.db"`}},
		{"a store that is not there", "verify --store=sqlite:" + dir + "/none/r.db",
			exitUnknown, []string{"--store: there is no store of reports at"}},
		{"an empty mail", "import " + put("none.eml", ""), exitBad, nil},
		{"a file that is not a store", "verify --store=sqlite:" + put("empty.db", ""),
			exitUnknown, []string{"it has none of its tables"}},
		{"a store that cannot be made", "import --store=sqlite:" + dir + "/none/r.db x",
			exitUnknown, []string{"create the directory"}},
	} {
		words := strings.Fields(tc.args)
		args := append([]string{"reports", words[0], at}, words[1:]...)
		out, errs, code := mailseal(t, "", args...)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d: %s%s", tc.name, code, tc.code, out, errs)
		}
		for _, want := range tc.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: %q is missing in\n%s%s", tc.name, want, out, errs)
			}
		}
	}
}
