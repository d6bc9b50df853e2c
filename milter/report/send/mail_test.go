package send

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// wantMail is a mail with a report whose file is 60 bytes long.
const wantMail = `From: <dmarc@reports.example.net>
To: <rua@example.com>
Subject: Report Domain: example.com
 Submitter: reports.example.net
 Report-ID: 20261101x
Date: Mon, 02 Nov 2026 01:30:00 +0000
Message-ID: <20261101x.2@reports.example.net>
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="report-20261101x"

--report-20261101x
Content-Type: text/plain; charset=us-ascii

This is a DMARC aggregate report (RFC 9990) of reports.example.net
about mail from example.com, 2026-11-01T00:00:00Z to 2026-11-02T00:00:00Z.
It was made by a program, and is to be read by programs.

--report-20261101x
Content-Type: application/gzip;
 name="reports.example.net!example.com!1793491200!1793577600!20261101x.xml.gz"
Content-Disposition: attachment;
 filename="reports.example.net!example.com!1793491200!1793577600!20261101x.xml.gz"
Content-Transfer-Encoding: base64

MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4
OWFi

--report-20261101x--
`

func TestMessage(t *testing.T) {
	begin := store.DayStart(store.Day(day0))
	a := &report.Aggregate{ID: "20261101x", Begin: begin, End: begin.AddDate(0, 0, 1),
		Policy: report.Policy{Domain: "example.com"}}
	to := report.Addresses([]string{"mailto:rua@example.com"})[0]
	s := Sender{Address: "dmarc@reports.example.net", Domain: "reports.example.net"}
	file := strings.Repeat("0123456789abcdef", 4)[:60]
	got := string(s.Message(a, []byte(file), to, 2, begin.Add(25*time.Hour+30*time.Minute)))
	if want := strings.ReplaceAll(wantMail, "\n", "\r\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A stored address that cannot be read, such as one of an older version, fails its own mail alone.
func TestInvalidStoredAddress(t *testing.T) {
	s := newSite(t, "")
	state, reason := s.attempt(t.Context(), store.OutReport{Domain: "example.com"},
		store.OutDelivery{Address: "no address"}, day0)
	if state != store.Failed || reason != "rua has an invalid mail address" {
		t.Errorf("got %s: %s", state, reason)
	}
}
