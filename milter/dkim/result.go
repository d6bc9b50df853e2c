package dkim

import "time"

// Value is the result of verifying one signature (RFC 8601 section 2.7.1).
type Value string

// The values of a Result. RFC 6376 section 3.9 knows three states only; how they map here is our
// choice, made so that a postmaster can tell from the word alone whose turn it is.
const (
	Pass Value = "pass" // the signature is good and there is no objection to it
	// a hash or the signature does not match: the message was changed, or never signed so
	Fail Value = "fail"
	// good or not, we do not accept it: expired, from the future, unsigned body left over, not
	// tried
	Policy Value = "policy"
	// the field has syntax errors, or asks for what is unknown: version, algorithm,
	// canonicalization
	Neutral   Value = "neutral"
	TempError Value = "temperror" // the key could not be looked up now; later it may be
	// it can never be verified: no key, revoked, too short, a tag or From missing, tags that
	// contradict each other, rsa-sha1
	PermError Value = "permerror"
)

// Result is the result of one DKIM-Signature field. The contents of the field (Domain to
// Canonicalization) are set as far as they could be read, whatever the Value.
type Result struct {
	Value    Value
	Domain   string // d=, in A-labels; as written when it is not a domain name
	Selector string // s=, likewise
	// i=, its domain in A-labels; "@" and the domain when the field has none
	Identifier string
	Algorithm  string // a=
	// size of the key: of the modulus for RSA, 256 for Ed25519; 0 when no key was found
	Bits int
	// the key record says t=y: a failure must not be compared with the message (RFC 6376 section
	// 3.6.1)
	Testing          bool
	Canonicalization string // "relaxed/simple"
	// the first characters of b=, at least 8 and enough to tell this result from the others (RFC
	// 6008)
	HeaderB string
	// for a postmaster, one sentence without final full stop; "" when there is nothing to say
	Reason   string
	Evidence Evidence
}

// Property is one property of a result as Authentication-Results writes it, such as header.d (RFC
// 8601 section 2.7.1).
type Property struct {
	Type, Name, Value string
}

// Properties returns header.d, header.i, header.s, header.a and header.b, those that are known, in
// that order (RFC 8601 sections 2.7.1 and 6.3, RFC 6008).
func (r Result) Properties() []Property {
	all := []Property{
		{"header", "d", r.Domain},
		{"header", "i", r.Identifier},
		{"header", "s", r.Selector},
		{"header", "a", r.Algorithm},
		{"header", "b", r.HeaderB},
	}
	known := all[:0]
	for _, p := range all {
		if p.Value != "" {
			known = append(known, p)
		}
	}
	return known
}

// Evidence holds the facts behind a Result: enough to explain a failure to the people who
// can correct it.
type Evidence struct {
	Field int      // the signature's index in the header
	Key   KeyState // what the lookup of the key came to
	// the text of the key record used or, if none could be, of the one that Reason speaks of
	Record       string
	Checked      bool // the hashes were computed, and what follows means something
	HeaderIntact bool // the signature matches the signed header fields and the key
	// the published key did not make the signature, whatever it signed; known for RSA only
	OtherKey       bool
	BodyIntact     bool      // the body hash is the signed one
	BodyHash       []byte    // SHA-256 of the body as it came
	BodyLength     int64     // octets of the canonical body as it came
	UnsignedOctets int64     // how many of them l= leaves unsigned
	SignedBodyHash []byte    // bh=
	Uncovered      []string  // fields that h= names, but that are present more often than it covers
	Signed         time.Time // t=; zero when absent
	Expires        time.Time // x=; zero when absent
}

// KeyState is the outcome of the lookup of a key.
type KeyState uint8

// The states of a key, and what each says about whom.
const (
	KeyUnknown KeyState = iota // not looked up: the field was unusable without it, or not tried
	KeyUsable                  // found
	KeyMissing                 // the name has no TXT record, or does not exist
	KeyRevoked                 // p= is empty: the owner took it back (RFC 6376 section 3.6.1)
	// there are records, but none is a key record that fits the signature
	KeyInvalid
	KeyTooShort  // an RSA key under the minimum (RFC 8301 section 3.2)
	KeyTooLong   // an RSA key over 8,192 bits, refused before any arithmetic
	KeyUnreached // the DNS did not answer
)
