package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// parts of a report that tests vary.
type parts struct {
	head, root, meta, dates, policy, record, tail string
}

func (p parts) String() string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return or(p.head, `<?xml version="1.0"?>`+"\n") + "<" + or(p.root, "feedback") + ">\n" +
		"<report_metadata>" + or(p.meta, "<org_name>Org</org_name><email>a@org.example</email><report_id>1</report_id>") +
		"<date_range>" + or(p.dates, "<begin>1700006400</begin><end>1700092799</end>") + "</date_range></report_metadata>\n" +
		"<policy_published>" + or(p.policy, "<domain>example.com</domain><p>none</p>") + "</policy_published>\n" +
		or(p.record, record("", "", "", "")) + or(p.tail, "</"+strings.Fields(or(p.root, "feedback"))[0]+">\n")
}

// record is a record with parts in place of the usual ones.
func record(row, evaluated, identifiers, results string) string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return "<record><row>" + or(row, "<source_ip>192.0.2.1</source_ip><count>2</count>") + "<policy_evaluated>" +
		or(evaluated, "<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>") + "</policy_evaluated></row>" +
		"<identifiers>" + or(identifiers, "<header_from>example.com</header_from>") + "</identifiers>" +
		"<auth_results>" + or(results, "<dkim><domain>example.com</domain><result>pass</result></dkim>") + "</auth_results></record>"
}

func read(t *testing.T, text string) (*Feedback, []*Row) {
	t.Helper()
	var rows []*Row
	f, err := ReadXML(strings.NewReader(text), func(r *Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, rows
}

func codes(f *Feedback) string {
	var out []string
	for _, n := range f.Notes {
		out = append(out, n.Code)
	}
	return strings.Join(out, " ")
}

func utf16le(s string) string {
	out := "\xff\xfe"
	for _, u := range utf16.Encode([]rune(s)) {
		out += string([]byte{byte(u), byte(u >> 8)})
	}
	return out
}

// swapped exchanges the two bytes of each letter of UTF-16.
func swapped(s string) string {
	out := []byte(s)
	for i := 0; i+1 < len(out); i += 2 {
		out[i], out[i+1] = out[i+1], out[i]
	}
	return string(out)
}

func utf32le(s string) string {
	out := "\xff\xfe\x00\x00"
	for _, r := range s {
		out += string([]byte{byte(r), byte(r >> 8), byte(r >> 16), 0})
	}
	return out
}

// TestXML has a case for each quirk of XML that reporters were seen to write. Each still has its record of 2 messages.
func TestXML(t *testing.T) {
	meta := func(org string) string {
		return "<org_name>" + org + "</org_name><email>a@org.example</email><report_id>1</report_id>"
	}
	for _, tc := range []struct {
		id, text, org, notes string
	}{
		{"plain", parts{}.String(), "Org", ""},
		{"X1 byte order mark", "\xef\xbb\xbf" + parts{}.String(), "Org", ""},
		{"X2 UTF-16", utf16le(parts{meta: meta("Ünï")}.String()), "Ünï", "utf-16"},
		{"X2 UTF-16 without a byte order mark", utf16le(parts{meta: meta("Ünï")}.String())[2:], "Ünï", "utf-16"},
		{"X2 UTF-16, the high byte first", swapped(utf16le(parts{meta: meta("Ünï")}.String())), "Ünï", "utf-16"},
		{"X2 the same without a byte order mark", swapped(utf16le(parts{}.String())[2:]), "Org", "utf-16"},
		{"X2 UTF-32", utf32le(parts{meta: meta("Ünï")}.String()), "Ünï", "utf-32"},
		{"X3 windows-1252", parts{head: `<?xml version="1.0" encoding="windows-1252"?>`, meta: meta("Caf\xe9 \x93")}.String(), "Café “", "encoding"},
		{"X3 ISO 8859-1", parts{head: `<?xml version='1.0' encoding='ISO-8859-1'?>`, meta: meta("Caf\xe9")}.String(), "Café", "encoding"},
		{"X3 UTF8 without a hyphen", parts{head: `<?xml version="1.0" encoding="UTF8"?>`, meta: meta("Café")}.String(), "Café", ""},
		{"X3 unknown", parts{head: `<?xml version="1.0" encoding="x-none"?>`, meta: meta("Café")}.String(), "Café", "encoding-unknown"},
		{"X3 a label that is not true", parts{head: `<?xml version="1.0" encoding="utf-16"?>`}.String(), "Org", "encoding-wrong"},
		{"X4 bytes that are not UTF-8", parts{meta: meta("Bob\x92s")}.String(), "Bob’s", "bad-utf8"},
		{"X5 control characters", parts{meta: meta("a\x01b\x1f")}.String(), "ab", "control"},
		{"X6 no declaration", parts{head: "\n\n  "}.String(), "Org", ""},
		{"X6 one line", strings.ReplaceAll(parts{}.String(), "\n", ""), "Org", ""},
		{"X7 XML 1.1", parts{head: `<?xml version="1.1"?>`}.String(), "Org", ""},
		{"X8 a schema left open", parts{head: `<?xml version="1.0"?><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">`}.String(), "Org", ""},
		{"X9 prefixes", strings.NewReplacer("</", "</ns1:", "<", "<ns1:").Replace(parts{head: " "}.String()), "Org", ""},
		{"X10 the namespace of RFC 9990", parts{root: `feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"`}.String(), "Org", ""},
		{"X11 the old namespace", parts{root: `feedback xmlns="http://dmarc.org/dmarc-xml/0.1" xmlns:xsi="x" xsi:schemaLocation="y > z"`}.String(), "Org", ""},
		{"X11 another namespace", parts{root: `feedback xmlns="urn:x"`}.String(), "Org", "namespace"},
		{"X12 a plain &", parts{meta: meta("AT&T & Co")}.String(), "AT&T & Co", "unescaped-amp"},
		{"X13 a plain < in an address", parts{meta: "<org_name>Org</org_name><email><bad@x></email><report_id>1</report_id>"}.String(), "Org", "unescaped-lt"},
		{"X13 a plain < before the end", parts{meta: meta("a<b")}.String(), "a<b", "unescaped-lt"},
		{"X13 a plain < at the end", parts{meta: meta("a<")}.String(), "a<", "unescaped-lt"},
		{"X14 entities of HTML", parts{meta: meta("Caf&eacute;&nbsp;x")}.String(), "Café\u00a0x", ""},
		{"X15 upper case", strings.NewReplacer("feedback", "FeedBack", "record", "RECORD", "org_name", "Org_Name").Replace(parts{}.String()), "Org", ""},
		{"X16 stray text", strings.ReplaceAll(parts{}.String(), "</policy_published>", "11</policy_published>x"), "Org", ""},
		{"X17 unknown elements", parts{tail: "<extension><x:y><domain>no</domain></x:y></extension></feedback>"}.String(), "Org", "unknown-element"},
		{"X17 attributes", strings.ReplaceAll(parts{}.String(), "<org_name>", `<org_name lang='en' x="a>b">`), "Org", ""},
		{"X19 two policies", parts{tail: "<policy_published><domain>other.example</domain></policy_published></feedback>"}.String(), "Org", "policies"},
		{"X21 identities", strings.ReplaceAll(parts{}.String(), "identifiers", "identities"), "Org", ""},
		{"CDATA", parts{meta: meta("<![CDATA[a < b & c]]>")}.String(), "a < b & c", ""},
		{"a comment", parts{head: "<!-- <feedback> -->"}.String(), "Org", ""},
		{"an element that is not closed", parts{meta: "<org_name>Org<email>a@org.example</email>"}.String(), "Org", "unclosed"},
		{"an end without a beginning", parts{tail: "</row></feedback>"}.String(), "Org", "unopened"},
		{"something behind", parts{tail: "</feedback><x/>"}.String(), "Org", "trailing"},
		{"a long value", parts{meta: meta("Org") + "<extra_contact_info>" + strings.Repeat("x", 9000) + "</extra_contact_info>"}.String(), "Org", "long-value"},
	} {
		t.Run(tc.id, func(t *testing.T) {
			f, rows := read(t, tc.text)
			if f.Rows != 1 || f.Messages != 2 || len(rows) != 1 || f.Cut != "" || len(f.Refused) > 0 {
				t.Errorf("%d rows, %d messages, cut %q, refused %v; want 1 row and 2 messages", f.Rows, f.Messages, f.Cut, f.Refused)
			}
			if f.Metadata.Org != tc.org || f.Policy.Domain != "example.com" || rows[0].HeaderFrom != "example.com" || rows[0].DKIM != "pass" {
				t.Errorf("org %q, policy %q, row %+v; want %q", f.Metadata.Org, f.Policy.Domain, rows[0], tc.org)
			}
			if got := codes(f); got != tc.notes {
				t.Errorf("notes %q, want %q", got, tc.notes)
			}
		})
	}
}

// X18: what ends early keeps the rows that are complete.
func TestCutOff(t *testing.T) {
	text := parts{record: record("", "", "", "") + "\n" + record("", "", "", "")}.String()
	second := strings.LastIndex(text, "<record>")
	for end := second + 1; end < strings.Index(text, "</feedback>"); end++ {
		f, _ := read(t, text[:end])
		want := 1
		if end >= second+len("<record>") && strings.Contains(text[second:end], "</record>") {
			want = 2
		}
		if f.Rows != want || f.Cut == "" {
			t.Fatalf("cut at %d: %d rows, cut %q; want %d rows", end, f.Rows, f.Cut, want)
		}
	}
	f, _ := read(t, text[:second+40])
	if !strings.Contains(f.Cut, "line 6") || !strings.Contains(f.Cut, "row 2") {
		t.Errorf("got %q; want the line and the row", f.Cut)
	}
}

// X20, and what else nobody writes.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("<x>", 1_000_000)
	for _, tc := range []struct{ name, text string }{
		{"an external entity", `<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + parts{head: " "}.String()},
		{"lower case", `<!doctype feedback>` + parts{head: " "}.String()},
		{"10^6 nested tags", deep},
		{"in a record", parts{record: "<record>" + deep}.String()},
		{"a long attribute", `<feedback x="` + strings.Repeat("y", 1<<20) + `">`},
	} {
		f, err := ReadXML(strings.NewReader(tc.text), func(*Row) error { return nil })
		if !errors.Is(err, ErrHostile) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		if f.Metadata.Org != "" && tc.name != "in a record" {
			t.Errorf("%s: something of it was taken: %+v", tc.name, f.Metadata)
		}
	}
	for _, text := range []string{"", "hello", "<html><body>no</body></html>", "<feed></feed>", "<?xml version='1.0'?>"} {
		if _, err := ReadXML(strings.NewReader(text), func(*Row) error { return nil }); !errors.Is(err, ErrNoReport) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// X22: a report of any length takes the memory of one row.
func TestManyRows(t *testing.T) {
	text := parts{record: strings.Repeat(record("", "", "", ""), 2286)}.String()
	f, rows := read(t, text)
	if f.Rows != 2286 || f.Messages != 4572 || rows[2285].N != 2286 {
		t.Errorf("%d rows, %d messages", f.Rows, f.Messages)
	}
}

// TestFields has a case for each quirk of values. want is what the row and the head amount to.
func TestFields(t *testing.T) {
	day := "2023-11-15 00:00:00 2023-11-15 23:59:59"
	head := func(f *Feedback) string {
		return f.Metadata.Begin.Format(time.DateTime) + " " + f.Metadata.End.Format(time.DateTime)
	}
	row := func(_ *Feedback, r *Row) string {
		return fmt.Sprintf("%s %d %s/%s/%s %s", r.Source, r.Count, r.Disposition, r.DKIM, r.SPF, r.HeaderFrom)
	}
	usual := "192.0.2.1 2 none/pass/fail example.com"
	ip := func(s string) string { return record("<source_ip>"+s+"</source_ip><count>2</count>", "", "", "") }
	count := func(s string) string {
		return record("<source_ip>192.0.2.1</source_ip><count>"+s+"</count>", "", "", "")
	}
	words := func(d, k, s string) string {
		return record("", "<disposition>"+d+"</disposition><dkim>"+k+"</dkim><spf>"+s+"</spf>", "", "")
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
		{"F1 version 2.0", parts{tail: "<version>2.0</version></feedback>"}, func(f *Feedback, _ *Row) string { return f.Version }, "2.0", ""},
		{"F2 empty org_name", parts{meta: "<org_name> </org_name><email>x@Org.Example</email>"}, func(f *Feedback, _ *Row) string { return f.Metadata.Org }, "org.example", "org"},
		{"F3 one reporter, two names", parts{meta: "<org_name>Google Inc.</org_name><email>noreply@google.com</email>"}, func(f *Feedback, _ *Row) string { return f.Metadata.ReporterKey("") }, "google.com", ""},
		{"F4 report id in brackets", parts{meta: "<org_name>Org</org_name><email>a@org.example</email><report_id>&lt;1@x&gt;</report_id>"}, func(f *Feedback, _ *Row) string { return strings.Split(f.Key(""), "\n")[1] }, "1@x", ""},
		{"F5 decimals", parts{dates: "<begin>1700006400.0</begin><end>1700092799.5</end>"}, nil, day, ""},
		{"F5 milliseconds", parts{dates: "<begin>1700006400000</begin><end>1700092799000</end>"}, nil, day, ""},
		{"F5 microseconds", parts{dates: "<begin>1700006400000000</begin><end>1700092799000000</end>"}, nil, day, ""},
		{"F5 blanks", parts{dates: "<begin> 1700006400\n</begin><end>1700092799 </end>"}, nil, day, ""},
		{"F5 ISO 8601", parts{dates: "<begin>2023-11-15T00:00:00Z</begin><end>2023-11-15T23:59:59Z</end>"}, nil, day, ""},
		{"F5 a date of mail", parts{dates: "<begin>Wed, 15 Nov 2023 00:00:00 +0000</begin><end>Wed, 15 Nov 2023 23:59:59 +0000</end>"}, nil, day, ""},
		{"F5 no dates", parts{dates: "<begin>x</begin><end></end>"}, nil, "0001-01-01 00:00:00 0001-01-01 00:00:00", "dates"},
		{"F6 begin is end", parts{dates: "<begin>1700006400</begin><end>1700006400</end>"}, nil, "2023-11-15 00:00:00 2023-11-15 00:00:00", ""},
		{"F6 end before begin", parts{dates: "<begin>1700092799</begin><end>1700006400</end>"}, nil, day, "dates-swapped"},
		{"F7 exclusive end", parts{dates: "<begin>1700006400</begin><end>1700092800</end>"}, nil, day, ""},
		{"F8 several days", parts{dates: "<begin>1700006400</begin><end>1700265599</end>"}, nil, "2023-11-15 00:00:00 2023-11-17 23:59:59", ""},
		{"F9 nothing came", parts{record: record("<source_ip></source_ip><count>0</count>", "", "", "")}, row, " 0 none/pass/fail example.com", "null"},
		{"F10 decimals", parts{record: count("2.0")}, row, usual, "count-form"},
		{"F10 thousands", parts{record: count("1,234")}, row, "192.0.2.1 1234 none/pass/fail example.com", "count-form"},
		{"F11 brackets", parts{record: ip("[192.0.2.1]")}, row, usual, "source-form"},
		{"F11 zone", parts{record: ip("fe80::1%eth0")}, row, "fe80::1 2 none/pass/fail example.com", "source-form"},
		{"F11 mapped", parts{record: ip("::ffff:192.0.2.1")}, row, usual, "source-form"},
		{"F11 network of one", parts{record: ip("192.0.2.1/32")}, row, usual, "source-form"},
		{"F11 a port", parts{record: ip("192.0.2.1:25")}, row, usual, "source-form"},
		{"F11 no address", parts{record: ip("108r.166.27.220")}, row, "108r.166.27.220 2 none/pass/fail example.com", "source"},
		{"F11 empty", parts{record: ip("")}, row, " 2 none/pass/fail example.com", ""},
		{"F12 derived", parts{record: record("", "<disposition>none</disposition>", "", "<dkim><domain>mail.example.com</domain><result>pass</result></dkim><spf><domain>other.example</domain><result>pass</result></spf>")}, row, usual, "derived"},
		{"F12 nothing to derive from", parts{record: record("", "<disposition>none</disposition>", "", "<x/>")}, row, "192.0.2.1 2 none// example.com", "unknown-element"},
		{"F13 mixed case", parts{record: words(" None", "Pass", "FAIL ")}, row, usual, "case"},
		{"F14 other words", parts{record: words("none", "hardfail", "unknown")}, row, "192.0.2.1 2 none/hardfail/unknown example.com", ""},
		{"F15 disposition pass", parts{record: words("pass", "pass", "fail")}, func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Action() == Delivered) }, "true", ""},
		{"F15 disposition unknown", parts{record: words("unknown", "fail", "fail")}, func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Action() == Unclear) }, "true", "contradiction"},
		{"F16 reasons", parts{record: record("", "<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>$text</type></reason><reason><type/></reason><reason><comment>c</comment></reason>", "", "")}, func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Reasons) }, "[{$text } { c}]", ""},
		{"F17 NULL", parts{policy: "<domain>NULL</domain><p>none</p><pct>100%</pct><sp></sp>", record: from("example.org")}, func(f *Feedback, _ *Row) string { return f.Policy.Domain + f.Policy.Pct }, "100", "domain contradiction"},
		{"F18 empty results", parts{record: record("", "", "", " ")}, row, usual, ""},
		{"F18 a signature with a result alone", parts{record: record("", "", "", "<dkim><result>none</result></dkim>")}, func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Signatures) }, "[{  none}]", "contradiction"},
		{"F19 several results", parts{record: record("", "", "", "<dkim><domain>a.example</domain><selector>S1</selector><result>pass</result></dkim><dkim><domain>b.example</domain><result>fail</result></dkim><spf><domain>c.example</domain><scope>helo</scope><result>pass</result></spf>")},
			func(_ *Feedback, r *Row) string { return fmt.Sprint(r.Signatures, r.SPFResults) }, "[{a.example s1 pass} {b.example  fail}] [{c.example helo pass}]", "contradiction"},
		{"F20 missing", parts{record: from(" ")}, row, usual, "header-from"},
		{"F20 upper case and dot", parts{record: from("Example.COM.")}, row, usual, ""},
		{"F20 an address", parts{record: from("&lt;joe@example.com&gt;")}, row, usual, ""},
		{"F20 Unicode", parts{record: from("bücher.example")}, row, "192.0.2.1 2 none/pass/fail xn--bcher-kva.example", "contradiction"},
		{"F22 another policy", parts{policy: "<domain>example.com</domain><p>Reject</p><np>none</np>"}, func(f *Feedback, _ *Row) string { return f.Policy.P + f.Policy.NP }, "rejectnone", ""},
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

// F10: a count that cannot be is no message, and the other rows are read. Words are never turned into a pass.
func TestRefusedRows(t *testing.T) {
	for _, count := range []string{"-3", "1e30", "99999999999999999999", "x", "", "1.5", "NaN"} {
		bad := record("<source_ip>192.0.2.9</source_ip><count>"+count+"</count>", "", "", "")
		f, rows := read(t, parts{record: record("", "", "", "") + "\n" + bad + record("", "", "", "")}.String())
		if len(rows) != 2 || f.Messages != 4 || len(f.Refused) != 1 || f.Refused[0].N != 2 || f.Refused[0].Line != 6 || f.Refused[0].Why == "" {
			t.Errorf("count %q: %d rows, %d messages, refused %+v", count, len(rows), f.Messages, f.Refused)
		}
	}
}

func TestUnknownWordsDoNotPass(t *testing.T) {
	for _, word := range []string{"unknown", "error", "invalid", "nxdomain", "signed", "passed", "none", "", "hardfail"} {
		r := Row{DKIM: word, SPF: word, Disposition: word}
		if r.Pass() || ResultClass(word) == "pass" {
			t.Errorf("%q passes", word)
		}
		if got := r.Action(); got != Unclear && word != "none" {
			t.Errorf("disposition %q is %v", word, got)
		}
	}
	if !slices.Contains([]string{"fail"}, ResultClass("hardfail")) || ResultClass("signed") != "unknown" {
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
			t.Fatalf("%d rows and %d messages were handed over, the head says %d and %d", n, sum, out.Rows, out.Messages)
		}
	})
}
