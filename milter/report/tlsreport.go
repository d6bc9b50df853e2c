package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// TLSReport is a report about TLS of connections to a domain's mail hosts (RFC 8460 section 4.4).
// Fields that a reporter left out are empty.
type TLSReport struct {
	Org      string      `json:"organization-name"`
	Contact  string      `json:"contact-info"`
	ID       string      `json:"report-id"`
	Begin    time.Time   `json:"begin"`
	End      time.Time   `json:"end"`
	Policies []TLSPolicy `json:"policies"`
}

// TLSPolicy is what happened under one policy.
type TLSPolicy struct {
	Type     string       `json:"type"` // "sts", "tlsa", "no-policy-found"
	Domain   string       `json:"domain"`
	Hosts    []string     `json:"mx-host,omitempty"`
	Good     int64        `json:"successful"` // sessions
	Bad      int64        `json:"failed"`
	Failures []TLSFailure `json:"failures,omitempty"`
}

// TLSFailure is a kind of failure.
type TLSFailure struct {
	Result    string `json:"result"`
	Sender    string `json:"sending-mta-ip,omitempty"`
	Host      string `json:"receiving-mx-hostname,omitempty"`
	HostIP    string `json:"receiving-ip,omitempty"`
	Sessions  int64  `json:"sessions"`
	Reason    string `json:"reason,omitempty"`
	MoreAbout string `json:"additional-information,omitempty"`
}

// ErrNoTLSReport reports JSON that is not a TLS report.
var ErrNoTLSReport = errors.New("this JSON is not a TLS report (RFC 8460): it has no policies")

// tlsJSON is the report as it is written.
type tlsJSON struct {
	Org     string `json:"organization-name"`
	Range   struct{ Start, End string }
	Contact json.RawMessage `json:"contact-info"`
	ID      string          `json:"report-id"`
	Rows    []struct {
		Policy struct {
			Type   string          `json:"policy-type"`
			Domain string          `json:"policy-domain"`
			Hosts  json.RawMessage `json:"mx-host"`
		} `json:"policy"`
		Summary struct {
			Good json.Number `json:"total-successful-session-count"`
			Bad  json.Number `json:"total-failure-session-count"`
		} `json:"summary"`
		Failures []struct {
			Result   string      `json:"result-type"`
			Sender   string      `json:"sending-mta-ip"`
			Host     string      `json:"receiving-mx-hostname"`
			HostIP   string      `json:"receiving-ip"`
			Sessions json.Number `json:"failed-session-count"`
			Reason   string      `json:"failure-reason-code"`
			More     string      `json:"additional-information"`
		} `json:"failure-details"`
	} `json:"policies"`
}

// UnmarshalJSON of the range: its names have hyphens.
func (t *tlsJSON) UnmarshalJSON(text []byte) error {
	type plain tlsJSON
	var dates struct {
		Range struct {
			Start string `json:"start-datetime"`
			End   string `json:"end-datetime"`
		} `json:"date-range"`
	}
	if err := json.Unmarshal(text, (*plain)(t)); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &dates); err != nil {
		return err
	}
	t.Range.Start, t.Range.End = dates.Range.Start, dates.Range.End
	return nil
}

// maxTLSReport bounds the JSON of a report, in bytes. Real ones have some kilobytes.
const maxTLSReport = 8 << 20

// ReadTLS reads a TLS report. The error wraps ErrNoTLSReport for other JSON.
func ReadTLS(in io.Reader) (*TLSReport, error) {
	var t tlsJSON
	if err := json.NewDecoder(io.LimitReader(in, maxTLSReport)).Decode(&t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTLSReport, err)
	}
	if len(t.Rows) == 0 {
		return nil, ErrNoTLSReport
	}
	out := &TLSReport{Org: t.Org, ID: t.ID}
	json.Unmarshal(t.Contact, &out.Contact) // null, or an object, in some
	out.Begin, _ = parseTime(t.Range.Start)
	out.End, _ = parseTime(t.Range.End)
	for _, row := range t.Rows {
		p := TLSPolicy{Type: word(row.Policy.Type), Domain: parseName(row.Policy.Domain), Hosts: list(row.Policy.Hosts)}
		p.Good, p.Bad = sessions(row.Summary.Good), sessions(row.Summary.Bad)
		for _, f := range row.Failures {
			p.Failures = append(p.Failures, TLSFailure{
				Result: word(f.Result), Sender: f.Sender, Host: f.Host, HostIP: f.HostIP,
				Sessions: sessions(f.Sessions), Reason: f.Reason, MoreAbout: f.More,
			})
		}
		out.Policies = append(out.Policies, p)
	}
	return out, nil
}

func sessions(n json.Number) int64 {
	out, err := parseCount(n.String())
	if err != nil {
		return 0
	}
	return out
}

// list reads a string or an array of strings: reporters write both.
func list(text json.RawMessage) (out []string) {
	var one string
	if json.Unmarshal(text, &one) == nil && one != "" {
		return []string{one}
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil
	}
	return out
}
