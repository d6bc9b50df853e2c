package report

import (
	"slices"
	"strings"
)

// Failing is a message that failed, as a failure report tells its domain of it (RFC 9991; with
// Signer, RFC 6651). It holds a part of the header, in which Redactor replaces the names of people
// before anything is stored.
type Failing struct {
	Evaluation Evaluation `json:"-"`

	Failed string // Auth-Failure (RFC 6591 section 3.1), one of the constants below
	// where the owner wants reports, as published: ruf
	URIs []string `json:",omitempty"`
	// d= of a signature with r=y, whose DNS names the address
	Signer    string           `json:",omitempty"`
	Signature *FailedSignature `json:",omitempty"` // the signature that the report is about
	SPFRecord string           `json:",omitempty"` // the record that SPF found, where SPF failed
	MailFrom  string           `json:",omitempty"` // the envelope sender
	// fields, with CRLF; nil where too many came at once
	Header []byte `json:",omitempty"`
}

// FailedSignature is a signature that did not pass.
type FailedSignature struct {
	Domain, Selector, Identifier string // d=, s=, i=
}

// The values of Failing.Failed.
const (
	FailedDMARC   = "dmarc"     // no aligned pass, or with fo=1 one that is missing
	FailedHeader  = "signature" // the signature does not fit the signed fields
	FailedBody    = "bodyhash"  // the body is not the signed one
	FailedRevoked = "revoked"   // the key was taken back
	FailedSPF     = "spf"
)

// NotAligned returns the value of Identity-Alignment (RFC 9991 section 4): the mechanisms
// without an identity in alignment with From, either because they failed or because they
// passed for another domain.
func (e *Evaluation) NotAligned() string {
	switch {
	case !e.DKIM && !e.SPF:
		return "dkim,spf"
	case !e.DKIM:
		return "dkim"
	case !e.SPF:
		return "spf"
	}
	return "none"
}

// AsksFailure reports for which of the options of fo (RFC 9989 section 4.7) the owner wants a
// report of the message: "dmarc" for 0 and 1, "dkim" for d, "spf" for s, "" for none. A mechanism
// whose result is a temporary error may have passed, and makes no report.
func (e *Evaluation) AsksFailure() string {
	fo := strings.Split(e.Policy.FO, ":")
	isUnsure := e.SPFAuth != nil && e.SPFAuth.Result == "temperror" ||
		slices.ContainsFunc(e.Signatures, func(s DKIMAuth) bool { return s.Result == "temperror" })
	switch {
	case isUnsure:
		return ""
	case slices.Contains(fo, "0") && !e.Passes():
		return "dmarc"
	case slices.Contains(fo, "1") && !(e.DKIM && e.SPF):
		return "dmarc"
	case slices.Contains(fo, "d") && slices.ContainsFunc(e.Signatures, hasFailed):
		return "dkim"
	case slices.Contains(fo, "s") && e.SPFAuth != nil && (e.SPFAuth.Result == "fail" ||
		e.SPFAuth.Result == "softfail"):
		return "spf"
	}
	return ""
}

func hasFailed(s DKIMAuth) bool { return s.Result == "fail" }
