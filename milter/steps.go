package milter

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"

	"mailseal/milter/authres"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// Steps is the daemon's Filter: what is done with a message in each role.
type Steps struct {
	ID  string // the authserv-id that our fields carry
	Own Own    // the fields that only we may write

	Signer   *sign.Signer     // nil: nothing is signed
	Verifier *verify.Verifier // nil: nothing is judged
	Policy   *policy.Rules
	Sealer   *sign.Sealer // nil: nothing is sealed

	JudgeUnmatched     bool             // mail of ours that no rule signs is treated as theirs
	ExemptAuthors      message.Patterns // author domains whose mail is left alone
	UnsignedRecipients message.Patterns // mail to any of them is not signed
	Senders            Senders
	SelfCheck          SelfCheck
	AuthResult         bool // auth= on mail of authenticated users
	ReceivedSPF        bool

	Counters Counters // nil: nobody counts
}

// SelfCheck says how many signatures a second implementation looks at before the mail goes out.
type SelfCheck struct {
	Share    float64 // of the messages, 0 … 1
	Tempfail bool    // a message of which the second opinion is bad is deferred
}

// selfCheckSize is the largest body that is kept for a self-check.
const selfCheckSize = 256 << 10

// Counters is told what a Steps does. Its methods are called concurrently.
type Counters interface {
	Signed(s sign.Signature)
	Unsigned(reason string) // mail of ours that left without a signature
	KeyFailed(key string, err error)
	Found(method, value string)
	SelfChecked(sign.Verdict)
}

// Begin implements Filter.
func (s *Steps) Begin(_ context.Context, m Mail) Judge {
	author, err := m.Header.Author()
	base := common{s: s, mail: m, author: author, authorErr: err, forged: s.Own.Forged(m.Header, m.Role, m.Why)}
	if s.ExemptAuthors.MatchDomain(author.Domain) {
		return verdict{base.leave("exempt author")}
	}
	if m.Role != Ours {
		return s.judge(base)
	}
	return s.ours(base)
}

// ours is for mail of our users and hosts: signed, not judged.
func (s *Steps) ours(c common) Judge {
	if reason, ok := s.Senders.Allow(c.mail.Envelope, c.author); !ok {
		return verdict{s.Senders.outcome(c, reason)}
	}
	switch {
	case s.Signer == nil:
		return verdict{c.pass()}
	case s.toUnsigned(c.mail.Envelope):
		return c.unsigned("unsigned recipient")
	case c.authorErr != nil:
		return c.unsigned(authorReason(c.authorErr))
	}
	q := query(c)
	rules := s.Signer.Match(q)
	if len(rules) > 0 {
		return &outbound{common: c, rules: rules, query: q, check: s.SelfCheck.Share > 0 && rand.Float64() < s.SelfCheck.Share}
	}
	if s.JudgeUnmatched && s.Verifier != nil {
		return s.judge(c)
	}
	return c.unsigned("no rule")
}

// judge is for mail of strangers and of relays. Where nothing judges, a mailing list's host signs all the same.
func (s *Steps) judge(c common) Judge {
	rules, q := s.resigning(c)
	switch {
	case s.Verifier != nil:
		return &inbound{common: c, run: s.Verifier.Begin(c.mail.Envelope, c.mail.Header, c.mail.Role == Relay), resign: rules, query: q}
	case len(rules) > 0:
		return &outbound{common: c, rules: rules, query: q}
	}
	return verdict{c.pass()}
}

// resigning returns the rules that sign mail which is not ours, none when there is none.
func (s *Steps) resigning(c common) (sign.Match, sign.Query) {
	if s.Signer == nil || c.authorErr != nil || s.toUnsigned(c.mail.Envelope) {
		return nil, sign.Query{}
	}
	q := query(c)
	return s.Signer.Match(q).Resigning(), q
}

func (s *Steps) toUnsigned(env *message.Envelope) bool {
	return slices.ContainsFunc(env.Recipients, s.UnsignedRecipients.MatchPath)
}

func query(c common) sign.Query {
	env := c.mail.Envelope
	return sign.Query{Author: c.author, Login: env.AuthUser, Client: env.Client, DaemonName: env.DaemonName, Recipients: env.Recipients}
}

func authorReason(err error) string {
	if errors.Is(err, message.ErrManyAuthors) {
		return "many authors"
	}
	return "no author"
}

// common is what every Judge of Steps knows.
type common struct {
	s         *Steps
	mail      Mail
	author    message.Address
	authorErr error
	forged    []int
}

// pass lets the message go on, without the fields that only we may have written.
func (c common) pass() Outcome {
	return Outcome{Action: Accept, Author: string(c.author.Domain), Edits: message.Edits{Remove: c.forged}}
}

// leave lets the message go on as it is.
func (c common) leave(why string) Outcome {
	return Outcome{Action: Accept, Author: string(c.author.Domain), Details: []slog.Attr{slog.String("left_alone", why)}}
}

// unsigned lets a message of ours go on without a signature, and says so.
func (c common) unsigned(reason string) Judge {
	c.s.count(func(n Counters) { n.Unsigned(reason) })
	out := c.pass()
	out.Edits.Insert = c.authResult()
	out.Details = append(out.Details, slog.String("unsigned", reason))
	if c.authorErr != nil {
		out.Details = append(out.Details, slog.String("why", c.authorErr.Error()))
	}
	return verdict{out}
}

// authResult is the Authentication-Results field for mail of a user who logged in, if it is asked for.
func (c common) authResult() []message.Field {
	env := c.mail.Envelope
	if !c.s.AuthResult || env.AuthUser == "" {
		return nil
	}
	r := authres.Result{Method: "auth", Value: "pass", Comment: env.AuthType}
	r.Properties = []authres.Property{{Type: "smtp", Name: "auth", Value: env.AuthUser}}
	return authres.Field{ID: c.s.ID, Results: []authres.Result{r}}.Fields()
}

func (s *Steps) count(tell func(Counters)) {
	if s.Counters != nil {
		tell(s.Counters)
	}
}

// verdict is a Judge that has made up its mind at the end of the header.
type verdict struct{ outcome Outcome }

// Wants implements Judge.
func (v verdict) Wants() Wants { return Wants{} }

// Decide implements Judge.
func (v verdict) Decide(context.Context, *message.Message, []byte) Outcome { return v.outcome }
