package dkim

import (
	"context"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Verifier judges the signatures of messages. Its zero values mean the defaults; only Resolver has none. It is safe
// for concurrent use.
type Verifier struct {
	Resolver           dns.Resolver
	Now                func() time.Time // default time.Now
	MaxSignatures      int              // how many signatures of a message are tried; default 10
	AcceptUnsignedBody bool             // pass a signature whose l= leaves octets of the body unsigned; default policy
	ClockSkew          time.Duration    // how far t= may lie ahead and x= behind; default 300 s, negative for none
	MinRSABits         int              // default and least 1024 (RFC 8301 section 3.2)
}

// Verification is the judging of one message's signatures between the end of its header and the end of its body.
type Verification struct{}

// Select reads the signature fields of h and chooses those that will be tried: when there are more than MaxSignatures,
// those of author's domain, its parents and its children come first. author may be "".
func (v *Verifier) Select(h message.Header, author domain.Name) *Verification { return &Verification{} }

// Run judges the chosen signatures of m, whose body is complete, and returns one Result a signature in the order of the
// header. It looks keys up in parallel and returns when all is known or ctx ends, which is a temperror.
func (x *Verification) Run(ctx context.Context, m *message.Message) []Result { return nil }
