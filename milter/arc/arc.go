// Package arc validates the chain of ARC sets that a message carries and seals the next one (RFC 8617). ARC is on its
// way to Historic: nothing but a setting of the operator gives its result any weight.
package arc

import (
	"context"
	"errors"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Value is a result of RFC 8617 section 4.4. There is no temperror: a key that cannot be looked up fails the chain.
type Value string

// The results.
const (
	None Value = "none" // the message carries no set
	Pass Value = "pass" // the chain is whole and every seal verifies
	Fail Value = "fail" // anything else
)

// Result is what became of a chain.
type Result struct {
	Value      Value
	Reason     string // for a postmaster, one clause; "" for a pass
	Sets       []Set  // by instance, from 1; for a chain with a broken structure as far as it could be read
	OldestPass int    // the lowest instance whose AMS still verifies, 0 when all do (RFC 8617 section 5.2)
	Sealed     bool   // the newest seal says cv=fail already: nothing may be added (RFC 8617 section 5.1)
}

// Set is one ARC set.
type Set struct {
	Instance int
	Sealer   domain.Name // d= of the ARC-Seal
	Selector string      // s= of the ARC-Seal
	Payload  string      // ARC-Authentication-Results without its i= tag, unfolded
}

// Validator validates chains. Its zero values are the defaults; only Resolver has none. It is safe for concurrent use.
type Validator struct {
	Resolver   dns.Resolver
	Now        func() time.Time // nil for time.Now
	MinRSABits int              // default and least 1024
}

// Validation is the validating of one message's chain between the end of its header and the end of its body.
type Validation struct{}

// Select reads the sets of h.
func (v *Validator) Select(h message.Header) *Validation { return &Validation{} }

// BodyHashes returns the digests of the body that the sets' message signatures need.
func (x *Validation) BodyHashes() []message.BodyHash { return nil }

// Run validates the chain of m, whose body is complete.
func (x *Validation) Run(ctx context.Context, m *message.Message) Result { return Result{Value: None} }

// ErrNoMore says that nothing may be added to a chain: it was sealed as failed, or has 50 sets.
var ErrNoMore = errors.New("arc: no more sets may be added")

// SealOptions says how a set is made. The zero value is the default: relaxed/relaxed, the fields that DKIM signs.
type SealOptions struct {
	Fields []string  // fields covered by the AMS when present; nil for dkim's default and DKIM-Signature
	Time   time.Time // t=; the zero Time for now
}

// BodyHash is the digest of the body that Seal needs.
func (o SealOptions) BodyHash() message.BodyHash {
	return message.BodyHash{Canonicalization: message.Relaxed, Limit: message.Whole}
}

// Seal returns the next set, ARC-Seal, AMS and AAR from the top, for a message with header h as it will be below them.
// Chain is what validating the message came to, payload the content of the AAR: an Authentication-Results value in one
// line. The error is ErrNoMore, or that of the key.
func Seal(h message.Header, body *message.Digests, chain Result, payload string, k dkim.Key, o SealOptions) ([]message.Field, error) {
	return nil, ErrNoMore
}
