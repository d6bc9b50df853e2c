package send

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// FailureMessage is the mail that brings a failure report (RFC 5965, RFC 6591, RFC 9991), with CRLF
// at the ends of lines: in words, for programs, and some fields of the first message, in which
// names of people are redacted. It is the same whenever it is made.
func (s Sender) FailureMessage(f store.OutFailure, agent string) []byte {
	var b bytes.Buffer
	date := f.First.Truncate(time.Hour).Add(time.Hour).UTC()
	field := func(name, format string, args ...any) {
		fmt.Fprintf(&b, name+": "+format+"\r\n", args...)
	}
	boundary := "failure-" + f.ID
	field("From", "<%s>", s.Address)
	field("To", "<%s>", f.Address)
	field("Subject", "Failure report for %s", f.Domain)
	field("Date", "%s", date.Format(time.RFC1123Z))
	field("Message-ID", "<%s.1@%s>", f.ID, s.Domain)
	field("Auto-Submitted", "auto-generated")
	field("MIME-Version", "1.0")
	field("Content-Type", "multipart/report; report-type=feedback-report;\r\n boundary=\"%s\"",
		boundary)
	part := func(kind string) {
		fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary, kind)
	}

	part("text/plain; charset=us-ascii")
	e := &f.Sample.Evaluation
	fmt.Fprintf(&b, "This is an email authentication failure report of %s\r\n", s.Domain)
	fmt.Fprintf(&b, "about mail in the name of %s: %d within an hour,\r\n", f.Domain, f.Incidents)
	fmt.Fprintf(&b, "the first at %s from %s.\r\n", f.First.UTC().Format(time.RFC3339), e.Client)
	b.WriteString("User names are replaced by codes (RFC 6590); equal names have equal codes.\r\n")

	part("message/feedback-report")
	field("Feedback-Type", "auth-failure")
	field("User-Agent", "%s", agent)
	field("Version", "1")
	s.failureFields(f, field)

	part("text/rfc822-headers")
	b.Write(f.Sample.Header)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes()
}

// failureFields writes what RFC 6591 section 3 and RFC 9991 section 4 ask for.
func (s Sender) failureFields(f store.OutFailure, field func(name, format string, args ...any)) {
	x := &f.Sample
	e := &x.Evaluation
	field("Auth-Failure", "%s", x.Failed)
	field("Authentication-Results", "%s", s.failureResult(x))
	field("Reported-Domain", "%s", f.Domain)
	field("Source-IP", "%s", e.Client)
	field("Arrival-Date", "%s", f.First.UTC().Format(time.RFC1123Z))
	if x.MailFrom != "" {
		field("Original-Mail-From", "<%s>", x.MailFrom)
	}
	if x.Signer == "" {
		field("Identity-Alignment", "%s", e.NotAligned())
	}
	if d := x.Signature; d != nil {
		field("DKIM-Domain", "%s", printable(d.Domain))
		field("DKIM-Selector", "%s", printable(d.Selector))
		field("DKIM-Identity", "%s", printable(d.Identifier))
	}
	if x.SPFRecord != "" && e.SPFAuth != nil {
		record := strings.NewReplacer(`"`, "?", `\`, "?").Replace(printable(x.SPFRecord))
		field("SPF-DNS", "txt : %s :\r\n \"%s\"", e.SPFAuth.Domain, record)
	}
	if result := deliveryResult(e.Disposition); result != "" {
		field("Delivery-Result", "%s", result)
	}
	field("Incidents", "%d", f.Incidents)
}

// failureResult is Authentication-Results, of the one method that the report is about (RFC 6591
// section 3.1).
func (s Sender) failureResult(x *report.Failing) string {
	e := &x.Evaluation
	switch {
	case x.Failed == report.FailedDMARC && e.Passes():
		return fmt.Sprintf("%s;\r\n dmarc=pass header.from=%s", s.Domain, e.HeaderFrom)
	case x.Failed == report.FailedDMARC:
		return fmt.Sprintf("%s;\r\n dmarc=fail (p=%s) header.from=%s", s.Domain, e.Policy.P,
			e.HeaderFrom)
	case x.Failed == report.FailedSPF && e.SPFAuth != nil:
		return fmt.Sprintf("%s;\r\n spf=%s smtp.mailfrom=%s", s.Domain, e.SPFAuth.Result,
			e.SPFAuth.Domain)
	case x.Signature != nil:
		return fmt.Sprintf("%s;\r\n dkim=fail header.d=%s header.s=%s",
			s.Domain, printable(x.Signature.Domain), printable(x.Signature.Selector))
	}
	return s.Domain + "; none"
}

// deliveryResult is what was done, in the words of RFC 6591 section 3.2.2.
func deliveryResult(disposition string) string {
	switch disposition {
	case "none", "pass":
		return "delivered"
	case "quarantine":
		return "spam"
	case "reject":
		return "reject"
	}
	return ""
}
