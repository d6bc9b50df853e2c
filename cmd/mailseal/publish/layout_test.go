package publish_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// values are texts of records, short and long, with what a zone file escapes.
var values = []string{
	"v=spf1 -all",
	"v=spf1 include:spf.protection.outlook.com include:_spf.google.com ip4:192.0.2.0/24 ip6:2001:db8::/32 mx a -all",
	"v=DMARC1; p=quarantine; np=reject; rua=mailto:dmarc-reports@reports.example.net,mailto:dmarc@example.com; adkim=s",
	"v=DKIM1; k=rsa; p=" + strings.Repeat("ABCDEFGHIJKLMNOP", 30),
	strings.Repeat(`a"b\c `, 90),
	strings.Repeat("\x00\xff ", 100),
	"",
}

// TestLayout holds that a record laid out for any width is read as the same record by a zone file's
// reader, that each string is within its bound, and that no line is wider than the terminal.
func TestLayout(t *testing.T) {
	for _, text := range values {
		for _, width := range []int{0, 40, 60, 76, 80, 120, 400} {
			r := publish.Record{Name: "s1._domainkey.example.com", Text: text}
			lines := r.Layout(width)
			z, err := dnstest.Load(strings.NewReader("$ORIGIN .\n" + strings.Join(lines, "\n") +
				"\n"))
			if err != nil {
				t.Errorf("width %d: %v in\n%s", width, err, strings.Join(lines, "\n"))
				continue
			}
			a, err := z.Lookup(t.Context(), r.Name, dns.TXT)
			if err != nil || len(a.Texts) != 1 || a.Texts[0] != text {
				t.Errorf("width %d: got %q, want %q (%v)", width, a.Texts, text, err)
			}
			for _, line := range append(lines, r.QuotedLayout(width)...) {
				if width >= 60 && len(line) > width {
					t.Errorf("width %d: a line of %d: %s", width, len(line), line)
				}
			}
			if width == 0 && len(lines) != 1 {
				t.Errorf("width 0: %d lines", len(lines))
			}
		}
	}
}

// TestWriteWidths holds that of the three forms only the bare value may be wider than the terminal:
// it is one line, for forms that take one.
func TestWriteWidths(t *testing.T) {
	for _, width := range []int{60, 80, 120} {
		for _, text := range values[:4] {
			var b bytes.Buffer
			r := publish.Record{Name: "_dmarc.example.com", Text: text}
			if err := r.Write(&b, "    ", width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				line = strings.TrimRight(line, "\n")
				if isValue := strings.TrimSpace(line) == text; len(line) > width && !isValue {
					t.Errorf("width %d: %s", width, line)
				}
			}
			if !strings.Contains(b.String(), "\n      "+text+"\n") {
				t.Errorf("width %d: the value is not one line in\n%s", width, &b)
			}
		}
	}
}

// TestColumnsOfAPipe holds that where there is no terminal nothing is laid out.
func TestColumnsOfAPipe(t *testing.T) {
	var b bytes.Buffer
	if n := publish.Columns(&b); n != 0 {
		t.Errorf("a buffer has %d columns", n)
	}
	r := publish.Record{Name: "example.com", Text: values[1]}
	_ = r.Write(&b, "", 0)
	if want := fmt.Sprintf("\n  %s\n", r.Zone()); !strings.Contains(b.String(), want) {
		t.Errorf("no line %q in\n%s", want, &b)
	}
}

// TestWrapped holds that words are kept whole and in their order.
func TestWrapped(t *testing.T) {
	text := "one two three four\n  five six seven\n\nv=spf1-a-word-that-is-long"
	want := "one two\n  three\n  four\n  five six\n    seven\n\nv=spf1-a-word-that-is-long"
	if got := publish.Wrapped(text, 10); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := publish.Wrapped(text, 0); got != text {
		t.Errorf("width 0: %s", got)
	}
}

// TestVisible holds that nothing is left that a terminal acts on.
func TestVisible(t *testing.T) {
	if got := publish.Visible("a\x1b[2J\u009b\tz"); got != "a?[2J???z" {
		t.Errorf("got %q", got)
	}
}
