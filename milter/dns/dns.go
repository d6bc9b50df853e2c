// Package dns looks up names, limits what a lookup may cost, and caches answers for their time to
// live.
//
// NXDOMAIN, no data and failure are three different answers: DMARC's np= tag and SPF's void lookups
// need the difference (RFC 9989 section 4.7, RFC 7208 section 4.6.4).
package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Type is the type of the records asked for.
type Type uint16

// The types that mail authentication asks for, with their numbers of RFC 1035, RFC 3596 and RFC
// 6698.
const (
	A    Type = 1
	NS   Type = 2
	PTR  Type = 12
	MX   Type = 15
	TXT  Type = 16
	AAAA Type = 28
	TLSA Type = 52
)

// String returns the type as zone files write it: "TXT", or "TYPE99" for one that this package has
// no name for.
func (t Type) String() string {
	switch t {
	case A:
		return "A"
	case NS:
		return "NS"
	case PTR:
		return "PTR"
	case MX:
		return "MX"
	case TXT:
		return "TXT"
	case AAAA:
		return "AAAA"
	case TLSA:
		return "TLSA"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Status is the meaning of an answer to a lookup that did not fail.
type Status uint8

const (
	Found    Status = iota // there are records of the type
	NoData                 // the name exists and has no record of the type
	NXDomain               // the name does not exist, nor any below it (RFC 8020)
)

// ErrFailure is wrapped by every error of a lookup: time-out, SERVFAIL, REFUSED, an answer that
// cannot be read. It says nothing about the name; a later lookup may find out.
var ErrFailure = errors.New("lookup failed")

// ErrTimeout is the ErrFailure of a lookup that no server answered in time.
var ErrTimeout = fmt.Errorf("%w: no answer in time", ErrFailure)

// String returns "found", "no data" or "NXDOMAIN".
func (s Status) String() string {
	switch s {
	case Found:
		return "found"
	case NoData:
		return "no data"
	}
	return "NXDOMAIN"
}

// Answer is the answer of the DNS for a name and type. Only the slice that belongs to the
// type is set, and only when Status is Found. Records are in the order of the reply; a
// caller that needs another order sorts a copy. Answers are shared with the cache: callers
// must not change them.
type Answer struct {
	Status Status
	Addrs  []netip.Addr // A, AAAA
	// TXT: one entry a record, its strings joined with nothing between; TLSA: as zone files write
	// it, such as "3 1 1 a0b1…" (RFC 6698 section 2.2)
	Texts     []string
	Names     []string   // NS, PTR: lower case, no final dot
	Exchanges []Exchange // MX
	Aliases   []string   // the CNAMEs and DNAMEs followed, in order; empty when there was none
	// the server set AD (RFC 6840 section 5.8); trust it as far as the path to the server
	Secure bool
	TTL    time.Duration // how long the answer may be kept
}

// Exchange is one MX record (RFC 1035 section 3.3.9). Host is lower case without its final dot; ""
// is the null MX of RFC 7505.
type Exchange struct {
	Preference uint16
	Host       string
}

// Resolver looks a name up. The name is ASCII, with or without a final dot; one that cannot be a
// DNS name (empty, over 253 octets, a label over 63) is answered NXDomain without a query. The
// error wraps ErrFailure, or is the context's.
type Resolver interface {
	Lookup(ctx context.Context, name string, t Type) (Answer, error)
}
