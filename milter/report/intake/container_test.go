package intake

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"iter"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"mailseal/milter/report"
)

// xml is a report of one record and 7 messages.
func xml(id string) []byte {
	return []byte(`<?xml version="1.0"?><feedback><report_metadata><org_name>Org</org_name><email>a@org.example</email><report_id>` + id +
		`</report_id><date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata>` +
		`<policy_published><domain>example.com</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip>` +
		`<count>7</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>` +
		`<identifiers><header_from>example.com</header_from></identifiers><auth_results></auth_results></record></feedback>`)
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zipped(entries ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		f, _ := w.Create(entries[i])
		io.WriteString(f, entries[i+1])
	}
	w.Close()
	return b.Bytes()
}

func b64(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for ; len(text) > 76; text = text[76:] {
		b.WriteString(text[:76] + "\r\n")
	}
	return b.String() + text + "\r\n"
}

const top = "From: reports@org.example\r\nTo: dmarc@example.com\r\nSubject: Report Domain: " +
	"example.com\r\nMIME-Version: 1.0\r\n"

// multi makes a multipart entity of parts with their headers.
func multi(kind string, parts ...string) string {
	b := fmt.Sprintf("b%d", len(strings.Join(parts, "")))
	out := "Content-Type: multipart/" + kind + "; boundary=" + b + "\r\n\r\n"
	for _, p := range parts {
		out += "--" + b + "\r\n" + p + "\r\n"
	}
	return out + "--" + b + "--\r\n"
}

func attached(kind string, data []byte) string {
	return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64(data)
}

func qp(data []byte) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.String()
}

// eachPart returns the parts, and those that were joined to them. A part is read before the next
// one is asked for.
func eachPart(parts []*Part) iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		for _, p := range parts {
			for ; p != nil; p = p.Next() {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// found lists kinds, with the messages of aggregate reports.
func found(t *testing.T, data []byte) string {
	t.Helper()
	var out []string
	for p := range eachPart(Look("x", data)) {
		s := string(p.Kind)
		if p.Kind == TLS && p.Err == nil {
			r, err := p.ReadTLS()
			if err != nil {
				t.Errorf("%s: %v", p.Name(), err)
			} else {
				s += fmt.Sprint(" ", len(r.Policies))
			}
		}
		if p.Kind == Aggregate {
			f, err := p.ReadAggregate(nil, nil)
			switch {
			case errors.Is(err, report.ErrHostile):
				s = string(Hostile)
			case err != nil:
				t.Errorf("%s: %v", p.Name(), err)
			default:
				s += fmt.Sprint(" ", f.Messages)
			}
		}
		if p.Err != nil {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// mailbox is an mbox of n mails with a report each.
func mailbox(n int) (out string) {
	for i := range n {
		mail := top + attached("application/gzip", gz(xml(fmt.Sprint(i))))
		out += "From reports@org.example Mon Nov 20 00:00:00 2023\n" +
			strings.ReplaceAll(mail, "\r\n", "\n") + "\n"
	}
	return out
}

const human = "Content-Type: text/plain\r\n\r\nThis is a report.\r\nHello: world\r\n"

// TestContainers has a case for each quirk of mail and archives that reporters were seen to send.
func TestContainers(t *testing.T) {
	x := xml("1")
	tls := []byte(`{"organization-name":"Org","policies":[{"policy":{"policy-type":"sts"}}]}`)
	arf := multi("report; report-type=feedback-report", human,
		"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nSource-IP: 192.0.2.1\r\n",
		"Content-Type: message/rfc822\r\n\r\nFrom: a@example.com\r\nSubject: x\r\n\r\nbody")
	for _, tc := range []struct {
		id   string
		data string
		want string
	}{
		{"C1 the body is the zip", top + attached("application/zip; name=x.zip",
			zipped("r.xml", string(x))), "aggregate 7"},
		{"C1 the body is the gzip", top + attached("application/gzip", gz(x)), "aggregate 7"},
		{"C2 nested parts", top + multi("mixed", multi("alternative", human, human),
			attached("application/gzip", gz(x))), "aggregate 7"},
		{"C3 forwarded as a message", top + multi("mixed", human,
			"Content-Type: message/rfc822\r\n\r\n"+top+attached("application/gzip", gz(x))),
			"aggregate 7"},
		{"C3 attached twice", top + multi("mixed", attached("application/gzip", gz(x)),
			attached("application/zip", zipped("r.xml", string(x)))), "aggregate 7, aggregate 7"},
		{"C4 Outlook .msg", top + multi("mixed", human, attached("application/vnd.ms-outlook",
			[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..."))), "other!"},
		{"C5 gzip called zip", top + attached("application/zip", gz(x)), "aggregate 7"},
		{"C5 zip called octet-stream", top + attached("application/octet-stream",
			zipped("a", string(x))), "aggregate 7"},
		{"C5 gzip called text", top + multi("mixed", human, attached("text/plain", gz(x))), "aggregate 7"},
		{"C6 ContentType without a hyphen",
			top + strings.Replace(multi("mixed", human, attached("application/gzip", gz(x))),
				"Content-Type", "ContentType", 1), "aggregate 7"},
		{"C6 a line in the header that is no field", strings.Replace(top, "To:",
			"X: \xe9\r\nthis is no field\r\nTo:", 1) + attached("application/gzip", gz(x)),
			"aggregate 7"},
		{"C6 empty lines before the header", "\r\n\r\n" + top + attached("application/gzip", gz(x)), "aggregate 7"},
		{"C6 a part with a line that is no field", top + multi("mixed", "oops\r\n"+human,
			attached("application/gzip", gz(x))), "other!, aggregate 7"},
		{"C5 a mail called octet-stream", top + multi("mixed", human,
			attached("application/octet-stream", []byte(top+attached("application/gzip", gz(x))))),
			"aggregate 7"},
		{"C3 a digest", top + multi("digest", "\r\n"+top+attached("application/gzip", gz(x))), "aggregate 7"},
		{"C2 HTML that begins with any tag",
			top + multi("mixed", multi("alternative", human,
				"Content-Type: text/html\r\n\r\n<div>hello</div>"), attached("application/gzip",
				gz(x))), "aggregate 7"},
		{"C2 XHTML", top + multi("mixed",
			"Content-Type: text/html\r\n\r\n<?xml version=\"1.0\"?><html><body/></html>",
			attached("application/gzip", gz(x))), "aggregate 7"},
		{"C7 split names", top + multi("mixed",
			"Content-Type: application/gzip;\r\n name*0=\"org.example!exam\";\r\n "+
				"name*1=\"ple.com.xml.gz\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+
				b64(gz(x))), "aggregate 7"},
		{"C5 gzip called XML, in a zip called gzip",
			top + attached("application/gzip; name=r.xml.gz", zipped("r.xml", string(gz(x)))),
			"aggregate 7"},
		{"C6 a boundary that is not that of the parts",
			top + strings.Replace(multi("mixed", human, attached("application/gzip", gz(x))),
				"boundary=b", "boundary=x", 1), "aggregate 7"},
		{"C6 bytes of no encoding before a boundary that cannot be parsed",
			top + strings.Replace(multi("mixed", human, attached("application/gzip", gz(x))),
				"; boundary", "; x="+strings.Repeat("\xff", 300)+" ; =; boundary", 1),
			"aggregate 7"},
		{"C6 no boundary", top + regexp.MustCompile("; boundary=b[0-9]+").ReplaceAllString(
			multi("mixed", human, attached("application/gzip", gz(x))), ""), "aggregate 7"},
		{"C2 signed with S/MIME", top + multi("signed; protocol=\"application/pkcs7-signature\"",
			multi("mixed", human, attached("application/gzip", gz(x))),
			attached("application/pkcs7-signature", cms(2))), "aggregate 7"},
		{"C2 signed with S/MIME, the signature called octet-stream",
			top + multi("signed", attached("application/gzip", gz(x)),
				attached("application/octet-stream", cms(2))), "aggregate 7"},
		{"C2 signed with PGP", top + multi("signed; protocol=\"application/pgp-signature\"",
			multi("mixed", human, attached("application/gzip", gz(x))),
			"Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n"),
			"aggregate 7"},
		{"C2 signed with S/MIME as one block",
			top + attached("application/pkcs7-mime; smime-type=signed-data", cms(2)), "other!"},
		{"C2 encrypted with S/MIME", top + attached("application/pkcs7-mime", cms(3)), "other!"},
		{"C2 encrypted with PGP", top + multi("encrypted",
			"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
			"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n"),
			"other!"},
		{"C2 a part of a mail", top + "Content-Type: message/partial; number=1; total=2; id=x\r\n\r\n" +
			attached("application/gzip", gz(x)), "other!"},
		{"C2 a reference to another place", top + "Content-Type: message/external-body; " +
			"access-type=URL\r\n\r\nContent-Type: application/gzip\r\n\r\n", "other!"},
		{"C8 gzip and a line break", string(gz(x)) + "\r\n", "aggregate 7"},
		{"C8 gzip and zeros", string(gz(x)) + strings.Repeat("\x00", 100), "aggregate 7"},
		{"C8 two members", string(gz(x[:200])) + string(gz(x[200:])), "aggregate 7"},
		{"C9 wrong checksum", string(append(gz(x)[:len(gz(x))-8],
			"\x00\x00\x00\x00\x00\x00\x00\x00"...)), "aggregate 7"},
		{"C9 trailer cut off", string(gz(x)[:len(gz(x))-5]), "aggregate 7"},
		{"C9 cut off before anything can be read", string(gz(x)[:12]), "other!"},
		{"C9 a zip without its end", string(zipped("r.xml",
			string(x))[:len(zipped("r.xml", string(x)))-60]), "aggregate 7"},
		{"C9 a zip of two reports without its end", string(zipped("a.xml", string(x), "b.xml",
			string(xml("2")))[:680]), "aggregate 7, aggregate 7"},
		{"C9 a zip of which nothing is left", "PK\x03\x04\x14\x00", "other!"},
		{"C9 wrong checksum in a zip", damaged(x), "aggregate 7"},
		{"C8 two reports in two members", string(gz(x)) + string(gz(xml("2"))), "aggregate 7, aggregate 7"},
		{"C8 three reports in one file", string(x) + "\n" + string(xml("2")) + string(xml("3")),
			"aggregate 7, aggregate 7, aggregate 7"},
		{"C10 gzip in gzip", string(gz(gz(x))), "aggregate 7"},
		{"C10 zip in gzip", string(gz(zipped("r.xml", string(x)))), "aggregate 7"},
		{"C10 gzip in zip", string(zipped("r.xml.gz", string(gz(x)))), "aggregate 7"},
		{"C11 several entries", string(zipped("dir/", "", "dir/a.xml", string(x),
			"__MACOSX/._a.xml", "junk", "b.xml", string(xml("2")))), "aggregate 7, aggregate 7"},
		{"C11 what file managers add", string(zipped(".DS_Store", "\x00\x00Bud1", "Thumbs.db",
			"\x01\x02", "a.xml", string(x))), "aggregate 7"},
		{"C11 only such files", string(zipped("Thumbs.db", "\x01\x02")), "other!"},
		{"C11 an entry that is stored", method(x, zip.Store, 0), "aggregate 7"},
		{"C11 an entry compressed with LZMA", method(x, 14, 0), "other!"},
		{"C11 an encrypted entry", method(x, zip.Store, 1), "other!"},
		{"C11 nothing in it", string(zipped()), "other"},
		{"C11 tar", string(tarred("d/a.xml", x, "d/b.xml.gz", gz(xml("2")), "d/.x", []byte("?"))),
			"aggregate 7, aggregate 7"},
		{"C11 tar in gzip", string(gz(tarred("a.xml", x))), "aggregate 7"},
		{"C11 a tar that is cut off", string(tarred("a.xml", x, "b.xml", x)[:1700]), "aggregate 7, other!"},
		{"C11 bzip2", string(bz2), "null"},
		{"C11 zlib", string(deflated(x)), "aggregate 7"},
		{"C11 something before the zip", "junk\r\n" + string(zipped("r.xml", string(x))), "aggregate 7"},
		{"C11 a name that leads out", string(zipped("../../etc/passwd", string(x))), "aggregate 7"},
		{"C12 base64 on one line", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString(gz(x)), "aggregate 7"},
		{"C12 base64 with stray characters", top + "Content-Transfer-Encoding: Base64 \r\n\r\n" +
			strings.ReplaceAll(b64(gz(x)), "\r\n", " \xa0\r\n!\r\n"), "aggregate 7"},
		{"C12 base64 that no field announces", top + "Content-Type: application/gzip\r\n\r\n" +
			b64(gz(x)), "aggregate 7"},
		{"C12 base64 alone in a file", b64(zipped("r.xml", string(x))), "aggregate 7"},
		{"C12 base64 in quotes", top + "Content-Transfer-Encoding: \"base64\"\r\n\r\n" + b64(gz(x)), "aggregate 7"},
		{"C12 blocks with padding", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			b64(gz(x)[:100]) + b64(gz(x)[100:201]) + b64(gz(x)[201:]), "aggregate 7"},
		{"C12 a stray =", top + "Content-Transfer-Encoding: base64\r\n\r\n=" +
			strings.Replace(b64(gz(x)), "\r\n", "=\r\n", 1), "aggregate 7"},
		{"C12 a line between the lines", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			strings.Replace(b64(gz(x)), "\r\n", "\r\n*** scanned by a program ***\r\n", 1),
			"aggregate 7"},
		{"C12 words at the end of a line", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			strings.Replace(b64(gz(x)), "\r\n", "!! scanned by a program\r\n", 1), "aggregate 7"},
		{"C12 the alphabet of URLs", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			base64.URLEncoding.EncodeToString(gz(x)), "aggregate 7"},
		{"C12 text behind it", top + "Content-Transfer-Encoding: base64\r\n\r\n" + b64(gz(x)) +
			"-- \r\nThis list is run by nobody\r\n", "aggregate 7"},
		{"C12 uuencode", top + "Content-Transfer-Encoding: x-uuencode\r\n\r\n" + uu(gz(x)), "aggregate 7"},
		{"C12 uuencode in the text", top + "\r\nHello,\r\n\r\n" + uu(gz(x)), "aggregate 7"},
		{"C12 BinHex", top + "\r\n(This file must be converted with BinHex 4.0)\r\n:$f*TEQKP:\r\n", "other!"},
		{"C12 quoted-printable that is not", top +
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + string(x), "aggregate 7"},
		{"C12 padding cut off", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			strings.TrimRight(b64(x), "=\r\n"), "aggregate 7"},
		{"C12 quoted-printable", top + "Content-Type: text/xml\r\nContent-Transfer-Encoding: " +
			"quoted-printable\r\n\r\n" + qp(x), "aggregate 7"},
		{"C13 plain XML", top + multi("mixed", human, "Content-Type: text/xml\r\n\r\n"+string(x)), "aggregate 7"},
		{"C13 XML in the body", top + "\r\n" + string(x), "aggregate 7"},
		{"C13 text before the XML", top + multi("mixed",
			"Content-Type: text/plain\r\n\r\nSee the report:\r\n\r\n"+string(x)), "aggregate 7"},
		{"C13 XML in HTML", top + multi("alternative", human,
			"Content-Type: text/html\r\n\r\n<html><pre>"+html.EscapeString(string(x))+
				"</pre></html>"), "aggregate 7"},
		{"C13 XML in HTML, and attached",
			top + multi("mixed", "Content-Type: text/html\r\n\r\n<html><pre>"+
				html.EscapeString(string(x))+"</pre></html>", attached("application/gzip", gz(x))),
			"aggregate 7"},
		{"C13 an answer that quotes the XML", top + "\r\nYou wrote:\r\n> " +
			strings.ReplaceAll(string(x), "><", ">\r\n> <"), "aggregate 7"},
		{"C13 text before the XML, in a file", "junk\n" + string(x), "aggregate 7"},
		{"C14 unused", string(gz([]byte("unused\n"))), "null"},
		{"C14 an attachment without content",
			top + multi("mixed", human, "Content-Type: application/gzip; "+
				"name=r.xml.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n"), "other!"},
		{"C14 empty", string(gz(nil)), "null"},
		{"C15 TLS report", top + multi("report; report-type=tlsrpt", human,
			attached("application/tlsrpt+gzip", gz(tls))), "tls 1"},
		{"C15 TLS report with a byte order mark", "\xef\xbb\xbf" + string(tls), "tls 1"},
		{"C15 a person who writes JSON", top + "\r\n{\"a\": 1}", "other"},
		{"C15 winmail.dat", top + multi("mixed", human, attached("application/ms-tnef",
			[]byte("\x78\x9f\x3e\x22\x00"))), "other!"},
		{"C15 failure report", top + arf, "failure"},
		{"C15 the part of a failure report alone",
			"User-Agent: x\n\ty\nFeedback-Type: auth-failure\nSource-IP: 192.0.2.1\n", "failure"},
		{"C15 the same, called octet-stream", top + multi("report; report-type=feedback-report",
			human, "Content-Type: application/octet-stream\r\n\r\nFeedback-Type: "+
				"auth-failure\r\nSource-IP: 192.0.2.1\r\n"), "failure"},
		{"C15 a mail with such a field", "Feedback-Type: x\r\n" + top + attached("application/gzip",
			gz(x)), "aggregate 7"},
		{"C15 a person who writes of it", top + "\r\nHello,\r\n\r\nFeedback-Type: what is that?\r\n", "other"},
		{"C15 bounce", top + multi("report; report-type=delivery-status", human,
			"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n"), "bounce"},
		{"C15 a person", top + "\r\nHello\r\n", "other"},
		{"C15 a person who writes HTML", top + multi("alternative", human,
			"Content-Type: text/html\r\n\r\n<html><p>x</html>"), "other"},
		{"C15 xz", "\xfd7zXZ\x00123", "other!"},
		{"C15 RAR", "Rar!\x1a\x07", "other!"},
		{"C15 Zstandard", "\x28\xb5\x2f\xfd", "other!"},
		{"C15 LZ4", "\x04\x22\x4d\x18", "other!"},
		{"C15 compress", "\x1f\x9d\x90", "other!"},
		{"C15 Cabinet", "MSCF\x00", "other!"},
		{"C17 no subject that says anything", "Subject: x\r\n" + attached("application/gzip", gz(x)), "aggregate 7"},
		{"C18 encoded words", "Subject: =?utf-8?B?UmVwb3J0?=\r\n =?utf-8?Q?_x?=\r\n" +
			attached("application/gzip", gz(x)), "aggregate 7"},
		{"C1 a mail in UTF-16", "\xff\xfe" + wideText(top+attached("application/gzip", gz(x)), false), "aggregate 7"},
		{"C1 a mail whose lines end with CR", strings.ReplaceAll(top+attached("application/gzip",
			gz(x)), "\r\n", "\r"), "aggregate 7"},
		{"C10 an mbox in a zip", string(zipped("mbox", mailbox(3))), "aggregate 7, aggregate 7, aggregate 7"},
		{"C10 an mbox in a gzip, in a tar", string(tarred("mbox.gz", gz([]byte(mailbox(2))))),
			"aggregate 7, aggregate 7"},
		{"an mbox line", "From reports@org.example Mon Nov 20\r\n" + top +
			attached("application/gzip", gz(x)), "aggregate 7"},
		{"an encrypted or other archive", "7z\xbc\xaf\x27\x1c123", "other!"},
		{"nothing", "", "other!"},
		{"a picture", "\x89PNG\r\n\x1a\n", "other!"},
	} {
		t.Run(tc.id, func(t *testing.T) {
			if got := found(t, []byte(tc.data)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// C16 and its kin: what costs much more than it weighs is hostile, and costs little.
func TestBombs(t *testing.T) {
	zeros := bytes.Repeat([]byte(" "), 1<<20)
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	io.WriteString(w, "<feedback>")
	for range 70 {
		w.Write(zeros)
	}
	w.Close()
	var many []string
	for i := range 150 {
		many = append(many, fmt.Sprint(i, ".xml"), string(xml(fmt.Sprint(i))))
	}
	deep := human
	for i := range 5000 {
		deep = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n%s", i,
			deep)
	}
	layers := xml("1")
	for range 6 {
		layers = gz(layers)
	}
	bombInZip := string(zipped("a", "<feedback>"+strings.Repeat(" ", 70<<20)))
	wide := string(xml("1")) + strings.Repeat(" ", 50<<20)
	attribute := gz([]byte(`<feedback x="` + strings.Repeat("y", 20<<20)))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, tc := range []struct {
		name string
		data string
	}{
		{"70 MiB in a gzip", bomb.String()},
		{"the same in a zip", bombInZip},
		{"5,000 multiparts within each other", top + deep},
		{"100,000 parts", top + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\n\r\nx\r\n", 100_000)},
		{"three reports of 50 MiB in a zip", string(zipped("1.xml", wide, "2.xml", wide, "3.xml", wide))},
		{"six archives within each other", string(layers)},
		{"a long attribute", string(attribute)},
		{"20 mails of 24 MiB within each other", nested("message/rfc822", 18, strings.Repeat("x\r\n", 8<<20))},
		{"a tar with a file that claims a terabyte", string(sparse())},
		{"a zip of 70 MiB without its end", bombInZip[:len(bombInZip)-60]},
		{"an archive of zeros in a gzip", string(gz(append([]byte("PK\x03\x04"), bytes.Repeat([]byte{0}, 30<<20)...)))},
	} {
		if got := found(t, []byte(tc.data)); !strings.Contains(got, "hostile") {
			t.Errorf("%s: got %q", tc.name, got)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes are still held", grown)
	}
	if got := found(t, zipped(many...)); strings.Count(got, "aggregate") != maxParts ||
		!strings.Contains(got, "hostile") {
		t.Errorf("150 entries: got %q", got)
	}
}

func TestEach(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		put("Maildir/"+sub+"/1", sub)
	}
	put("sub/deep/r.xml", "x")
	put("sub/tmp/r.xml", "y") // of no Maildir
	put("mbox", "From a\nSubject: 1\n\nFrom the text\n\nFrom b\nSubject: 2\n\n")
	var got []string
	visit := func(f File) error {
		got = append(got, strings.TrimPrefix(f.Name, dir+"/")+"="+
			strings.TrimSpace(strings.ReplaceAll(string(f.Data), "\n", "|")))
		if f.Err != nil {
			got[len(got)-1] += "!"
		}
		return nil
	}
	if err := Each([]string{dir, "-", dir + "/none"}, strings.NewReader("in"), visit); err != nil {
		t.Fatal(err)
	}
	want := "Maildir/cur/1=cur, Maildir/new/1=new, mbox, mail 1=From a|Subject: 1||From the " +
		"text||, mbox, mail 2=From b|Subject: 2||, " +
		"sub/deep/r.xml=x, sub/tmp/r.xml=y, standard input=in, none=!"
	if strings.Join(got, ", ") != want {
		t.Errorf("got\n%s, want\n%s", strings.Join(got, ", "), want)
	}
}

// TestPackedMailbox reads an mbox that was compressed, however many mails it has, and none that
// grows too much.
func TestPackedMailbox(t *testing.T) {
	box := gz([]byte(mailbox(300)))
	bomb := gz(append([]byte(mailbox(1)), bytes.Repeat([]byte("x\n"), 20<<20)...))
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"300 mails", box, "300 mails, <nil>"},
		{"cut off", box[:len(box)/2], "mails, unexpected EOF"},
		{"a bomb", bomb, "1 mails, hostile: the mailbox inflates to more than 100 times its size"},
	} {
		n, last := 0, error(nil)
		err := Split("x", tc.data, func(f File) error {
			if f.Err == nil {
				n++
			}
			last = f.Err
			return nil
		})
		if got := fmt.Sprintf("%d mails, %v", n, last); err != nil || n == 0 ||
			!strings.HasSuffix(got, tc.want) {
			t.Errorf("%s: got %q (%v), want %q", tc.name, got, err, tc.want)
		}
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte(top + multi("mixed", human, attached("application/gzip", gz(xml("1"))))))
	f.Add(zipped("r.xml", string(xml("1"))))
	f.Add(gz(gz(xml("1"))))
	f.Add(tarred("d/a.xml", xml("1"), "b.xml.gz", gz(xml("2"))))
	f.Add(bz2)
	f.Add(deflated(xml("1")))
	f.Add(zipped("r.xml", string(xml("1")))[:300])
	f.Add([]byte(top + "Content-Transfer-Encoding: x-uuencode\r\n\r\n" + uu(gz(xml("1")))))
	f.Add([]byte(top + "Content-Transfer-Encoding: base64\r\n\r\n" +
		strings.Replace(b64(gz(xml("1"))), "\r\n", "!! x\r\n", 1)))
	f.Add([]byte(top + "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		html.EscapeString(string(xml("1")))))
	f.Add([]byte(strings.Replace(top+multi("mixed", human, attached("application/gzip",
		gz(xml("1")))), "boundary=b", "boundary=x", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts := Look("x", data)
		if len(parts) == 0 {
			t.Fatal("nothing at all was found")
		}
		for p := range eachPart(parts) {
			if p.Kind == TLS && p.Err == nil {
				p.ReadTLS()
			}
			if p.Kind == Aggregate && p.Err == nil {
				p.ReadAggregate(nil, func(*report.Row) error { return nil })
			}
		}
	})
}
