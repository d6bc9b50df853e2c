package web

import (
	"net/netip"
	"strings"
	"time"
)

// OtherKind is the kind of a report that is not an aggregate report.
type OtherKind string

// Kinds of other reports.
const (
	TLSReports     OtherKind = "tls"     // RFC 8460, by policy
	FailureReports OtherKind = "failure" // RFC 9991
)

// Other is a policy of a TLS report, or a failure report.
type Other struct {
	ID                     int64
	Domain, Reporter       string // as the report says
	Begin, Received        time.Time
	Proven                 string // the domain that its mail was authenticated for; "": none
	File                   bool   // the administrator brought it as a file
	Good, Bad              int64  // sessions; Bad is incidents for failure reports
	Policy                 string // of TLS: "sts", "tlsa", "no-policy-found"
	Failures               []TLSFailure
	Source, Failed, Result string // of failure reports: address, what failed, what was done
	From, MailFrom         string
}

// TLSFailure is a reason for which sessions failed, and the host that they were for.
type TLSFailure struct {
	Result, Host string
	Sessions     int64
}

// verified reports whether the report was authenticated, or is from a file: any sender can write
// others.
func (o *Other) verified() bool { return o.Proven != "" || o.File }

// OtherSums are sums of such reports.
type OtherSums struct {
	Rows       int64 // of the list: a TLS report has one for each policy
	Verified   OtherSum
	Unverified OtherSum // any sender can have written them
}

// OtherSum is a sum of reports of one of these kinds.
type OtherSum struct{ Reports, Good, Bad int64 }

// reports is how many reports there are.
func (s *OtherSums) reports() int64 { return s.Verified.Reports + s.Unverified.Reports }

// nearest returns the domain of ours that a name is of: itself, or the closest one above it. It is
// the name itself if there is none.
func nearest(name string, ours map[string]bool) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for n := name; n != ""; _, n, _ = strings.Cut(n, ".") {
		if ours[n] {
			return n
		}
	}
	return name
}

// Detail is what the DNS says of the addresses, keys and names in the reports on a domain.
type Detail struct {
	At       time.Time // when it was asked; zero: never
	Senders  map[netip.Addr]Judgment
	Keys     map[string]Key  // by the name of the record
	Names    map[string]From // in From
	Findings []Finding       // of the check of the domain
}

// Judgment is the result of the SPF record of the domain for an address, and the term that matched.
type Judgment struct{ SPF, Term string }

// Key is a key as the DNS shows it.
type Key struct {
	State string    // as the store has it: store.KeyThere, …
	Kind  string    // "RSA 2048"
	Since time.Time // when the present text was first seen; zero if it is not known
}

// From is a name that mail had in From.
type From struct {
	Exists string // "yes", "no", or "" if the DNS did not answer
	Policy string // that holds for it; "" is none
	Tag    string // of the record: "p", "sp" or "np"
}

// Finding is something that a check of the records found.
type Finding struct{ Severity, Code, Record, Text string }
