package verify

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"

	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/iprev"
	"mailseal/milter/message"
	"mailseal/milter/spf"
)

// Results are the results of all methods for one message. A method that was not run is nil;
// a message without signatures has an empty DKIM, not a nil one.
type Results struct {
	Client    netip.Addr
	From      message.From // what readers see; its Doubt is a note beside any result
	Author    domain.Name  // "" with an AuthorErr
	AuthorErr error        // message.ErrNoAuthor or message.ErrManyAuthors, with its reason
	IPRev     *iprev.Result
	SPF       *spf.Result // of MAIL FROM; of HELO for the null sender
	// SPF of HELO; nil when the name is not a domain, or depends on more than the name. DMARC knows
	// nothing of it
	HELO  *spf.Result
	DKIM  []dkim.Result
	ARC   *arc.Result
	DMARC *dmarc.Result
	// Short means that this host lacked the resources for all lookups: a missing result implies
	// nothing about the message.
	Short bool

	spfForDMARC *spf.Result      // of MAIL FROM, where it is not to be reported
	listed      []authres.Result // all of the above, once they were asked for
}

// NoAuthor reports whether From shows no author at all.
func (r *Results) NoAuthor() bool { return errors.Is(r.AuthorErr, message.ErrNoAuthor) }

// ManyAuthors reports whether From shows authors in several domains.
func (r *Results) ManyAuthors() bool { return errors.Is(r.AuthorErr, message.ErrManyAuthors) }

// byMerit orders the values of DKIM results by how near they are to a pass.
var byMerit = []dkim.Value{dkim.Pass, dkim.TempError, dkim.Policy, dkim.Fail, dkim.PermError,
	dkim.Neutral}

// BestDKIM is the best result of any signature of the message, "none" if it has no signature.
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

// MailFromSPF is the result of SPF for MAIL FROM, for the null sender that for HELO, whether or not
// it is written into the field; nil where SPF was not asked.
func (r *Results) MailFromSPF() *spf.Result { return cmp.Or(r.SPF, r.spfForDMARC) }

// NewestSealer returns the domain of the newest seal of a chain that passes, or "".
func (r *Results) NewestSealer() domain.Name {
	if r.ARC == nil || r.ARC.Value != arc.Pass || len(r.ARC.Sets) == 0 {
		return ""
	}
	return r.ARC.Sets[len(r.ARC.Sets)-1].Sealer
}

// Finding is one method's result in a word. SPF's result for HELO beside MAIL FROM has a name of
// its own, "helo".
type Finding struct {
	Method, Value string
	Signer        string // of a DKIM signature: its domain
}

// Found lists the results in the order in which they are written.
func (r *Results) Found() []Finding {
	var out []Finding
	for i, f := range r.all() {
		found := Finding{Method: f.Method, Value: f.Value}
		if f.Method == "spf" && i > 0 && out[i-1].Method == "spf" {
			found.Method = "helo"
		}
		for _, p := range f.Properties {
			if p.Type == "header" && p.Name == "d" {
				found.Signer = p.Value
			}
		}
		out = append(out, found)
	}
	return out
}

// String is the results in a line for a log: "dmarc=pass spf=pass dkim=pass/example.com".
func (r *Results) String() string {
	var words []string
	for _, f := range r.Found() {
		word := f.Method + "=" + f.Value
		if f.Signer != "" {
			word += "/" + f.Signer
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
	s := r.checkSPF(ctx, r.resolver, spf.MailFrom)
	r.setSPF(out, &s)
	if r.v.OnlyDMARC {
		return
	}
	if helo, ok := s.OfHelo(); ok && r.v.HELO {
		out.HELO = &helo
	}
}

// PublicSuffixList reports whether organizational domains are taken from the Public Suffix List,
// and not from the DNS.
func (r *Run) PublicSuffixList() bool { return r.v.DMARC != nil && r.v.DMARC.PublicSuffixList }

// setSPF keeps a result of SPF for MAIL FROM where those see it who may.
func (r *Run) setSPF(out *Results, s *spf.Result) {
	if r.v.OnlyDMARC {
		out.spfForDMARC = s
		return
	}
	out.SPF = s
}

// asksHELO reports whether SPF is to be asked for HELO: not where it is a question that MAIL FROM
// asks anyway.
func (r *Run) asksHELO() bool {
	if r.v.SPF == nil || r.v.OnlyDMARC || !r.v.HELO {
		return false
	}
	helo := r.identity(spf.Helo).Domain()
	return helo != "" && helo != r.identity(spf.MailFrom).Domain()
}

func (r *Run) runHELO(ctx context.Context, _ *message.Message, out *Results) {
	s := r.checkSPF(ctx, r.budget(heloLookups), spf.Helo)
	out.HELO = &s
}

func (r *Run) checkSPF(ctx context.Context, resolver dns.Resolver, scope spf.Scope) spf.Result {
	method := *r.v.SPF
	method.Resolver = resolver
	return method.Check(ctx, r.identity(scope))
}

func (r *Run) identity(scope spf.Scope) spf.Identity {
	return spf.Identity{IP: r.env.Client, Helo: r.env.Helo, MailFrom: r.env.Sender, Scope: scope}
}

// The results of a method that panicked.
func brokenDKIM(out *Results) {
	out.DKIM = []dkim.Result{{Value: dkim.TempError, Reason: broken}}
}
func brokenARC(out *Results)   { out.ARC = &arc.Result{Value: arc.Fail, Reason: broken} }
func brokenIPRev(out *Results) { out.IPRev = &iprev.Result{Value: iprev.Temperror, Reason: broken} }

func brokenHELO(out *Results) {
	out.HELO = &spf.Result{Value: spf.Temperror, Scope: spf.Helo, Reason: broken}
}
func brokenDMARC(out *Results) { out.DMARC = &dmarc.Result{Value: dmarc.Temperror, Reason: broken} }

const broken = "internal error"

func (r *Run) brokenSPF(out *Results) {
	r.setSPF(out, &spf.Result{Value: spf.Temperror, Reason: broken})
}
