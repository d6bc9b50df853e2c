package report

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/emersion/go-message/textproto"
)

// Failure is a report about one message that failed (RFC 6591, RFC 9991), or about abuse (RFC
// 5965).
type Failure struct {
	Type      string `json:"type"` // "auth-failure", "abuse", …
	Agent     string `json:"agent,omitempty"`
	Domain    string `json:"domain,omitempty"` // Reported-Domain
	Source    string `json:"source,omitempty"` // Source-IP
	Failed    string `json:"auth-failure,omitempty"`
	Alignment string `json:"identity-alignment,omitempty"` // mechanisms that did not align
	Delivery  string `json:"delivery-result,omitempty"`
	MailFrom  string `json:"original-mail-from,omitempty"`
	Arrived   string `json:"arrival-date,omitempty"`
	Results   string `json:"authentication-results,omitempty"`
	Incidents int64  `json:"incidents"`
	From      string `json:"from,omitempty"` // of the message
	Subject   string `json:"subject,omitempty"`
	MessageID string `json:"message-id,omitempty"`
}

// ErrNoFailure reports a part that is not a failure report.
var ErrNoFailure = errors.New("this message/feedback-report has no Feedback-Type")

// ReadFailure reads the machine-readable part of a failure report, and what is known of the
// message: its header, or "".
func ReadFailure(part, original []byte) (*Failure, error) {
	h := header(part)
	out := &Failure{
		Type: word(h.Get("Feedback-Type")), Agent: h.Get("User-Agent"),
		Domain: parseName(h.Get("Reported-Domain")),
		Source: h.Get("Source-IP"), Failed: word(h.Get("Auth-Failure")),
		Alignment: word(h.Get("Identity-Alignment")),
		Delivery:  word(h.Get("Delivery-Result")), MailFrom: h.Get("Original-Mail-From"),
		Arrived: h.Get("Arrival-Date"),
		Results: h.Get("Authentication-Results"), Incidents: 1,
	}
	if out.Arrived == "" {
		out.Arrived = h.Get("Received-Date") // of an old draft
	}
	if out.Type == "" {
		return nil, ErrNoFailure
	}
	if n, err := strconv.ParseInt(h.Get("Incidents"), 10, 32); err == nil && n > 0 {
		out.Incidents = n
	}
	if a, ok := parseSource(out.Source); ok {
		out.Source = a.String()
	}
	mail := header(original)
	out.From, out.Subject, out.MessageID = mail.Get("From"), mail.Get("Subject"),
		mail.Get("Message-Id")
	if out.Domain == "" {
		out.Domain = parseName(strings.TrimSuffix(out.From, ">"))
	}
	return out, nil
}

// header reads header fields as far as they can be read.
func header(text []byte) textproto.Header {
	text = append(bytes.TrimLeft(text, "\r\n"), "\r\n\r\n"...)
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(text)))
	return h
}
