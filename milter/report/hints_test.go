package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// C17, F5, F17: the name of the file and the subject fill in what a report leaves out, and change
// nothing that it says.
func TestHints(t *testing.T) {
	const file = "org.example!Example.COM!1700006400!1700092800!77.xml.gz"
	bare := parts{meta: " ", dates: " ", policy: "<p>none</p>"}
	noRow := bare
	noRow.record = " "
	for _, tc := range []struct {
		name, file, subject string
		p                   parts
		want, notes         string
	}{
		{"all of the file name", file, "", bare, "org.example example.com 77 2023-11-15 00:00:00 2023-11-15 23:59:59",
			"dates domain-from-name dates-from-name id-from-name org-from-name"},
		{"all of the subject", "x.xml", "FW: Report Domain: example.com Submitter: org.example Report-ID: <77>", noRow,
			"org.example example.com 77 0001-01-01 00:00:00 0001-01-01 00:00:00",
			"dates domain-from-name id-from-name org-from-name"},
		{"a row", "x.xml", "Report Domain: nonsense", bare,
			" example.com  0001-01-01 00:00:00 0001-01-01 00:00:00", "dates domain-from-row"},
		{"NULL", file, "", parts{policy: "<domain>NULL</domain>"},
			"Org example.com 1 2023-11-15 00:00:00 2023-11-15 23:59:59",
			"domain domain-from-name"},
		{"nothing is missing", file, "", parts{}, "Org example.com 1 2023-11-15 00:00:00 2023-11-15 23:59:59", ""},
		{"a file name that lies", "evil.example!other.example!1!2.xml", "Report Domain: third.example", parts{},
			"Org example.com 1 2023-11-15 00:00:00 2023-11-15 23:59:59", "name-differs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, _ := read(t, tc.p.String())
			f.Supplement(ReadHints(tc.file, tc.subject))
			m := f.Metadata
			got := fmt.Sprintf("%s %s %s %s %s", m.Org, f.Policy.Domain, m.ReportID,
				m.Begin.Format(time.DateTime), m.End.Format(time.DateTime))
			if got != tc.want || codes(f) != tc.notes {
				t.Errorf("got %q, notes %q; want %q, notes %q", got, codes(f), tc.want, tc.notes)
			}
		})
	}
}

// TestTLSForms holds that TLS reports are read with what reporters were seen to write in the place
// of the form that RFC 8460 has.
func TestTLSForms(t *testing.T) {
	const whole = `{"organization-name":"Org","date-range":{"start-datetime":"2024-01-08T00:00:00Z","end-datetime":"2024-01-08T23:59:59Z"},` +
		`"contact-info":"a@org.example","report-id":"1","policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1"],` +
		`"policy-domain":"example.com","mx-host":["mx.example.com"]},"summary":{"total-successful-session-count":7,` +
		`"total-failure-session-count":2},"failure-details":[{"result-type":"certificate-expired","failed-session-count":2}]}]}`
	for _, tc := range []struct{ name, old, new string }{
		{"as it should be", "", ""},
		{"no contact", `"a@org.example"`, "null"},
		{"counts as text", `"total-successful-session-count":7`, `"total-successful-session-count":"7"`},
		{"no list of hosts", `["mx.example.com"]`, `"mx.example.com"`},
		{"one failure without a list",
			`[{"result-type":"certificate-expired","failed-session-count":2}]`,
			`{"result-type":"certificate-expired","failed-session-count":2}`},
		{"the id is a number", `"report-id":"1"`, `"report-id":1`},
		{"a list for a text", `"certificate-expired"`, `["certificate-expired"]`},
		{"one policy without a list", `"policies":[{`, `"policies":{`},
		{"a byte order mark", `{"organization-name"`, "\xef\xbb\xbf" + `{"organization-name"`},
		{"upper case", `"certificate-expired"`, `"Certificate-Expired"`},
	} {
		text := strings.Replace(whole, tc.old, tc.new, 1)
		if tc.name == "one policy without a list" {
			text = strings.Replace(text, "}]}]}", "}]}}", 1)
		}
		r, err := ReadTLS(strings.NewReader(text))
		if err != nil || len(r.Policies) != 1 || r.Org != "Org" || r.ID != "1" {
			t.Errorf("%s: got %+v, %v", tc.name, r, err)
			continue
		}
		p := r.Policies[0]
		if p.Good != 7 || p.Bad != 2 || p.Domain != "example.com" || len(p.Hosts) != 1 ||
			len(p.Failures) != 1 ||
			p.Failures[0].Result != "certificate-expired" || p.Failures[0].Sessions != 2 ||
			r.Begin.IsZero() {
			t.Errorf("%s: got %+v", tc.name, r)
		}
	}
	long := strings.Replace(whole, `"policies":[`, `"policies":[`+strings.Repeat("{},", 100_000), 1)
	if r, err := ReadTLS(strings.NewReader(long)); err != nil || len(r.Policies) != maxMany ||
		!strings.Contains(r.Cut, "more than 1000 policies") {
		t.Errorf("100,001 policies: got %d, %v", len(r.Policies), err)
	}
	if r, err := ReadTLS(strings.NewReader(utf16le(whole))); err != nil || r.Policies[0].Good != 7 {
		t.Errorf("UTF-16: got %+v, %v", r, err)
	}
	for _, text := range []string{"{}", "[]", "{", `{"policies":null}`, `{"policies":"x"}`,
		`{"policies":[]}`} {
		if r, err := ReadTLS(strings.NewReader(text)); !errors.Is(err, ErrNoTLSReport) {
			t.Errorf("%s: got %+v, %v", text, r, err)
		}
	}
}

// TestTLSDamage reads what is whole of TLS reports that are cut off or damaged, and names the
// place.
func TestTLSDamage(t *testing.T) {
	const text = "{\"organization-name\": \"Org\",\n \"report-id\": \"1\",\n \"policies\": [\n" +
		"  {\"policy\": {\"policy-type\": \"sts\", \"policy-domain\": \"a.example\"},\n" +
		"   \"summary\": {\"total-successful-session-count\": 11, \"total-failure-session-count\": 3},\n" +
		"   \"failure-details\": [{\"result-type\": \"x\", \"failed-session-count\": 1},\n" +
		"    {\"failed-session-count\": 2, \"result-type\": \"y\"}]},\n" +
		"  {\"policy\": {\"policy-type\": \"tlsa\", \"policy-domain\": \"b.example\"},\n" +
		"   \"summary\": {\"total-successful-session-count\": 50, \"total-failure-session-count\": 0}}\n ]}\n"
	upTo := func(mark string) string { return text[:strings.Index(text, mark)+len(mark)] }
	for _, tc := range []struct{ name, text, want string }{
		{"whole", text, "a.example 11 3 x=1 y=2, b.example 50 0: "},
		{"the last bracket is missing", strings.TrimRight(text, "}\n "),
			"a.example 11 3 x=1 y=2, b.example 50 0: line 10, byte 3: the file ends early; 2 policies were read"},
		{"between two policies", upTo("\"y\"}]},"), "a.example 11 3 x=1 y=2: line 7, byte 55: " +
			"the file ends early; 1 policy was read"},
		{"in the second policy", upTo("b.exa"), "a.example 11 3 x=1 y=2: line 8, byte 61: the " +
			"file ends early, in policy 2; 1 policy was read"},
		{"in a number", upTo("-count\": 5"), "a.example 11 3 x=1 y=2: line 9, byte 51: the file " +
			"ends early, in policy 2; 1 policy was read"},
		{"in a failure whose number is whole", upTo("-count\": 2, \"res"),
			"a.example 11 3 x=1: line 7, byte 37: the file ends early, in policy 1, whose sums " +
				"are whole; 1 policy was read"},
		{"in the first sums", upTo("-count\": 11,"), "the TLS report is damaged or cut off: line " +
			"5, byte 53: the file ends early, in policy 1; no policy before is whole"},
		{"in the id", upTo("\"report-id\""), "the TLS report is damaged or cut off: line 2, byte " +
			"13: the file ends early; no policy before is whole"},
		{"another letter in it", strings.Replace(text, "\"total-failure-session-count\": 0",
			"\"total-failure-session-count\": 0x", 1),
			"a.example 11 3 x=1 y=2: line 9, byte 86: invalid character 'x' after object " +
				"key:value pair, in policy 2; 1 policy was read"},
		{"no comma", strings.Replace(text, "},\n  {\"policy\"", "}\n  {\"policy\"", 1),
			"a.example 11 3 x=1 y=2: line 8, byte 3: invalid character '{' after array element; 1 policy was read"},
		{"a line break in a text", strings.Replace(text, "a.example", "a.exa\nmple", 1),
			"a.exa mple 11 3 x=1 y=2, b.example 50 0: "},
		{"a number that is none", strings.Replace(text, ": 50", ": -50", 1),
			"a.example 11 3 x=1 y=2, b.example 0 0: policy 2: count \"-50\" is out of range: 0 " +
				"to 1000000000, and does not count"},
		{"a list of reports", "[" + text + "]", "a.example 11 3 x=1 y=2, b.example 50 0: "},
	} {
		r, err := ReadTLS(strings.NewReader(tc.text))
		got := fmt.Sprint(err)
		if err == nil {
			var policies []string
			for _, p := range r.Policies {
				s := fmt.Sprint(p.Domain, " ", p.Good, " ", p.Bad)
				for _, f := range p.Failures {
					s += fmt.Sprint(" ", f.Result, "=", f.Sessions)
				}
				policies = append(policies, s)
			}
			got = strings.Join(policies, ", ") + ": " + r.Cut
		}
		if got != tc.want {
			t.Errorf("%s: got\n%s, want\n%s", tc.name, got, tc.want)
		}
	}
	latin := strings.Replace(text, "Org", "\xd3rg", 1)
	if r, err := ReadTLS(strings.NewReader(latin)); err != nil || r.Org != "Órg" {
		t.Errorf("Windows-1252: got %+v, %v", r, err)
	}
	r, err := ReadTLSFrom(strings.NewReader(upTo("b.exa")), 101)
	if err != nil || !strings.HasPrefix(r.Cut, "line 108, ") {
		t.Errorf("behind 100 lines: got %+v, %v", r, err)
	}
	r.Supplement(ReadHints("org.example!a.example!1700006400!1700092800!77.json.gz",
		"Report Domain: a.example Submitter: org.example Report-ID: <78>"))
	if r.ID != "1" || r.Begin.Unix() != 1700006400 || r.End.Unix() != 1700092799 {
		t.Errorf("supplemented: got %+v", r)
	}
}
