package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"mailseal/milter/report"
)

// tlsText is a TLS report of one policy.
func tlsText(id string, good int) string {
	return fmt.Sprintf(`{"organization-name":"Org","date-range":{"start-datetime":"2023-11-15T00:00:00Z",`+
		`"end-datetime":"2023-11-15T23:59:59Z"},"report-id":"%s","policies":[{"policy":{"policy-type":"sts",`+
		`"policy-domain":"example.com"},"summary":{"total-successful-session-count":%d,`+
		`"total-failure-session-count":0}}]}`, id, good)
}

// wideText writes a text in UTF-16, with the larger byte first or last.
func wideText(text string, isBig bool) string {
	var b bytes.Buffer
	for _, u := range utf16.Encode([]rune(text)) {
		if isBig {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	return b.String()
}

// TestJoined reads files that were joined of several reports, as "cat" and mail gateways do.
func TestJoined(t *testing.T) {
	one, two, three := string(xml("1")), string(xml("2")), string(xml("3"))
	bare := strings.TrimPrefix(two, `<?xml version="1.0"?>`)
	cut := one[:strings.Index(one, "</record>")]
	half := gz([]byte(one))[:150]
	for _, tc := range []struct{ name, data, want string }{
		{"XML", one + two + three, "aggregate 7, aggregate 7, aggregate 7"},
		{"XML, each on a line", one + "\n" + two + "\r\n\r\n", "aggregate 7, aggregate 7"},
		{"XML without a declaration", bare + bare, "aggregate 7, aggregate 7"},
		{"XML with a byte order mark each", "\xef\xbb\xbf" + one + "\n\xef\xbb\xbf" + two, "aggregate 7, aggregate 7"},
		{"XML with a prefix, in capitals", strings.NewReplacer("<feedback", "<N:FEEDBACK",
			"</feedback", "</N:FEEDBACK").Replace(one + two), "aggregate 7, aggregate 7"},
		{"XML with names between", "==> a.xml <==\n" + one + "\n==> b.xml <==\n" + two, "aggregate 7, aggregate 7"},
		{"XML within one element", "<reports>" + bare + bare + "</reports>", "aggregate 7, aggregate 7"},
		{"XML with a comment that ends it", strings.Replace(one, "<record>",
			"<!-- </feedback> --><record>", 1), "aggregate 7"},
		{"XML and much white space", one + strings.Repeat(" \n", 20_000) + two, "aggregate 7, aggregate 7"},
		{"XML of which the first one is cut off", cut + two, "aggregate 0, aggregate 7"},
		{"the same without a declaration", cut + "\n" + bare, "aggregate 0, aggregate 7"},
		{"UTF-16", "\xff\xfe" + wideText(one, false) + "\xff\xfe" + wideText(two, false), "aggregate 7, aggregate 7"},
		{"UTF-16, one mark", "\xfe\xff" + wideText(one+"\n"+two, true), "aggregate 7, aggregate 7"},
		{"UTF-16, then UTF-8", "\xff\xfe" + wideText(one, false) + two, "aggregate 7, aggregate 7"},
		{"gzip", string(gz([]byte(one))) + string(gz([]byte(two))) + string(gz([]byte(three))),
			"aggregate 7, aggregate 7, aggregate 7"},
		{"gzip of several", string(gz([]byte(one + two))), "aggregate 7, aggregate 7"},
		{"gzip of which the first one is cut off", string(half) + string(gz([]byte(two))), "aggregate 0, aggregate 7"},
		{"gzip of which the first one has another checksum",
			string(gz([]byte(one))[:len(gz([]byte(one)))-8]) + "12345678" + string(gz([]byte(two))),
			"aggregate 7, aggregate 7"},
		{"gzip with junk between", string(gz([]byte(one))) + "\r\n\r\n" + string(gz([]byte(two))),
			"aggregate 7, aggregate 7"},
		{"a zip of several, each of several", string(zipped("a.xml", one+two, "b.xml", three+bare)),
			"aggregate 7, aggregate 7, aggregate 7, aggregate 7"},
		{"zip behind zip", string(zipped("a.xml", one)) + string(zipped("b.xml", two)), "aggregate 7, aggregate 7"},
		{"a zip in a zip, stored", method(zipped("a.xml", one), 0, 0), "aggregate 7"},
		{"tar behind tar", string(tarred("a.xml", []byte(one))) +
			string(tarred("b.xml", []byte(two))), "aggregate 7, aggregate 7"},
		{"XML behind gzip", string(gz([]byte(one))) + two, "aggregate 7, aggregate 7"},
		{"gzip behind XML", one + "\n" + string(gz([]byte(two))), "aggregate 7, aggregate 7"},
		{"XML behind zip, gzip behind that", string(zipped("a.xml", one)) + two +
			string(gz([]byte(three))), "aggregate 7, aggregate 7, aggregate 7"},
		{"XML behind tar in gzip", string(gz(tarred("a.xml", []byte(one)))) + two, "aggregate 7, aggregate 7"},
		{"XML behind tar", string(tarred("a.xml", []byte(one))) + two, "aggregate 7, aggregate 7"},
		{"base64 of several", top + "Content-Transfer-Encoding: base64\r\n\r\n" +
			b64([]byte(one+two)), "aggregate 7, aggregate 7"},
		{"in the text of a mail", top + "\r\nHello,\r\n\r\n" + one + "\r\n\r\n" + two, "aggregate 7, aggregate 7"},
		{"JSON", tlsText("1", 7) + "\n" + tlsText("2", 8) + tlsText("3", 9) + "\n", "tls 1, tls 1, tls 1"},
		{"JSON as a list", "[" + tlsText("1", 7) + ",\n" + tlsText("2", 8) + "]\n", "tls 1, tls 1"},
		{"JSON as text sequences", "\x1e" + tlsText("1", 7) + "\n\x1e" + tlsText("2", 8) + "\n", "tls 1, tls 1"},
		{"JSON in gzip", string(gz([]byte(tlsText("1", 7)))) + string(gz([]byte(tlsText("2", 8)))), "tls 1, tls 1"},
		{"JSON in UTF-16", wideText(tlsText("1", 7)+"\n"+tlsText("2", 8), false), "tls 1, tls 1"},
		{"JSON of which the first one is cut off", tlsText("1", 7)[:288] + "\n" + tlsText("2", 8), "tls 1, tls 1"},
		{"both kinds", one + "\n" + tlsText("1", 7) + "\n" + two, "aggregate 7, tls 1, aggregate 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := found(t, []byte(tc.data)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestJoinedNames gives each report its name, the line of the file at which it begins, and the
// digest that it has alone.
func TestJoinedNames(t *testing.T) {
	bad := strings.Replace(string(xml("2")), "<count>7<", "\n<count>x<", 1)
	data := string(xml("1")) + "\n" + bad + "\n\n" + string(xml("3")) + "\n"
	var got []string
	var digests []string
	for p := range eachPart(Look("all.xml", []byte(data))) {
		f, err := p.ReadAggregate(nil, func(*report.Row) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(p.Name(), " ", f.Metadata.ReportID, " ", f.Messages, " ",
			f.Refused))
		digests = append(digests, f.Digest)
	}
	want := "all.xml 1 7 []|all.xml > report 2 2 0 [{1 2 count \"x\" is not a number of " +
		"messages}]|all.xml > report 3 3 7 []"
	if strings.Join(got, "|") != want {
		t.Errorf("got\n%s, want\n%s", strings.Join(got, "|"), want)
	}
	for i, text := range [][]byte{xml("1"), append(xml("1"), "\r\n"...), xml("3")} {
		alone, err := Look("x", text)[0].ReadAggregate(nil, nil)
		if err != nil || alone.Digest != digests[max(i-1, 0)*2] {
			t.Errorf("report %d alone: digest %s (%v), joined %v", i, alone.Digest, err, digests)
		}
	}
}

// TestJoinedBombs reads files of many reports within the bounds of one message.
func TestJoinedBombs(t *testing.T) {
	wide := string(xml("1")) + strings.Repeat(" ", 1<<20)
	for _, tc := range []struct{ name, data string }{
		{"5,000 reports", strings.Repeat(string(xml("1")), 5000)},
		{"5,000 reports in gzip", string(gz(bytes.Repeat(xml("1"), 5000)))},
		{"5,000 members", strings.Repeat(string(gz(xml("1"))), 5000)},
		{"120 reports of 1 MiB", string(gz([]byte(strings.Repeat(wide, 120))))},
		{"a million beginnings of members", string(gz([]byte(xml("1")))[:100]) + strings.Repeat("\x1f\x8b\x08", 1<<20)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, isHostile := 0, false
			for p := range eachPart(Look("x", []byte(tc.data))) {
				isHostile = isHostile || p.Kind == Hostile
				if p.Err == nil {
					n++
					p.ReadAggregate(nil, nil)
				}
			}
			if n > maxParts+1 || n > maxParts && !isHostile {
				t.Errorf("%d reports were read, hostile: %t", n, isHostile)
			}
		})
	}
}
