package report

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
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
		"<report_metadata>" + or(p.meta,
		"<org_name>Org</org_name><email>a@org.example</email><report_id>1</report_id>") +
		"<date_range>" + or(p.dates, "<begin>1700006400</begin><end>1700092799</end>") +
		"</date_range></report_metadata>\n" +
		"<policy_published>" + or(p.policy, "<domain>example.com</domain><p>none</p>") +
		"</policy_published>\n" +
		or(p.record, record("", "", "", "")) +
		or(p.tail, "</"+strings.Fields(or(p.root, "feedback"))[0]+">\n")
}

// record is a record with parts in place of the usual ones.
func record(row, evaluated, identifiers, results string) string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return "<record><row>" + or(row, "<source_ip>192.0.2.1</source_ip><count>2</count>") +
		"<policy_evaluated>" +
		or(evaluated, "<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>") +
		"</policy_evaluated></row>" +
		"<identifiers>" + or(identifiers, "<header_from>example.com</header_from>") +
		"</identifiers>" +
		"<auth_results>" + or(results,
		"<dkim><domain>example.com</domain><result>pass</result></dkim>") +
		"</auth_results></record>"
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

// TestXML has a case for each quirk of XML that reporters were seen to write. Each still has its
// record of 2 messages.
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
		{"X3 windows-1252", parts{head: `<?xml version="1.0" encoding="windows-1252"?>`,
			meta: meta("Caf\xe9 \x93")}.String(), "Café “", "encoding"},
		{"X3 ISO 8859-1", parts{head: `<?xml version='1.0' encoding='ISO-8859-1'?>`,
			meta: meta("Caf\xe9")}.String(), "Café", "encoding"},
		{"X3 UTF8 without a hyphen", parts{head: `<?xml version="1.0" encoding="UTF8"?>`,
			meta: meta("Café")}.String(), "Café", ""},
		{"X3 unknown", parts{head: `<?xml version="1.0" encoding="x-none"?>`,
			meta: meta("Café")}.String(), "Café", "encoding-unknown"},
		{"X3 a label that is not true",
			parts{head: `<?xml version="1.0" encoding="utf-16"?>`}.String(), "Org",
			"encoding-wrong"},
		{"X4 bytes that are not UTF-8", parts{meta: meta("Bob\x92s")}.String(), "Bob’s", "bad-utf8"},
		{"X5 control characters", parts{meta: meta("a\x01b\x1f")}.String(), "ab", "control"},
		{"X3 Shift_JIS", parts{head: `<?xml version="1.0" encoding="Shift_JIS"?>`,
			meta: meta("\x93\xfa\x96\x7b")}.String(), "日本", "encoding"},
		{"X3 UTF-8 far behind another label",
			parts{head: `<?xml version="1.0" encoding="iso-8859-1"?>` + strings.Repeat(" ", 900),
				meta: meta("Café")}.String(), "Café", "encoding-wrong"},
		{"X4 no label", parts{head: " ", meta: meta("Caf\xe9")}.String(), "Café", "bad-utf8"},
		{"X6 no declaration", parts{head: "\n\n  "}.String(), "Org", ""},
		{"X6 one line", strings.ReplaceAll(parts{}.String(), "\n", ""), "Org", ""},
		{"X7 XML 1.1", parts{head: `<?xml version="1.1"?>`}.String(), "Org", ""},
		{"X8 a schema left open", parts{head: `<?xml version="1.0"?><xs:schema ` +
			`xmlns:xs="http://www.w3.org/2001/XMLSchema">`}.String(), "Org", ""},
		{"X9 prefixes", strings.NewReplacer("</", "</ns1:", "<",
			"<ns1:").Replace(parts{head: " "}.String()), "Org", ""},
		{"X10 the namespace of RFC 9990",
			parts{root: `feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"`}.String(), "Org", ""},
		{"X11 the old namespace", parts{root: `feedback xmlns="http://dmarc.org/dmarc-xml/0.1" ` +
			`xmlns:xsi="x" xsi:schemaLocation="y > z"`}.String(), "Org", ""},
		{"X11 another namespace", parts{root: `feedback xmlns="urn:x"`}.String(), "Org", "namespace"},
		{"X12 a plain &", parts{meta: meta("AT&T & Co")}.String(), "AT&T & Co", "unescaped-amp"},
		{"X13 a plain < in an address",
			parts{meta: "<org_name>Org</org_name><email><bad@x></email><report_id>1</report_id>"}.String(),
			"Org", "unescaped-lt"},
		{"X13 a name that is misspelled where it ends",
			parts{meta: strings.Replace(meta("Org"), "</org_name>", "</org_nam>", 1)}.String(),
			"Org", "unopened unclosed"},
		{"X13 a plain < before the end", parts{meta: meta("a<b")}.String(), "a<b", "unescaped-lt"},
		{"X13 a plain < at the end", parts{meta: meta("a<")}.String(), "a<", "unescaped-lt"},
		{"X14 entities of HTML", parts{meta: meta("Caf&eacute;&nbsp;x")}.String(), "Café\u00a0x", ""},
		{"X15 upper case", strings.NewReplacer("feedback", "FeedBack", "record", "RECORD",
			"org_name", "Org_Name").Replace(parts{}.String()), "Org", ""},
		{"X15 all in upper case", upperTags(parts{}.String()), "Org", ""},
		{"X15 names of other languages", otherNames("", "Org", parts{}.String()), "Org", "name-form"},
		{"X15 names with hyphens", otherNames("-", "org", parts{}.String()), "Org", "name-form"},
		{"X16 stray text", strings.ReplaceAll(parts{}.String(), "</policy_published>",
			"11</policy_published>x"), "Org", ""},
		{"X17 unknown elements", parts{tail: "<extension><x:y><domain>no</domain></x:y></extension>" +
			"</feedback>"}.String(), "Org", "unknown-element"},
		{"X17 attributes", strings.ReplaceAll(parts{}.String(), "<org_name>",
			`<org_name lang='en' x="a>b">`), "Org", ""},
		{"X19 two policies", parts{tail: "<policy_published><domain>other.example</domain>" +
			"</policy_published></feedback>"}.String(), "Org", "policies"},
		{"X21 identities", strings.ReplaceAll(parts{}.String(), "identifiers", "identities"), "Org", ""},
		{"X17 a list around the records", strings.NewReplacer("<record>", "<records><record>",
			"</record>", "</record></records>").Replace(parts{}.String()), "Org",
			"unknown-element"},
		{"X17 an envelope around the report", "<soap:Envelope><soap:Body>" +
			parts{head: " "}.String() + "</soap:Body></soap:Envelope>", "Org", "trailing"},
		{"CDATA around every value", strings.NewReplacer(">example.com<",
			"><![CDATA[example.com]]><", ">2<", "><![CDATA[ 2 ]]><", ">pass<",
			"><![CDATA[pass]]><").Replace(parts{}.String()), "Org", ""},
		{"comments in values", strings.NewReplacer("example.com",
			"exam<!-- > <p> -->ple.<?x y?>com").Replace(parts{}.String()), "Org", ""},
		{"a row that gives a value twice",
			parts{record: record("<source_ip>192.0.2.1</source_ip><count>2</count><count>5</count>",
				"", "", "")}.String(), "Org", "repeated"},
		{"letters without width", parts{meta: meta("\u200bOrg\ufeff")}.String(), "Org", ""},
		{"CDATA", parts{meta: meta("<![CDATA[a < b & c]]>")}.String(), "a < b & c", ""},
		{"a comment", parts{head: "<!-- <feedback> -->"}.String(), "Org", ""},
		{"an element that is not closed",
			parts{meta: "<org_name>Org<email>a@org.example</email>"}.String(), "Org", "unclosed"},
		{"an end without a beginning", parts{tail: "</row></feedback>"}.String(), "Org", "unopened"},
		{"something behind", parts{tail: "</feedback><x/>"}.String(), "Org", "trailing"},
		{"a long value", parts{meta: meta("Org") + "<extra_contact_info>" + strings.Repeat("x",
			9000) + "</extra_contact_info>"}.String(), "Org", "long-value"},
	} {
		t.Run(tc.id, func(t *testing.T) {
			f, rows := read(t, tc.text)
			if f.Rows != 1 || f.Messages != 2 || len(rows) != 1 || f.Cut != "" ||
				len(f.Refused) > 0 {
				t.Errorf("%d rows, %d messages, cut %q, refused %v; want 1 row and 2 messages",
					f.Rows, f.Messages, f.Cut, f.Refused)
			}
			if f.Metadata.Org != tc.org || f.Policy.Domain != "example.com" ||
				rows[0].HeaderFrom != "example.com" || rows[0].DKIM != "pass" {
				t.Errorf("org %q, policy %q, row %+v; want %q", f.Metadata.Org, f.Policy.Domain,
					rows[0], tc.org)
			}
			if got := codes(f); got != tc.notes {
				t.Errorf("notes %q, want %q", got, tc.notes)
			}
		})
	}
}

// upperTags writes the names of all elements in upper case.
func upperTags(text string) string {
	return regexp.MustCompile("</?[a-z_]+").ReplaceAllStringFunc(text, strings.ToUpper)
}

// otherNames writes the names of elements with another letter in place of "_", and the parts of
// names that begin with org in the form of org.
func otherNames(between, org, text string) string {
	return regexp.MustCompile("</?[a-z_]+").ReplaceAllStringFunc(text, func(tag string) string {
		words := strings.Split(tag, "_")
		for i, w := range words[1:] {
			if org == "Org" {
				words[i+1] = strings.ToUpper(w[:1]) + w[1:]
			}
		}
		return strings.Join(words, between)
	})
}

// A record with several <row> elements is as many rows, with the identifiers and results that
// follow them.
func TestRowsOfRecord(t *testing.T) {
	row := "<row><source_ip>192.0.2.%d</source_ip><count>%d</count><policy_evaluated><disposition>none</disposition>" +
		"<dkim>%s</dkim><spf>fail</spf></policy_evaluated></row>"
	text := "<record>" + fmt.Sprintf(row, 1, 2, "pass") + fmt.Sprintf(row, 2, 3, "fail") +
		"<identifiers><header_from>example.com</header_from></identifiers><auth_results></auth_results></record>"
	f, rows := read(t, parts{record: text}.String())
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.N, " ", r.Source, " ", r.Count, " ", r.DKIM, " ",
			r.HeaderFrom))
	}
	want := "1 192.0.2.1 2 pass example.com, 2 192.0.2.2 3 fail example.com"
	if strings.Join(got, ", ") != want || f.Messages != 5 || codes(f) != "rows" {
		t.Errorf("got %q, %d messages, notes %q; want %q", got, f.Messages, codes(f), want)
	}
}

// F9, RI-9: a record that says nothing is no error: the reporter saw nothing.
func TestNothingCame(t *testing.T) {
	empty := "<record><row><source_ip/><count/><policy_evaluated><disposition/><dkim/><spf/></policy_evaluated></row>" +
		"<identifiers><header_from/></identifiers><auth_results/></record>"
	for _, text := range []string{
		empty, strings.ReplaceAll(empty, "<source_ip/><count/>",
			"<source_ip>null</source_ip><count>NULL</count>"), "<record/>",
		`<record xsi:nil="true"></record>`, " ", record("<source_ip></source_ip><count>0</count>",
			"", "", ""),
	} {
		f, _ := read(t, parts{record: text}.String())
		if f.Messages != 0 || len(f.Refused) > 0 || f.Cut != "" {
			t.Errorf("%s: %d messages, refused %v, cut %q", text, f.Messages, f.Refused, f.Cut)
		}
	}
}

// F19: what is derived does not rest on results that were left out.
func TestResultsLeftOut(t *testing.T) {
	many := strings.Repeat("<dkim><domain>a.example</domain><result>fail</result></dkim>",
		MaxResults) +
		"<dkim><domain>example.com</domain><result>pass</result></dkim>"
	f, rows := read(t, parts{record: record("", "<disposition>none</disposition>", "",
		many)}.String())
	if len(rows) != 1 || len(rows[0].Signatures) != MaxResults || rows[0].DKIM != "" ||
		codes(f) != "results" {
		t.Errorf("got %q with %d results, notes %q; want a result that is not known", rows[0].DKIM,
			len(rows[0].Signatures), codes(f))
	}
}

// X18: a comment that is never closed takes the rest of the file, and is named.
func TestCommentLeftOpen(t *testing.T) {
	f, _ := read(t, parts{record: record("", "", "", "") + "\n<!-- " +
		record("", "", "", "")}.String())
	if f.Rows != 1 || !strings.Contains(f.Cut, "a comment that begins in line 6") {
		t.Errorf("%d rows, cut %q; want one row, and the line of the comment", f.Rows, f.Cut)
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

// X20, and what else no one writes.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("<x>", 1_000_000)
	for _, tc := range []struct{ name, text string }{
		{"an external entity", `<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>` +
			parts{head: " "}.String()},
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
	for _, text := range []string{"", "hello", "<html><body>no</body></html>", "<feed></feed>",
		"<?xml version='1.0'?>"} {
		if _, err := ReadXML(strings.NewReader(text),
			func(*Row) error { return nil }); !errors.Is(err, ErrNoReport) {
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

// TestMoreRows counts each <row> of a record, or refuses it with its line.
func TestMoreRows(t *testing.T) {
	const row = "<row><source_ip>192.0.2.1</source_ip><count>1</count></row>\n"
	text := strings.Replace(parts{}.String(), "<row>", "\n"+strings.Repeat(row, maxRowParts+5)+
		"<row>", 1)
	f, rows := read(t, text)
	if len(rows) != maxRowParts+1 || len(f.Refused) != 5 || f.Messages != maxRowParts+2 {
		t.Fatalf("got %d rows with %d messages, %d refused", len(rows), f.Messages, len(f.Refused))
	}
	want := RefusedRow{N: maxRowParts + 1, Line: maxRowParts + 6,
		Why: "its record has more than 1000 <row>"}
	if f.Refused[0] != want {
		t.Errorf("got %+v, want %+v", f.Refused[0], want)
	}
}
