package verify

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/iprev"
	"mailseal/milter/message"
	"mailseal/milter/spf"
)

// Results are what the methods found of one message. A method that was not run is nil; a message without signatures
// has an empty DKIM, not a nil one.
type Results struct {
	Client    netip.Addr
	Author    domain.Name // "" with an AuthorErr
	AuthorErr error       // message.ErrNoAuthor or message.ErrManyAuthors, with its reason
	IPRev     *iprev.Result
	SPF       *spf.Result // of MAIL FROM; of HELO for the null sender
	DKIM      []dkim.Result
	ARC       *arc.Result
	DMARC     *dmarc.Result
}

// NoAuthor tells whether From names no author that can be relied on.
func (r *Results) NoAuthor() bool { return errors.Is(r.AuthorErr, message.ErrNoAuthor) }

// ManyAuthors tells whether From names authors in several domains, or stands there several times.
func (r *Results) ManyAuthors() bool { return errors.Is(r.AuthorErr, message.ErrManyAuthors) }

// byMerit orders the values of DKIM results by how near they are to a pass.
var byMerit = []dkim.Value{dkim.Pass, dkim.TempError, dkim.Policy, dkim.Fail, dkim.PermError}

// BestDKIM is the best that any signature of the message came to, "none" when it has no signature.
func (r *Results) BestDKIM() string {
	for _, v := range byMerit {
		for _, s := range r.DKIM {
			if s.Value == v {
				return string(v)
			}
		}
	}
	return "none"
}

// NewestSealer is the domain that sealed a chain that passes last, "" when there is none.
func (r *Results) NewestSealer() domain.Name {
	if r.ARC == nil || r.ARC.Value != arc.Pass || len(r.ARC.Sets) == 0 {
		return ""
	}
	return r.ARC.Sets[len(r.ARC.Sets)-1].Sealer
}

// Finding is one method's result in a word.
type Finding struct{ Method, Value string }

// Found lists the results in the order in which they are written.
func (r *Results) Found() []Finding {
	var out []Finding
	for _, f := range r.list("") {
		out = append(out, Finding{f.Method, f.Value})
	}
	return out
}

// String is the results in a line for a log: "dkim=pass/example.com spf=pass dmarc=pass".
func (r *Results) String() string {
	var words []string
	for _, f := range r.list("") {
		word := f.Method + "=" + f.Value
		for _, p := range f.Properties {
			if p.Type == "header" && p.Name == "d" {
				word += "/" + p.Value
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (r *Run) runDKIM(ctx context.Context, m *message.Message, out *Results) {
	if out.DKIM = r.dkim.Run(ctx, m); out.DKIM == nil {
		out.DKIM = []dkim.Result{}
	}
}

func (r *Run) runARC(ctx context.Context, m *message.Message, out *Results) {
	a := r.arc.Run(ctx, m)
	out.ARC = &a
}

func (r *Run) runIPRev(ctx context.Context, _ *message.Message, out *Results) {
	p := iprev.Check(ctx, r.resolver, r.env.Client)
	out.IPRev = &p
}

func (r *Run) runSPF(ctx context.Context, _ *message.Message, out *Results) {
	method := *r.v.SPF
	method.Resolver = r.resolver
	s := method.Check(ctx, spf.Identity{IP: r.env.Client, Helo: r.env.Helo, MailFrom: r.env.Sender})
	out.SPF = &s
}

// The results of a method that panicked.
func brokenDKIM(out *Results) {
	out.DKIM = []dkim.Result{{Value: dkim.TempError, Reason: broken}}
}
func brokenARC(out *Results)   { out.ARC = &arc.Result{Value: arc.Fail, Reason: broken} }
func brokenIPRev(out *Results) { out.IPRev = &iprev.Result{Value: iprev.Temperror, Reason: broken} }
func brokenSPF(out *Results)   { out.SPF = &spf.Result{Value: spf.Temperror, Reason: broken} }
func brokenDMARC(out *Results) { out.DMARC = &dmarc.Result{Value: dmarc.Temperror, Reason: broken} }

const broken = "internal error"
