package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFields has a case for each quirk of values. want is what the row and the head amount to.
func TestFields(t *testing.T) {
	day := "2023-11-15 00:00:00 2023-11-15 23:59:59"
	head := func(f *Feedback) string {
		return f.Metadata.Begin.Format(time.DateTime) + " " + f.Metadata.End.Format(time.DateTime)
	}
	row := func(_ *Feedback, r *Row) string {
		return fmt.Sprintf("%s %d %s/%s/%s %s", r.Source, r.Count, r.Disposition, r.DKIM, r.SPF,
			r.HeaderFrom)
	}
	usual := "192.0.2.1 2 none/pass/fail example.com"
	ip := func(s string) string {
		return record("<source_ip>"+s+"</source_ip><count>2</count>", "", "", "")
	}
	count := func(s string) string {
		return record("<source_ip>192.0.2.1</source_ip><count>"+s+"</count>", "", "", "")
	}
	words := func(d, k, s string) string {
		return record("", "<disposition>"+d+"</disposition><dkim>"+k+"</dkim><spf>"+s+"</spf>", "",
			"")
	}
	from := func(s string) string { return record("", "", "<header_from>"+s+"</header_from>", "") }
	for _, tc := range []struct {
		id    string
		p     parts
		show  func(*Feedback, *Row) string
		want  string
		notes string
	}{
		{"F1 no version", parts{}, func(f *Feedback, _ *Row) string { return f.Version }, "", ""},
		{"F1 version 2.0", parts{tail: "<version>2.0</version></feedback>"},
			func(f *Feedback, _ *Row) string { return f.Version }, "2.0", ""},
		{"F2 empty org_name", parts{meta: "<org_name> </org_name><email>x@Org.Example</email>"},
			func(f *Feedback, _ *Row) string { return f.Metadata.Org }, "org.example", "org"},
		{"F3 one reporter, two names",
			parts{meta: "<org_name>Google Inc.</org_name><email>noreply@google.com</email>"},
			func(f *Feedback, _ *Row) string { return f.Metadata.ReporterKey("") }, "google.com",
			""},
		{"F4 report id in brackets", parts{meta: "<org_name>Org</org_name><email>" +
			"a@org.example</email><report_id>&lt;1@x&gt;</report_id>"},
			func(f *Feedback, _ *Row) string { return strings.Split(f.Key(""), "\n")[1] }, "1@x",
			""},
		{"F5 decimals", parts{dates: "<begin>1700006400.0</begin><end>1700092799.5</end>"}, nil, day, ""},
		{"F5 milliseconds", parts{dates: "<begin>1700006400000</begin><end>1700092799000</end>"}, nil, day, ""},
		{"F5 microseconds", parts{dates: "<begin>1700006400000000</begin><end>1700092799000000</end>"}, nil, day, ""},
		{"F5 blanks", parts{dates: "<begin> 1700006400\n</begin><end>1700092799 </end>"}, nil, day, ""},
		{"F5 ISO 8601", parts{dates: "<begin>2023-11-15T00:00:00Z</begin><end>2023-11-15T23:59:59Z</end>"},
			nil, day, ""},
		{"F5 a date of mail", parts{dates: "<begin>Wed, 15 Nov 2023 00:00:00 " +
			"+0000</begin><end>Wed, 15 Nov 2023 23:59:59 +0000</end>"}, nil, day, ""},
		{"F5 nanoseconds", parts{dates: "<begin>1700006400000000000</begin><end>1700092799000000000</end>"},
			nil, day, ""},
		{"F5 a decimal comma", parts{dates: "<begin>1700006400,0</begin><end>1700092799,0</end>"}, nil, day, ""},
		{"F5 thousands", parts{dates: "<begin>1,700,006,400</begin><end>1,700,092,799</end>"}, nil, day, ""},
		{"F5 an exponent", parts{dates: "<begin>1.7000064e9</begin><end>1.700092799E9</end>"}, nil, day, ""},
		{"F5 digits of a date", parts{dates: "<begin>20231115000000</begin><end>20231115235959</end>"}, nil, day, ""},
		{"F5 ISO 8601 without hyphens",
			parts{dates: "<begin>20231115T000000Z</begin><end>20231115T235959Z</end>"}, nil, day,
			""},
		{"F5 a date with dots", parts{dates: "<begin>15.11.2023 00:00:00</begin><end>15.11.2023 23:59:59</end>"},
			nil, day, ""},
		{"F5 a date of a log", parts{dates: "<begin>15/Nov/2023:00:00:00 " +
			"+0000</begin><end>15/Nov/2023:23:59:59 +0000</end>"}, nil, day, ""},
		{"F5 a month as a word", parts{dates: "<begin>Nov 15, 2023 00:00:00</begin><end>15-Nov-2023 23:59:59</end>"},
			nil, day, ""},
		{"F5 without date_range", parts{meta: "<org_name>Org</org_name><begin>1700006400</begin><end>1700092799</end>",
			dates: " "}, nil, day, ""},
		{"F5 a month that could be a day",
			parts{dates: "<begin>11/12/2023</begin><end>11/12/2023</end>"}, nil,
			"0001-01-01 00:00:00 0001-01-01 00:00:00", "dates"},
		{"F5 a negative number", parts{dates: "<begin>-1700006400</begin><end>1700092799</end>"},
			nil, "2023-11-15 23:59:59 2023-11-15 23:59:59", "dates"},
		{"F5 no dates", parts{dates: "<begin>x</begin><end></end>"}, nil,
			"0001-01-01 00:00:00 0001-01-01 00:00:00", "dates"},
		{"F6 begin is end", parts{dates: "<begin>1700006400</begin><end>1700006400</end>"}, nil,
			"2023-11-15 00:00:00 2023-11-15 00:00:00", ""},
		{"F6 end before begin", parts{dates: "<begin>1700092799</begin><end>1700006400</end>"}, nil,
			day, "dates-swapped"},
		{"F7 exclusive end", parts{dates: "<begin>1700006400</begin><end>1700092800</end>"}, nil, day, ""},
		{"F8 several days", parts{dates: "<begin>1700006400</begin><end>1700265599</end>"}, nil,
			"2023-11-15 00:00:00 2023-11-17 23:59:59", ""},
		{"F9 nothing came", parts{record: record("<source_ip></source_ip><count>0</count>", "", "",
			"")}, row, " 0 none/pass/fail example.com", "null"},
		{"F10 decimals", parts{record: count("2.0")}, row, usual, "count-form"},
		{"F10 thousands", parts{record: count("1,234")}, row,
			"192.0.2.1 1234 none/pass/fail example.com", "count-form"},
		{"F10 thousands with blanks", parts{record: count("1 234")}, row,
			"192.0.2.1 1234 none/pass/fail example.com", "count-form"},
		{"F10 thousands with other blanks", parts{record: count("1\u202f234\u202f567")}, row,
			"192.0.2.1 1234567 none/pass/fail example.com", "count-form"},
		{"F10 thousands with apostrophes", parts{record: count("1'234")}, row,
			"192.0.2.1 1234 none/pass/fail example.com", "count-form"},
		{"F10 thousands with dots", parts{record: count("1.234.567")}, row,
			"192.0.2.1 1234567 none/pass/fail example.com", "count-form"},
		{"F10 thousands of India", parts{record: count("12,34,567")}, row,
			"192.0.2.1 1234567 none/pass/fail example.com", "count-form"},
		{"F10 thousands and decimals", parts{record: count("1,234.00")}, row,
			"192.0.2.1 1234 none/pass/fail example.com", "count-form"},
		{"F11 a name and the address", parts{record: ip("mail.example.com [192.0.2.1]")}, row, usual, "source-form"},
		{"F11 a name, and the address in parentheses",
			parts{record: ip("mail.example.com (192.0.2.1)")}, row, usual, "source-form"},
		{"F11 quotes", parts{record: ip("&quot;192.0.2.1&quot;")}, row, usual, "source-form"},
		{"F11 a dot at the end", parts{record: ip("192.0.2.1.")}, row, usual, "source-form"},
		{"F11 a term of SPF", parts{record: ip("ip4:192.0.2.1")}, row, usual, "source-form"},
		{"F11 mapped, in brackets", parts{record: ip("[::FFFF:c000:201]")}, row, usual, "source-form"},
		{"F11 brackets and a port", parts{record: ip("[2001:DB8::1]:25")}, row,
			"2001:db8::1 2 none/pass/fail example.com", "source-form"},
		{"F11 a network", parts{record: ip("192.0.2.0/24")}, row,
			"192.0.2.0/24 2 none/pass/fail example.com", "source"},
		{"F11 a name", parts{record: ip("mail.example.com")}, row,
			"mail.example.com 2 none/pass/fail example.com", "source"},
		{"F11 zeros that could be octal", parts{record: ip("192.000.002.001")}, row,
			"192.000.002.001 2 none/pass/fail example.com", "source"},
		{"F11 brackets", parts{record: ip("[192.0.2.1]")}, row, usual, "source-form"},
		{"F11 zone", parts{record: ip("fe80::1%eth0")}, row, "fe80::1 2 none/pass/fail example.com", "source-form"},
		{"F11 mapped", parts{record: ip("::ffff:192.0.2.1")}, row, usual, "source-form"},
		{"F11 network of one", parts{record: ip("192.0.2.1/32")}, row, usual, "source-form"},
		{"F11 a port", parts{record: ip("192.0.2.1:25")}, row, usual, "source-form"},
		{"F11 no address", parts{record: ip("108r.166.27.220")}, row,
			"108r.166.27.220 2 none/pass/fail example.com", "source"},
		{"F11 empty", parts{record: ip("")}, row, " 2 none/pass/fail example.com", ""},
		{"F12 derived", parts{record: record("", "<disposition>none</disposition>", "",
			"<dkim><domain>mail.example.com</domain><result>pass</result></dkim><spf><domain>"+
				"other.example</domain><result>pass</result></spf>")}, row, usual, "derived"},
		{"F12 nothing to derive from", parts{record: record("", "<disposition>none</disposition>",
			"", "<x/>")}, row, "192.0.2.1 2 none// example.com", "unknown-element"},
		{"F13 mixed case", parts{record: words(" None", "Pass", "FAIL ")}, row, usual, "case"},
		{"F14 other words", parts{record: words("none", "hardfail", "unknown")}, row,
			"192.0.2.1 2 none/hardfail/unknown example.com", ""},
		{"F14 words that are nearly a pass", parts{record: words("none", "pass (2048-bit)",
			"true")}, row, "192.0.2.1 2 none/pass (2048-bit)/true example.com", ""},
		{"F15 disposition pass", parts{record: words("pass", "pass", "fail")}, func(_ *Feedback,
			r *Row) string {
			return fmt.Sprint(r.Action() == Delivered)
		}, "true", ""},
		{"F15 disposition unknown", parts{record: words("unknown", "fail", "fail")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Action() == Unclear) }, "true",
			"contradiction"},
		{"F16 reasons", parts{record: record("",
			"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>"+
				"$text</type></reason><reason><type/></reason><reason><comment>c</comment></reason>", "", "")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Reasons) }, "[{$text } { c}]",
			""},
		{"F17 NULL", parts{policy: "<domain>NULL</domain><p>none</p><pct>100%</pct><sp></sp>",
			record: from("example.org")}, func(f *Feedback,
			_ *Row) string {
			return f.Policy.Domain + f.Policy.Pct
		}, "100", "domain contradiction"},
		{"F18 empty results", parts{record: record("", "", "", " ")}, row, usual, ""},
		{"F18 a signature with a result alone",
			parts{record: record("", "", "", "<dkim><result>none</result></dkim>")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Signatures) }, "[{  none}]",
			"contradiction"},
		{"F19 several results", parts{record: record("", "", "",
			"<dkim><domain>a.example</domain><selector>S1</selector><result>pass</result></dkim><dkim><domain>b.example</domain><result>fail</result></dkim><spf><domain>c.example</domain><scope>helo</scope><result>pass</result></spf>")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Signatures, r.SPFResults) },
			"[{a.example s1 pass} {b.example  fail}] [{c.example helo pass}]", "contradiction"},
		{"F20 missing", parts{record: from(" ")}, row, usual, "header-from"},
		{"F20 upper case and dot", parts{record: from("Example.COM.")}, row, usual, ""},
		{"F20 an address", parts{record: from("&lt;joe@example.com&gt;")}, row, usual, ""},
		{"F20 Unicode", parts{record: from("bücher.example")}, row,
			"192.0.2.1 2 none/pass/fail xn--bcher-kva.example", "contradiction"},
		{"F20 several", parts{record: from("example.com, example.net")}, row,
			"192.0.2.1 2 none/pass/fail example.com, example.net", "contradiction"},
		{"F21 one record for each message",
			parts{record: record("<source_ip>192.0.2.1</source_ip><count>1</count>",
				"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>"+
					"local_policy</type><comment>arc=fail as[1].d=x</comment></reason>", "", "")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Count, r.Reasons) },
			"1 [{local_policy arc=fail as[1].d=x}]", ""},
		{"F22 another policy", parts{policy: "<domain>example.com</domain><p>Reject</p><np>none</np>"},
			func(f *Feedback, _ *Row) string { return f.Policy.P + f.Policy.NP }, "rejectnone", ""},
	} {
		t.Run(tc.id, func(t *testing.T) {
			f, rows := read(t, tc.p.String())
			if len(rows) != 1 {
				t.Fatalf("%d rows, refused %v", len(rows), f.Refused)
			}
			got := head(f)
			if tc.show != nil {
				got = tc.show(f, rows[0])
			}
			if got != tc.want || codes(f) != tc.notes {
				t.Errorf("got %q, notes %q; want %q, notes %q", got, codes(f), tc.want, tc.notes)
			}
		})
	}
}

// F10: a count that cannot be is no message, and the other rows are read. Words are never turned
// into a pass.
func TestRefusedRows(t *testing.T) {
	for _, count := range []string{"-3", "1e30", "99999999999999999999", "x", "", "1.5", "NaN",
		"1,2", "1.234", "0x10", "12 messages", "-1,234", "Infinity", "1,234,"} {
		bad := record("<source_ip>192.0.2.9</source_ip><count>"+count+"</count>", "", "", "")
		f, rows := read(t, parts{record: record("", "", "", "") + "\n" + bad +
			record("", "", "", "")}.String())
		if len(rows) != 2 || f.Messages != 4 || len(f.Refused) != 1 || f.Refused[0].N != 2 ||
			f.Refused[0].Line != 6 || f.Refused[0].Why == "" {
			t.Errorf("count %q: %d rows, %d messages, refused %+v", count, len(rows), f.Messages,
				f.Refused)
		}
	}
}

func TestUnknownWordsDoNotPass(t *testing.T) {
	for _, word := range []string{"unknown", "error", "invalid", "nxdomain", "signed", "passed",
		"none", "", "hardfail"} {
		r := Row{DKIM: word, SPF: word, Disposition: word}
		if r.Pass() || ResultClass(word) == "pass" {
			t.Errorf("%q passes", word)
		}
		if got := r.Action(); got != Unclear && word != "none" {
			t.Errorf("disposition %q is %v", word, got)
		}
	}
	if !slices.Contains([]string{"fail"}, ResultClass("hardfail")) ||
		ResultClass("signed") != "unknown" {
		t.Error("hardfail is a failure, signed is unknown")
	}
}

func FuzzReadXML(f *testing.F) {
	f.Add(parts{}.String())
	f.Add(parts{meta: "<org_name>a<b&c</org_name>"}.String())
	f.Add("<feedback><record><row><count>1")
	f.Fuzz(func(t *testing.T, text string) {
		var sum int64
		n := 0
		out, err := ReadXML(strings.NewReader(text), func(r *Row) error {
			if r.Count < 0 || r.Count > maxCount || len(r.Signatures) > MaxResults {
				t.Fatalf("out of bounds: %+v", r)
			}
			sum, n = sum+r.Count, n+1
			return nil
		})
		if err == nil && (out.Messages != sum || out.Rows != n) {
			t.Fatalf("%d rows and %d messages were handed over, the head says %d and %d", n, sum,
				out.Rows, out.Messages)
		}
	})
}
