package web

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrBusy reports that the limit of checks is reached; the text says when to try again.
var ErrBusy = errors.New("too many checks")

// Checker checks the DNS records for a domain's mail. If it is nil, there is no page of checks.
type Checker interface {
	// Check asks the DNS. What could not be found out is part of the answer. An error wraps
	// ErrBusy, or ErrRefused where the question makes no sense.
	Check(ctx context.Context, by string, q Question) (*Checked, error)
}

// Question is a request to check a domain.
type Question struct {
	Domain    string
	Selectors []string     // of keys that are in use
	Addresses []netip.Addr // that its mail leaves from
	SPF       SPFQuestion
	DMARC     DMARCQuestion
}

// SPFQuestion is who may send, for the proposal of a record.
type SPFQuestion struct {
	Networks []string // addresses and networks to let in
	Includes []string // names of records to let in
	Without  []string // terms to take out
	All      string   // "", "-all" or "~all"
}

// DMARCQuestion are the answers that a proposal of a record is made of.
type DMARCQuestion struct {
	Silent  bool   // the domain sends nothing
	People  bool   // people write with it
	Reports string // address that reads reports; "" is the published one
	Policy  string // "none", "quarantine", "reject"; "" is the published one
	Testing bool   // t=y: receivers do what the step below asks
}

// Checked is the result of a check.
type Checked struct {
	Domain   string
	At       time.Time
	Took     time.Duration
	Queries  int
	Findings []Found
	Terms    []string // of the SPF record, without its version
	SPF      string   // what SPF allows, in lines
	Lookups  int      // that SPF costs, of 10
	Voids    int      // empty answers of those, of 2
	HasSPF   bool
	Policy   string // that DMARC asks for; "" for none
	NewSPF   Proposal
	NewDMARC Proposal
}

// Found is something that is wrong with a record, or worth knowing.
type Found struct {
	Code, Severity string // severities: "error", "warning", "unknown", "note"
	Name           string // of the record
	Text, Why      string
	Seen           string // the record; the bytes from Start to End are what it is about
	Start, End     int
	Publish        []Publish
}

// Publish is a record to publish, in the forms that zone files and providers take.
type Publish struct {
	Name, Kind           string
	Zone, Value, Strings string
	Who                  string // who must publish it, if not the owner of the domain
}

// Proposal is a set of records with notes; or Problem is the reason why there is none.
type Proposal struct {
	Records []Publish
	Notes   []string
	Problem string
}
