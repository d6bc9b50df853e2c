package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// TLSReport is a report about TLS of connections to a domain's mail hosts (RFC 8460 section 4.4).
// Fields that a reporter left out are empty.
type TLSReport struct {
	Org      string      `json:"organization-name"`
	Contact  string      `json:"contact-info"`
	ID       string      `json:"report-id"`
	Begin    time.Time   `json:"begin,omitzero"`
	End      time.Time   `json:"end,omitzero"`
	Policies []TLSPolicy `json:"policies"`
	Cut      string      `json:"cut,omitempty"` // what was left out, as a sentence
}

// TLSPolicy holds the results under one policy.
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

// ErrNoTLSReport reports JSON that is not a TLS report, or text that is not JSON.
var ErrNoTLSReport = errors.New("this is not a TLS report (RFC 8460)")

// tlsJSON is the report as it is written.
type tlsJSON struct {
	Org   loose `json:"organization-name"`
	Range struct {
		Start loose `json:"start-datetime"`
		End   loose `json:"end-datetime"`
	} `json:"date-range"`
	Contact loose        `json:"contact-info"`
	ID      loose        `json:"report-id"`
	Rows    many[tlsRow] `json:"policies"`
}

// tlsRow is one policy as it is written.
type tlsRow struct {
	Policy struct {
		Type   loose           `json:"policy-type"`
		Domain loose           `json:"policy-domain"`
		Hosts  json.RawMessage `json:"mx-host"`
	} `json:"policy"`
	Summary struct {
		Good loose `json:"total-successful-session-count"`
		Bad  loose `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures many[tlsFailure] `json:"failure-details"`
}

// tlsFailure is a kind of failure as it is written.
type tlsFailure struct {
	Result   loose `json:"result-type"`
	Sender   loose `json:"sending-mta-ip"`
	Host     loose `json:"receiving-mx-hostname"`
	HostIP   loose `json:"receiving-ip"`
	Sessions loose `json:"failed-session-count"`
	Reason   loose `json:"failure-reason-code"`
	More     loose `json:"additional-information"`
}

// loose is a text, or a number or a list in its place: reporters write these, too.
type loose string

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose) UnmarshalJSON(text []byte) error {
	var s string
	var list []string
	switch {
	case json.Unmarshal(text, &s) == nil: // null, too
	case json.Unmarshal(text, &list) == nil:
		s = strings.Join(list, " ")
	case len(text) > 0 && text[0] != '{':
		s = string(text)
	}
	*l = loose(s[:min(len(s), maxValue)])
	return nil
}

func (l loose) String() string { return strings.TrimSpace(string(l)) }

// many is a list, or its one element in its place.
type many[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (m *many[T]) UnmarshalJSON(text []byte) error {
	var one T
	switch text = bytes.TrimSpace(text); {
	case bytes.HasPrefix(text, []byte("[")):
		return m.list(text)
	case bytes.HasPrefix(text, []byte("{")):
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		*m = []T{one}
	}
	return nil // null, or an empty text
}

// list reads the first elements of a list.
func (m *many[T]) list(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	if _, err := in.Token(); err != nil {
		return err
	}
	for in.More() && len(*m) <= maxMany {
		var one T
		if err := in.Decode(&one); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

// maxMany bounds the policies of a report, and the kinds of failures of a policy. Real reports have
// some of each.
const maxMany = 1000

// cut drops the part beyond the bound, and reports whether there was any.
func (m *many[T]) cut() bool {
	if len(*m) <= maxMany {
		return false
	}
	*m = (*m)[:maxMany]
	return true
}

// maxTLSReport bounds the JSON of a report, in bytes. Real ones have some kilobytes.
const maxTLSReport = 4 << 20

// ReadTLS reads a TLS report. Of one that is damaged or cut off, the policies are read that are
// whole; Cut names the place. The error wraps ErrNoTLSReport for other JSON.
func ReadTLS(in io.Reader) (*TLSReport, error) { return ReadTLSFrom(in, 1) }

// ReadTLSFrom is ReadTLS for a report that begins in a line of its file, which has others before
// it.
func ReadTLSFrom(in io.Reader, line int) (*TLSReport, error) {
	var t tlsJSON
	text, err := io.ReadAll(utf8Text(io.LimitReader(in, maxTLSReport), &notebook{}))
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		text = []byte(cleanValue(text, 0, &notebook{}))
	}
	text = plainJSON(text)
	lost := ""
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&t); err != nil {
		t = tlsJSON{}
		whole := salvageJSON(text)
		if err := json.Unmarshal(whole.text, &t); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoTLSReport, err)
		}
		lost = whole.keep(&t, line)
		if len(t.Rows) == 0 && (t.Org != "" || t.ID != "") {
			return nil, fmt.Errorf("the TLS report is damaged or cut off: %s; no policy before is whole", lost)
		}
		if len(t.Rows) == 0 {
			return nil, fmt.Errorf("%w: as JSON it is damaged or truncated: %s", ErrNoTLSReport,
				lost)
		}
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("%w: the JSON has no policies", ErrNoTLSReport)
	}
	return t.report(lost), nil
}

// report returns the report that was written. lost says what its JSON lacks, "" for nothing.
func (t *tlsJSON) report(lost string) *TLSReport {
	out := &TLSReport{Org: t.Org.String(), ID: t.ID.String(), Contact: t.Contact.String()}
	out.Begin, _ = parseTime(t.Range.Start.String())
	out.End, _ = parseTime(t.Range.End.String())
	sums := &sessions{}
	if lost != "" {
		sums.problems = []string{lost}
	}
	isCut := t.Rows.cut()
	for i, row := range t.Rows {
		isCut = row.Failures.cut() || isCut
		sums.policy = i + 1
		p := TLSPolicy{
			Type: word(row.Policy.Type.String()), Domain: parseName(row.Policy.Domain.String()),
			Hosts: list(row.Policy.Hosts), Good: sums.read(row.Summary.Good), Bad: sums.read(row.Summary.Bad),
		}
		for _, f := range row.Failures {
			p.Failures = append(p.Failures, TLSFailure{
				Result: word(f.Result.String()), Sender: f.Sender.String(), Host: f.Host.String(),
				HostIP: f.HostIP.String(), Sessions: sums.read(f.Sessions), Reason: f.Reason.String(),
				MoreAbout: f.More.String(),
			})
		}
		out.Policies = append(out.Policies, p)
	}
	if isCut {
		text := fmt.Sprintf("there are more than %d policies, or failures of a policy; the rest was left out", maxMany)
		sums.problems = append(sums.problems, text)
	}
	out.Cut = strings.Join(sums.problems, "; ")
	return out
}

// sessions reads numbers of sessions, and keeps what is wrong with them.
type sessions struct {
	policy   int // that the numbers are of, from 1
	problems []string
}

// maxSums bounds the numbers of a report that are listed as wrong.
const maxSums = 10

// read returns a number of sessions, 0 for one that is not there or not a number.
func (s *sessions) read(n loose) int64 {
	if n.String() == "" {
		return 0
	}
	out, err := parseCount(n.String())
	if err != nil && len(s.problems) < maxSums {
		s.problems = append(s.problems, fmt.Sprintf("policy %d: %v, and does not count", s.policy,
			err))
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
