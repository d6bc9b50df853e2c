package send

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"time"

	"mailseal/milter/report"
)

// Sender identifies the sender of reports.
type Sender struct {
	Address      string // of From
	Domain       string // of Address
	Organization string
}

// Compress returns the gzip file of a report. It has no time and no name, so that the same report
// makes the same bytes.
func Compress(xml []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(xml); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Message is the mail that brings a report to one address (RFC 9990 section 3.5.2), with CRLF at
// the ends of lines. It is the same whenever it is made: date is when the report was made.
func (s Sender) Message(a *report.Aggregate, file []byte, to report.Address, n int,
	date time.Time) []byte {
	var b bytes.Buffer
	name := a.FileName(s.Domain)
	field := func(name, format string, args ...any) {
		fmt.Fprintf(&b, name+": "+format+"\r\n", args...)
	}
	field("From", "<%s>", s.Address)
	field("To", "<%s>", to)
	field("Subject", "Report Domain: %s\r\n Submitter: %s\r\n Report-ID: %s", a.Policy.Domain,
		s.Domain, a.ID)
	field("Date", "%s", date.UTC().Format(time.RFC1123Z))
	field("Message-ID", "<%s.%d@%s>", a.ID, n, s.Domain)
	field("Auto-Submitted", "auto-generated")
	field("MIME-Version", "1.0")
	boundary := "report-" + a.ID
	field("Content-Type", "multipart/mixed;\r\n boundary=\"%s\"", boundary)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary)
	fmt.Fprintf(&b, "This is a DMARC aggregate report (RFC 9990) of %s\r\n", s.Domain)
	fmt.Fprintf(&b, "about mail from %s, %s to %s.\r\n", a.Policy.Domain,
		a.Begin.UTC().Format(time.RFC3339), a.End.UTC().Format(time.RFC3339))
	b.WriteString("It was made by a program, and is to be read by programs.\r\n")
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/gzip;\r\n name=\"%s\"\r\n", boundary,
		name)
	fmt.Fprintf(&b, "Content-Disposition: attachment;\r\n filename=\"%s\"\r\n", name)
	b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(file)
	for len(text) > 0 {
		line := text[:min(76, len(text))]
		text = text[len(line):]
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes()
}
