package dkim

import (
	"crypto"
	"errors"
	"time"

	"mailseal/milter/message"
)

// ErrNoFrom says that a header has no From field: there is nothing that a signature could vouch for (RFC 6376 section
// 5.4).
var ErrNoFrom = errors.New("dkim: no From field to sign")

// Key is what one signature is made with. Its public half is published at Selector._domainkey.Domain.
type Key struct {
	Domain   string        // d=
	Selector string        // s=
	Signer   crypto.Signer // RSA or Ed25519
}

// SignOptions says what a signature covers and states. Its zero value is the default.
type SignOptions struct {
	SimpleHeader bool          // c=simple for the header; default relaxed
	SimpleBody   bool          // c=simple for the body; default relaxed
	Fields       []string      // fields signed when present, every instance; nil for DefaultFields
	Oversign     []string      // of those, the ones listed once more than present, even when absent; nil for DefaultOversign
	OversignOnly []string      // likewise but only when present; nil for DefaultOversignPresent
	Time         time.Time     // t=; the zero Time for now
	Expiry       time.Duration // x= is so much later; 0 for 10 days, negative for no x=
	Identifier   string        // i=; "" for none
	Unicode      bool          // write d=, s= and i= in U-labels: for SMTPUTF8 messages only (RFC 8616 section 3)
}

// Signing is a message ready to be signed: its fields chosen and canonical, whatever the number of keys.
type Signing struct{}

// Prepare chooses the fields of h that o asks for and canonicalises them once for all keys. The error is ErrNoFrom.
func Prepare(h message.Header, o SignOptions) (*Signing, error) { return nil, ErrNoFrom }

// Sign returns the DKIM-Signature field that k makes; it belongs on top of the header. body holds the digest that the
// options asked for.
func (s *Signing) Sign(body *message.Digests, k Key) (message.Field, error) {
	return message.Field{}, ErrNoFrom
}

// Sign is Prepare and one signature.
func Sign(h message.Header, body *message.Digests, k Key, o SignOptions) (message.Field, error) {
	s, err := Prepare(h, o)
	if err != nil {
		return message.Field{}, err
	}
	return s.Sign(body, k)
}
