package report

import (
	"net/netip"
	"time"
)

// Feedback is an aggregate report (RFC 9990, and RFC 7489 appendix C before it) without its rows.
type Feedback struct {
	Version   string
	Namespace string // of the root element; "" for none
	Metadata  Metadata
	Policy    PolicyPublished
	Rows      int          // rows that were read
	Messages  int64        // the sum of their counts
	Refused   []RefusedRow // rows that say nothing that can be counted
	Cut       string       // why the report ends early, with its line; "" if it is whole
	Notes     []Note       // what was unusual about it

	from string // the first header_from
}

// Metadata identifies the reporter and the period of a report.
type Metadata struct {
	Org       string
	Email     string
	Contact   string // extra_contact_info
	ReportID  string
	Generator string
	Begin     time.Time // UTC
	End       time.Time // UTC, the last second of the period
	Errors    []string  // what the reporter could not do
}

// PolicyPublished is the policy that the reporter saw. Words are as written, in lower case; "" for
// what is not there.
type PolicyPublished struct {
	Domain    string `json:"domain,omitempty"` // A-labels, lower case
	P         string `json:"p,omitempty"`
	SP        string `json:"sp,omitempty"`
	NP        string `json:"np,omitempty"`
	ADKIM     string `json:"adkim,omitempty"`
	ASPF      string `json:"aspf,omitempty"`
	FO        string `json:"fo,omitempty"`
	Pct       string `json:"pct,omitempty"` // of RFC 7489
	Testing   string `json:"testing,omitempty"`
	Discovery string `json:"discovery_method,omitempty"`
}

// Row is a record of an aggregate report: messages of one source with the same identifiers and
// results.
type Row struct {
	N            int        // place in the report, from 1
	Line         int        // of the file, from 1
	Address      netip.Addr // invalid if Source is not an address
	Source       string     // the address as text, or its replacement; "" for nothing
	Count        int64      // messages; 0 in a report that only says that nothing came
	Disposition  string     // as written, in lower case
	DKIM         string     // aligned result, as written, in lower case
	SPF          string
	Derived      bool // DKIM or SPF was missing, and follows from the results and the identifiers
	Reasons      []Override
	HeaderFrom   string // A-labels, lower case
	EnvelopeFrom string
	EnvelopeTo   string
	Signatures   []SignatureResult // at most MaxResults
	SPFResults   []SPFResult       // at most MaxResults
}

// Override is a reason why a policy was not applied, as the reporter wrote it.
type Override struct {
	Type    string `json:"type"`
	Comment string `json:"comment,omitempty"`
}

// SignatureResult is the result of a DKIM signature.
type SignatureResult struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector,omitempty"`
	Result   string `json:"result"`
}

// SPFResult is a result of SPF.
type SPFResult struct {
	Domain string `json:"domain"`
	Scope  string `json:"scope,omitempty"`
	Result string `json:"result"`
}

// RefusedRow is a row that cannot be counted.
type RefusedRow struct {
	N    int    `json:"row"`
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Bounds of what is kept of one report. What is beyond is counted in its notes.
const (
	MaxResults = 200  // DKIM or SPF results of a row, and reasons; RFC 9990 allows 100
	MaxRefused = 100  // rows that are listed as refused
	maxValue   = 4096 // bytes of a value
	maxTag     = 64 << 10
	maxDepth   = 100 // elements nested; a report has 5
)

// Pass reports whether the row passes DMARC: one of the aligned results is "pass".
func (r *Row) Pass() bool { return r.DKIM == "pass" || r.SPF == "pass" }

// Action is the action of a receiver for the messages of a row.
type Action int

// Actions. A word that a report invents is Unclear, never one of the others.
const (
	Unclear Action = iota
	Delivered
	Quarantined
	Rejected
)

// Action returns what the disposition means: RFC 9990 writes "pass" for a message that needed no
// action.
func (r *Row) Action() Action {
	switch r.Disposition {
	case "none", "pass":
		return Delivered
	case "quarantine":
		return Quarantined
	case "reject":
		return Rejected
	}
	return Unclear
}

// ResultClass sorts the words that reporters use for DKIM and SPF results into those of RFC 8601.
// An unknown word is "unknown": neither a pass nor a failure.
func ResultClass(word string) string {
	switch word {
	case "pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror":
		return word
	case "hardfail":
		return "fail"
	}
	return "unknown"
}
