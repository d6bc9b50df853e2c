package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Counted is a row of an aggregate report: evaluations that say the same, and how many of them
// there are. Its Time and Policy are not set.
type Counted struct {
	Evaluation
	Count int64
}

// Aggregate is a report that goes out (RFC 9990).
type Aggregate struct {
	ID           string // see ID
	Organization string // who reports
	Email        string // of the reporter
	Contact      string // "" for none
	Generator    string // "mailseal 0.2.0"
	Begin, End   time.Time
	Policy       Policy
	Rows         []Counted
	PassedAsPass bool // the disposition of mail that passes is "pass", not "none"
}

// Messages is how many messages a report is about.
func (a *Aggregate) Messages() int64 {
	var n int64
	for _, r := range a.Rows {
		n += r.Count
	}
	return n
}

// MaxRows is how many rows a report has; more are split into several reports.
const MaxRows = 10_000

// idAlphabet is base32hex in lower case: RFC 9990 section 3.5.2 allows letters and digits alone in
// the unique-id, which must be the Report-ID.
var idAlphabet = base32.HexEncoding.WithPadding(base32.NoPadding)

// ID is the Report-ID of a part of a report: the day and 24 characters of a digest of all that
// tells it from others. It is the same however often the report is made anew.
func ID(day time.Time, p *Policy, reporter string, part int) string {
	h := sha256.New()
	for _, s := range []string{p.Domain, p.Text, p.Discovery, day.UTC().Format(time.DateOnly),
		reporter, strconv.Itoa(part)} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	sum := idAlphabet.EncodeToString(h.Sum(nil))
	return day.UTC().Format("20060102") + strings.ToLower(sum[:24])
}

// FileName is the name of a report's file (RFC 9990 section 3.5.2).
func (a *Aggregate) FileName(receiver string) string {
	return fmt.Sprintf("%s!%s!%d!%d!%s.xml.gz", receiver, a.Policy.Domain, a.Begin.Unix(), a.End.Unix(), a.ID)
}

// rowText is a row as it is stored: what tells it from others, in a fixed order.
type rowText struct {
	IP          netip.Addr `json:"i"`
	Disposition string     `json:"d,omitempty"`
	DKIM        bool       `json:"k,omitempty"`
	SPF         bool       `json:"s,omitempty"`
	Reasons     []Reason   `json:"r,omitempty"`
	From        string     `json:"f,omitempty"`
	Envelope    string     `json:"e,omitempty"`
	SPFAuth     *SPFAuth   `json:"a,omitempty"`
	Signatures  []DKIMAuth `json:"g,omitempty"`
}

// Key is the text by which rows are told apart, from which ParseKey makes the row again.
func (e *Evaluation) Key() string {
	text, err := json.Marshal(rowText{
		e.Client, e.Disposition, e.DKIM, e.SPF, e.Reasons, e.HeaderFrom, e.EnvelopeFrom, e.SPFAuth, e.Signatures,
	})
	if err != nil { // of strings, booleans and an address: cannot be
		return ""
	}
	return string(text)
}

// Folded is an evaluation without all that a sender can make up: its client, its results and the
// policy domain as that of From stay. Rows are folded where a report would have too many.
func (e *Evaluation) Folded() Evaluation {
	return Evaluation{
		Client: e.Client, Disposition: e.Disposition, DKIM: e.DKIM, SPF: e.SPF, Reasons: e.Reasons,
		HeaderFrom: e.Policy.Domain,
	}
}

// ParseKey makes a row of a Key.
func ParseKey(text string, count int64) (Counted, error) {
	var t rowText
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return Counted{}, fmt.Errorf("report: row %q: %w", text, err)
	}
	return Counted{Count: count, Evaluation: Evaluation{
		Client: t.IP, Disposition: t.Disposition, DKIM: t.DKIM, SPF: t.SPF, Reasons: t.Reasons,
		HeaderFrom: t.From, EnvelopeFrom: t.Envelope, SPFAuth: t.SPFAuth, Signatures: t.Signatures,
	}}, nil
}

// Sort orders rows, the largest first, so that the same rows make the same report.
func Sort(rows []Counted) {
	type keyed struct {
		key string
		row Counted
	}
	list := make([]keyed, len(rows))
	for i := range rows {
		list[i] = keyed{rows[i].Key(), rows[i]}
	}
	slices.SortFunc(list, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(b.row.Count, a.row.Count), strings.Compare(a.key, b.key))
	})
	for i := range list {
		rows[i] = list[i].row
	}
}
