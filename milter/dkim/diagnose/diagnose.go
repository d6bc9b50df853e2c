// Package diagnose finds out why a signature does not verify. It reverts, one after the other,
// known changes to mail on its way, and tests after which of them the signature verifies.
package diagnose

import (
	"fmt"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// Finding is one thing that is known about a failure.
type Finding struct {
	Part  string // "body", "header", "key", "time" or "field"
	Cause string // a sentence for a postmaster, without final full stop
	Cure  string // what to do about it, likewise; "" when there is nothing
	// undoing it makes this part of the signature whole; else it is what the evidence suggests
	Sure bool
}

// Signature explains why the signature with the result r failed, for a message of header h and
// body, with CRLF line ends. It returns nothing for a signature that passed.
func Signature(h message.Header, body []byte, r dkim.Result) []Finding {
	if r.Value == dkim.Pass {
		return nil
	}
	if !r.Evidence.Checked {
		return []Finding{unchecked(r)}
	}
	s, _ := dkim.ParseSignature(h[r.Evidence.Field])
	var out []Finding
	if !r.Evidence.BodyIntact {
		out = append(out, bodyFinding(h, body, s))
	}
	if !r.Evidence.HeaderIntact {
		out = append(out, headerFinding(h, s, r))
	}
	if len(out) == 0 {
		out = append(out, refused(r))
	}
	return out
}

// keyCauses are the states of a key for which no signature is looked at.
var keyCauses = map[dkim.KeyState]Finding{
	dkim.KeyMissing: {Cause: "no key is published",
		Cure: "the signer's domain has to publish the record, or it was removed too early: keys " +
			"must outlive the mail that they signed"},
	dkim.KeyRevoked: {Cause: "the key was revoked (p= is empty)",
		Cure: "the signer has to sign with a key that is still published"},
	dkim.KeyInvalid: {Cause: "the record is not a key that can verify this signature",
		Cure: "the signer's domain has to correct the record; mailseal keygen prints a valid one"},
	dkim.KeyTooShort: {Cause: "the key is too short to be trusted",
		Cure: "the signer needs an RSA key of 2048 bits"},
	dkim.KeyTooLong: {Cause: "the key is too long to be used",
		Cure: "the signer needs an RSA key of 2048 or 4096 bits"},
	dkim.KeyUnreached: {Cause: "the DNS did not answer",
		Cure: "try again later, or check the name servers of the signer's domain"},
}

// unchecked is about a signature that did not get as far as its hashes.
func unchecked(r dkim.Result) Finding {
	f, aboutKey := keyCauses[r.Evidence.Key]
	switch {
	case aboutKey:
	case r.Value == dkim.Policy:
		return refused(r)
	default:
		return Finding{Part: "field", Cause: "the signature itself cannot be used: " + r.Reason,
			Cure: "the signer's software has to be corrected", Sure: true}
	}
	f.Part, f.Sure = "key", true
	f.Cause = fmt.Sprintf("%s at %s._domainkey.%s: %s", f.Cause, r.Selector, r.Domain, r.Reason)
	return f
}

// refused is about a signature that is good as far as its hashes go.
func refused(r dkim.Result) Finding {
	proof := r.Evidence
	switch {
	case proof.UnsignedOctets > 0:
		return Finding{"body",
			fmt.Sprintf(
				"the last %d octets of the body are not covered by the signature (l=): any host "+
					"may have added them, as mailing lists add a footer", proof.UnsignedOctets),
			"the signer should not use l=; verify.accept_unsigned_body lets such signatures pass",
			true}
	case len(proof.Uncovered) > 0:
		return Finding{"header",
			fmt.Sprintf("%s: one may have been added after signing, and readers show that one",
				r.Reason),
			"the signer should list the field in h= once more than it is present; " +
				"verify.uncovered_duplicates = \"note\" lets such signatures pass", true}
	case !proof.Expires.IsZero() || !proof.Signed.IsZero():
		return Finding{"time", r.Reason + times(proof),
			"the mail was on its way for too long, or a clock is wrong: compare the times in the " +
				"Received fields", true}
	}
	return Finding{"field", "the signature is not accepted here: " + r.Reason, "", true}
}

func times(proof dkim.Evidence) string {
	s := ""
	if !proof.Signed.IsZero() {
		s += ", signed " + proof.Signed.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if !proof.Expires.IsZero() {
		s += ", valid until " + proof.Expires.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return s
}
