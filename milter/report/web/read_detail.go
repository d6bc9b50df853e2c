package web

import (
	"net/netip"
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

// OtherSums are sums of such reports.
type OtherSums struct{ Reports, Good, Bad int64 }

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
