package dkim

import (
	"fmt"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Verifier judges the signatures of messages. Its zero values mean the defaults; only Resolver has
// none. It is safe for concurrent use.
type Verifier struct {
	Resolver      dns.Resolver
	Now           func() time.Time // default time.Now
	MaxSignatures int              // how many signatures of a message are tried; default 10
	// pass a signature whose l= leaves octets of the body unsigned; default policy
	AcceptUnsignedBody bool
	// how far t= may lie ahead and x= behind; default 300 s, negative for none
	ClockSkew time.Duration
	// a second Subject, To or the like above a signature that covers one is a note, not policy
	NoteUncovered bool
	// a shorter key is a policy result; default and least 1024 (RFC 8301 section 3.2)
	MinRSABits int
	Effort     *Effort // of one message, shared with ARC; nil for a separate one
}

// The defaults of a Verifier.
const (
	defaultSignatures = 10 // RFC 6376 section 6.1 allows a limit; honest mail has one to four
	defaultSkew       = 300 * time.Second
)

// Bounds of what a header full of signature fields may cost.
const (
	maxParsed = 100 // fields that are read in order to choose
	maxListed = 10  // fields that get a result without being tried
)

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) most() int {
	if v.MaxSignatures > 0 {
		return v.MaxSignatures
	}
	return defaultSignatures
}

func (v *Verifier) skew() time.Duration {
	if v.ClockSkew == 0 {
		return defaultSkew
	}
	return max(v.ClockSkew, 0)
}

// Verification is the judging of one message's signatures between the end of its header and the end
// of its body.
type Verification struct {
	verifier *Verifier
	header   message.Header
	authors  int      // From fields
	entries  []*entry // in the order of the header
	effort   *Effort
}

// entry is one signature field and its result so far. It is still to be tried while the result has
// no Value.
type entry struct {
	signature Signature
	result    Result
	isRelated bool // to the author's domain: it, its parents and its children
}

// Select reads the signature fields of h and chooses those that will be tried: when there are more
// than MaxSignatures, those of author's domain, its parents and its children come first. author may
// be "". Of the others ten at most get a result. Nothing is looked up yet.
func (v *Verifier) Select(h message.Header, author domain.Name) *Verification {
	x := &Verification{verifier: v, header: h, authors: len(h.Fields("From")), effort: v.Effort}
	if x.effort == nil {
		x.effort = NewEffort(NewestSet, OlderSets)
	}
	fields := h.Fields(FieldName)
	for _, i := range fields[:min(len(fields), max(maxParsed, v.most()+maxListed))] {
		e := v.read(h, i)
		d := e.signature.Domain
		e.isRelated = author != "" && (author.Within(d) || d.Within(author))
		if x.authors == 0 {
			e.settle(PermError, "the message has no From field, which every signature must cover")
		}
		x.entries = append(x.entries, e)
	}
	x.choose(len(fields))
	return x
}

// read makes the entry of the signature at index i of h.
func (v *Verifier) read(h message.Header, i int) *entry {
	s, fault := ParseSignature(h[i])
	e := &entry{signature: s, result: Result{
		Domain:           s.Domain.String(),
		Selector:         s.Selector,
		Identifier:       s.Identifier,
		Algorithm:        s.Algorithm,
		Canonicalization: s.Canonicalization(),
		HeaderB:          s.text,
		Evidence: Evidence{Field: i, SignedBodyHash: s.BodyHash, Signed: s.Signed,
			Expires: s.Expires},
	}}
	if fault != "" {
		value := PermError
		if s.Unreadable {
			value = Neutral
		}
		e.settle(value, fault)
		return e
	}
	v.checkTimes(e)
	return e
}

// checkTimes runs before any lookup, since keys of expired signatures are often gone: the
// result should name the time, not the missing key.
func (v *Verifier) checkTimes(e *entry) {
	now, s := v.now(), &e.signature
	if !s.Expires.IsZero() && now.Add(-v.skew()).After(s.Expires) {
		e.settle(Policy, "the signature expired at "+stamp(s.Expires))
	}
	if s.Signed.After(now.Add(v.skew())) {
		e.settle(Policy,
			"the signature was made in the future, at "+stamp(s.Signed)+": a clock is wrong")
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// settle gives e its result unless it has one.
func (e *entry) settle(v Value, reason string, args ...any) {
	if e.result.Value != "" {
		return
	}
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	e.result.Value, e.result.Reason = v, reason
}

// choose drops all but the signatures to try and a few that are named as not tried. count is the
// number of signature fields of the message.
func (x *Verification) choose(count int) {
	most := x.verifier.most()
	if len(x.entries) <= most {
		return
	}
	chosen := x.related(most)
	kept, listed := x.entries[:0], 0
	var last *entry
	for i, e := range x.entries {
		if !chosen[i] {
			if listed++; listed > maxListed {
				continue
			}
			last = e
			e.result.Value = ""
			e.settle(Policy,
				"not verified: only %d signatures of a message are, those of the author's domain first",
				most)
		}
		kept = append(kept, e)
	}
	if unlisted := count - len(kept); unlisted > 0 {
		last.result.Reason += fmt.Sprintf("; %d more are not even listed", unlisted)
	}
	x.entries = kept
}

// related returns the indices of most entries: those related to the author first, then the others,
// each from the top.
func (x *Verification) related(most int) map[int]bool {
	chosen := make(map[int]bool, most)
	for _, wanted := range []bool{true, false} {
		for i, e := range x.entries {
			if e.isRelated == wanted && len(chosen) < most {
				chosen[i] = true
			}
		}
	}
	return chosen
}

// BodyHashes names the digests of the body that Run will ask for.
func (x *Verification) BodyHashes() []message.BodyHash {
	var wanted []message.BodyHash
	for _, e := range x.entries {
		if e.result.Value == "" {
			wanted = append(wanted, e.signature.BodyHashWanted())
		}
	}
	return wanted
}
