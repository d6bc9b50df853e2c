package report

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

// ID is the Report-ID of a part of a report: the day, and 24 characters of a digest of everything
// that identifies it. It is the same each time the report is built.
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
	return fmt.Sprintf("%s!%s!%d!%d!%s.xml.gz", receiver, a.Policy.Domain, a.Begin.Unix(),
		a.End.Unix(), a.ID)
}

// Folded is an evaluation without all that a sender can make up: its client, its results and the
// policy domain as that of From stay. Rows are folded where a report would have too many. Mail that
// failed from a name below the policy domain was treated by sp or np: where p is another policy,
// the row needs a reason, since it has the policy domain in From.
func (e *Evaluation) Folded() Evaluation {
	sum := Evaluation{
		Client: e.Client, Disposition: e.Disposition, DKIM: e.DKIM, SPF: e.SPF, Reasons: e.Reasons,
		HeaderFrom: e.Policy.Domain,
	}
	if !e.Passes() && len(e.Reasons) == 0 && e.Policy.P != "" && e.Disposition != e.Policy.P {
		sum.Reasons = []Reason{{Type: "local_policy",
			Comment: "names below the domain, counted together"}}
	}
	return sum
}
