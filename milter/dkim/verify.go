package dkim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"mailseal/milter/message"
)

// Run judges the chosen signatures of m, whose body is complete, and returns one Result a signature
// in the order of the header. It looks keys up in parallel, those of signatures related to the
// author first, and returns when all is known or ctx ends, which is a temperror.
func (x *Verification) Run(ctx context.Context, m *message.Message) []Result {
	defer x.effort.End(OtherSignatures)
	defer x.effort.End(AlignedSignatures)
	related, others := x.untried()
	keys := LookupKeys(ctx, x.verifier.Resolver, append(keyNames(related), keyNames(others)...))
	index := sync.OnceValue(func() *Index { return NewIndex(x.header) })
	x.try(related, keys, index, m.Body)
	x.effort.End(AlignedSignatures)
	if len(others) > 0 {
		keys.Wait()
		x.effort.Begin(OtherSignatures)
		x.try(others, keys, index, m.Body)
	}
	results := make([]Result, len(x.entries))
	for i, e := range x.entries {
		results[i] = e.result
	}
	shortenB(results)
	return results
}

// untried returns the entries without a result, those related to the author and the others.
func (x *Verification) untried() (related, others []*entry) {
	for _, e := range x.entries {
		switch {
		case e.result.Value != "":
		case e.isRelated:
			related = append(related, e)
		default:
			others = append(others, e)
		}
	}
	return related, others
}

func keyNames(entries []*entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.signature.KeyName
	}
	return names
}

// try judges some entries.
func (x *Verification) try(entries []*entry, keys *Keys, index func() *Index,
	body *message.Digests) {
	for _, e := range entries {
		if records := e.records(keys.At(e.signature.KeyName)); len(records) > 0 &&
			e.checkBody(body) {
			e.checkHeader(index(), records, x.effort)
			x.conclude(e, index())
		}
	}
}

// records returns the key records to verify e with, or settles e if there are none.
func (e *entry) records(found Lookup) []Record {
	proof := &e.result.Evidence
	proof.Key, proof.Record = found.State, found.Text
	if found.State == KeyUnreached {
		e.settle(TempError, found.Reason)
		return nil
	}
	var fit []Record
	for _, r := range found.Records {
		switch {
		case r.Key.Algorithm() != e.signature.Algorithm:
			found.Reason = fmt.Sprintf("the signature is %s, the key is for %s",
				e.signature.Algorithm, r.Key.Algorithm())
		case r.Strict && !e.signature.Exact:
			found.Reason = "the key is not for subdomains (t=s), which i= names"
		default:
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		if found.State == KeyUsable {
			proof.Key = KeyInvalid
		}
		e.settle(PermError, found.Reason)
	}
	return fit
}

// checkBody compares the body hashes. It is false when the body was not hashed as BodyHashes asked.
func (e *entry) checkBody(body *message.Digests) bool {
	sum, hashed := body.Sum(e.signature.BodyHashWanted())
	if !hashed {
		e.settle(TempError, "the body was not hashed as this signature needs it")
		return false
	}
	proof := &e.result.Evidence
	proof.Checked = true
	proof.BodyHash, proof.BodyLength = sum.SHA256[:], sum.Length
	proof.BodyIntact = bytes.Equal(proof.BodyHash, e.signature.BodyHash)
	if l := e.signature.Limit; l != message.Whole {
		proof.UnsignedOctets = max(sum.Length-l, 0)
	}
	return true
}

// checkHeader verifies the signature with the first of records whose key fits, and keeps that
// record in e.
func (e *entry) checkHeader(index *Index, records []Record, effort *Effort) {
	s, proof := &e.signature, &e.result.Evidence
	used, err := s.VerifiedBy(index, proof.Field, records, effort)
	proof.HeaderIntact = err == nil
	r := records[max(used, 0)]
	proof.Record = r.Text
	e.result.Bits, e.result.Testing = r.Key.Bits(), r.Testing
	switch {
	case errors.Is(err, ErrTooExpensive):
		e.settle(Policy,
			"too expensive: verifying the signatures of this message would take too much processor time")
	case !proof.HeaderIntact && effort.Spend(r.Key):
		made, known := r.Key.Made(s.Value)
		proof.OtherKey = known && !made
	}
}

// conclude weighs what was found.
func (x *Verification) conclude(e *entry, index *Index) {
	v, s, proof := x.verifier, &e.signature, &e.result.Evidence
	switch {
	case s.Limit > proof.BodyLength:
		e.settle(Fail, "the body has %d octets, fewer than were signed (l=%d)", proof.BodyLength,
			s.Limit)
	case !proof.HeaderIntact || !proof.BodyIntact:
		e.settle(Fail, broken(proof, s.Algorithm))
	case x.authors > s.count("From"):
		e.settle(Policy, "not all of the %d From fields are signed", x.authors)
	case proof.UnsignedOctets > 0 && !v.AcceptUnsignedBody:
		e.settle(Policy, "the last %d octets of the body are not signed (l=%d)",
			proof.UnsignedOctets, s.Limit)
	case s.Algorithm == RSASHA256 && e.result.Bits < v.MinRSABits:
		e.settle(Policy, "the key has %d bits, and this host requires %d", e.result.Bits, v.MinRSABits)
	default:
		x.concludeUncovered(e, index)
	}
}

// concludeUncovered passes a signature unless a field was added above those that it covers.
func (x *Verification) concludeUncovered(e *entry, index *Index) {
	note := ""
	for _, u := range e.signature.uncovered(index) {
		e.result.Evidence.Uncovered = append(e.result.Evidence.Uncovered, u.name)
		if u.isGuarded() && !x.verifier.NoteUncovered {
			e.settle(Policy, u.String())
		}
		if note == "" {
			note = u.String()
		}
	}
	e.settle(Pass, note)
}

// broken returns the part that does not match. For Ed25519 a changed header and a wrong key
// cannot be distinguished.
func broken(proof *Evidence, algorithm string) string {
	var what []string
	if !proof.BodyIntact {
		what = append(what, "the body was changed after signing")
	}
	switch {
	case proof.HeaderIntact:
	case proof.OtherKey:
		what = append(what, "the published key is not the one that signed")
	case algorithm == RSASHA256:
		what = append(what, "a signed header field was changed, added or removed after signing")
	default:
		what = append(what,
			"a signed header field was changed, or the published key is not the one that signed")
	}
	return strings.Join(what, "; ")
}

// Lengths of header.b in characters.
const (
	shortestB = 8  // RFC 6008 section 4
	longestB  = 64 // copies of a signature cannot be told apart anyway
)

// shortenB cuts each HeaderB, so far all of b=, to what tells it from the others.
func shortenB(results []Result) {
	full := make([]string, len(results))
	for i, r := range results {
		full[i] = r.HeaderB
	}
	for i := range results {
		n := shortestB
		for j := range full {
			if full[i] != full[j] {
				n = max(n, common(full[i], full[j])+1)
			}
		}
		results[i].HeaderB = full[i][:min(n, longestB, len(full[i]))]
	}
}

// common returns the length of the common prefix of a and b.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
