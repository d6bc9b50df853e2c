// Package filter decides what Mailseal does to a message: it signs our mail, judges strangers'
// mail, and removes fields that only Mailseal may write. It implements milter.Filter and never sees
// the milter protocol.
//
// A message takes one of three ways, each a milter.Judge: outbound signs, inbound judges, and
// immediate has its outcome at the end of the header.
package filter

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// Filter is the daemon's milter.Filter.
type Filter struct {
	// the authserv-id that our fields carry; "": the MTA's own name if it is a full one, else Host
	ID   string
	Host string    // this host's name
	Own  OwnFields // the fields that only we may write

	Signer   *sign.Signer     // nil: nothing is signed
	Verifier *verify.Verifier // nil: nothing is judged
	Policy   *policy.Rules    // nil: whatever is found, the message is accepted
	Sealer   *sign.Sealer     // nil: nothing is sealed

	Unmatched action.Unmatched     // mail of ours that no rule signs
	Malformed action.MalformedFrom // mail of ours whose From RFC 5322 does not allow
	// mail of ours that we found to be forged when it came in
	Redirected action.Redirected
	// author domains whose mail is neither signed nor judged
	ExemptAuthors      message.Patterns
	UnsignedRecipients message.Patterns // mail to any of them is not signed
	Senders            Senders
	SelfCheck          SelfCheck
	AuthResult         bool // auth= on mail of authenticated users
	ReceivedSPF        bool

	Counters Counters // nil: nothing is counted
	Reports  Reports
	Test     Test
}

// SelfCheck configures how many signatures a second implementation verifies before the mail
// is sent.
type SelfCheck struct {
	Share float64 // of the messages, 0 … 1
	// Accept: a bad second opinion is logged and counted; any other: the message is deferred too
	Action action.Action
}

// Counters counts what a Filter does. Its methods are called concurrently.
type Counters interface {
	Signed(s sign.Signature)
	SignedFor(author domain.Name)  // once for each message of ours that is signed
	Unsigned(reason string)        // mail of ours that left without a signature
	LongFields(done string, n int) // of messages that are signed: "refolded" or "left_out"
	KeyFailed(key string, err error)
	Found(method, value string)
	SelfChecked(sign.Verdict)
	RuleFailed() // a rule of the policy could not be evaluated
	Short()      // strangers' mail that was deferred, since this host was too busy to judge it
}

// Begin implements milter.Filter.
func (f *Filter) Begin(_ context.Context, m milter.Mail) milter.Judge {
	from := m.Header.From()
	author, err := from.Author()
	ml := mail{
		Mail:      m,
		filter:    f,
		from:      from,
		author:    author,
		authorErr: err,
		forged:    f.Own.Forged(m),
		id:        f.idFor(m.Envelope),
		doubt:     from.Doubt(),
	}
	if f.ExemptAuthors.MatchDomain(author.Domain) {
		return immediate{ml.leave("exempt author")}
	}
	switch m.Role {
	case action.RoleOurs:
		return f.ours(ml)
	case action.RoleRelay, action.RoleTheirs:
		return f.judge(ml)
	}
	return immediate{ml.invalid("role", m.Role)}
}

// idFor returns the authserv-id of the fields that we add to a message. Without one in the
// configuration it is the name by which the MTA of this connection calls itself, since that is what
// its users know their host by.
func (f *Filter) idFor(env *message.Envelope) string {
	switch {
	case f.ID != "":
		return f.ID
	case domain.IsFull(env.Hostname):
		return strings.TrimSuffix(env.Hostname, ".")
	}
	return f.Host
}

// ours is for mail of our users and hosts: signed, not judged.
func (f *Filter) ours(ml mail) milter.Judge {
	if reason, ok := f.Senders.Allow(ml.Envelope, ml.author, ml.from.Addresses...); !ok {
		return immediate{f.Senders.outcome(ml, reason)}
	}
	f.Reports.wrote(ml)
	switch {
	case f.Signer == nil:
		return immediate{ml.pass()}
	case f.isUnsigned(ml.Envelope):
		return ml.unsigned(unsignedRecipient)
	case ml.doubt != "" && f.Malformed != action.MalformedSign:
		return f.malformed(ml)
	case ml.authorErr != nil:
		return ml.unsigned(authorReason(ml.authorErr))
	}
	q := ml.query()
	rules := f.Signer.Match(q)
	if len(rules) == 0 {
		return f.unmatched(ml)
	}
	if f.Own.hasOurFailure(ml.Header, ml.author.Domain, ml.Envelope.Hostname) {
		switch f.Redirected {
		case action.RedirectedUnsigned:
			q.Forged = ml.author.Domain
		case action.RedirectedSign:
		default:
			return immediate{ml.invalid("signing.redirected", f.Redirected)}
		}
	}
	check := f.SelfCheck.Share > 0 && rand.Float64() < f.SelfCheck.Share
	return &outbound{mail: ml, rules: rules, query: q, check: check}
}

// malformed is for mail of ours that is not signed because of its From field.
func (f *Filter) malformed(ml mail) milter.Judge {
	switch f.Malformed {
	case action.MalformedUnsigned:
		return ml.unsigned(malformedFrom)
	case action.MalformedReject:
		return immediate{ml.refuseFrom()}
	}
	return immediate{ml.invalid("signing.malformed_from", f.Malformed)}
}

// unmatched is for mail of ours that no rule signs.
func (f *Filter) unmatched(ml mail) milter.Judge {
	switch f.Unmatched {
	case action.UnmatchedAccept:
		return ml.unsigned(noRule)
	case action.UnmatchedJudge:
		if f.Verifier == nil {
			return ml.unsigned(noRule)
		}
		return f.judge(ml)
	}
	return immediate{ml.invalid("ours.unmatched", f.Unmatched)}
}

// judge is for mail of strangers and of relays. Where nothing judges, a mailing list's host signs
// all the same.
func (f *Filter) judge(ml mail) milter.Judge {
	rules, q := f.resigning(ml)
	switch {
	case f.Verifier != nil:
		run := f.Verifier.Begin(ml.Envelope, ml.Header, ml.from, ml.Role == action.RoleRelay)
		return &inbound{mail: ml, run: run, resign: rules, query: q}
	case len(rules) > 0:
		return &outbound{mail: ml, rules: rules, query: q}
	}
	return immediate{ml.pass()}
}

// resigning returns the rules, if any, that sign mail which is not ours.
func (f *Filter) resigning(ml mail) (sign.Match, sign.Query) {
	isMalformed := ml.doubt != "" && f.Malformed != action.MalformedSign
	if f.Signer == nil || ml.authorErr != nil || isMalformed || f.isUnsigned(ml.Envelope) {
		return nil, sign.Query{}
	}
	q := ml.query()
	return f.Signer.Match(q).Resigning(), q
}

// isUnsigned reports whether mail with this envelope is not signed because of a recipient.
func (f *Filter) isUnsigned(env *message.Envelope) bool {
	return slices.ContainsFunc(env.Recipients, f.UnsignedRecipients.MatchPath)
}

// The reasons for which mail of ours goes unsigned because of its From fields.
const (
	manyAuthors   = "several authors"
	malformedFrom = "malformed from"
	noAuthor      = "no author"
)

func authorReason(err error) string {
	if errors.Is(err, message.ErrManyAuthors) {
		return manyAuthors
	}
	return noAuthor
}

// Clean implements milter.Cleaner.
func (f *Filter) Clean(m milter.Mail) []int { return f.Own.Forged(m) }

// count has the counters count, if there are any.
func (f *Filter) count(do func(Counters)) {
	if f.Counters != nil {
		do(f.Counters)
	}
}
