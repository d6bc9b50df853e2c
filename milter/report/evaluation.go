// Package report is what DMARC reports are made of: the evaluation of a message, from which rows of
// an aggregate report are counted (RFC 9990), and the reports themselves. It is pure: it knows no
// file, no database and no mail server.
package report

import (
	"net/netip"
	"time"
)

// Evaluation is the data about one judged message for a report (RFC 9990 section 3.1.1). It
// holds what was found, never the message. All names are domain names in A-labels, at most 255
// bytes long.
type Evaluation struct {
	Time         time.Time // of the verdict
	Client       netip.Addr
	Policy       Policy
	Disposition  string   // what was done for DMARC: "none", "quarantine", "reject"
	DKIM         bool     // an aligned signature passed
	SPF          bool     // SPF passed and is aligned
	Reasons      []Reason // why Disposition is not what the domain asks for
	HeaderFrom   string   // the domain of From
	EnvelopeFrom string   // the domain of MAIL FROM; "" for the null sender
	SPFAuth      *SPFAuth // nil: there was no domain to check
	Signatures   []DKIMAuth
}

// Policy is a DMARC policy as it was when a message was judged, with its defaults filled in.
type Policy struct {
	Domain    string // where the record was found
	Text      string // the record
	P, SP, NP string
	ADKIM     string   // "r" or "s"
	ASPF      string   // "r" or "s"
	FO        string   // ""; or as published, when there is a ruf
	Testing   bool     // t=y
	Discovery string   // "treewalk" or "psl"
	URIs      []string // rua, as published
	Notes     []string // what is wrong with the record, a clause each; at most 3
}

// Reason is the reason why a policy was not applied as published (RFC 9990 section 3.1.6).
type Reason struct {
	// "local_policy", "mailing_list", "trusted_forwarder", "policy_test_mode", "other"
	Type    string
	Comment string // one clause for people; "" for none
}

// SPFAuth is the result of SPF for MAIL FROM; for the null sender, of HELO as its domain (RFC 9990
// section 3.1.1.13).
type SPFAuth struct {
	Domain string
	Result string // as RFC 7208 names it
}

// DKIMAuth is the result of one signature.
type DKIMAuth struct {
	Domain, Selector string
	Result           string // as RFC 8601 names it
	Aligned          bool   // it is in alignment with From, whatever its result
}

// Passes reports whether the message passes DMARC.
func (e *Evaluation) Passes() bool { return e.DKIM || e.SPF }

// Bounds of the data about a message in a report.
const (
	// MaxFailedSignatures limits the reported signatures that do not pass. A sender can add any
	// number of them with any domain, and each would make a separate row.
	MaxFailedSignatures = 2

	// MaxSignatures is how many signatures a row may have (RFC 9990 section 3.1.1.12).
	MaxSignatures = 100

	// MaxNotes and MaxNote bound the notes of a report about a domain's record: their number, and
	// the length of each in bytes.
	MaxNotes, MaxNote = 3, 200
)
