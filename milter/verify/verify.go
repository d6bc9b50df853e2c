// Package verify judges a message: it runs the methods in parallel, evaluates DMARC from their
// results, and writes the Authentication-Results field. It makes no decisions.
package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/spf"
)

// Verifier judges messages. A method whose pointer is nil is not run, and the methods' own Resolver
// is not used: every message gets some that count its lookups. It is safe for concurrent use.
type Verifier struct {
	Resolver dns.Resolver
	// of one message for SPF, ARC and iprev together; 0 for DefaultMaxLookups
	MaxLookups int
	Deadline   time.Duration // for judging one message; 0 for DefaultDeadline
	IPRev      bool
	SPF        *spf.Checker
	// SPF is asked since DMARC needs it: nothing else learns of its result, and HELO is not checked
	OnlyDMARC bool
	HELO      bool // SPF checks HELO beside MAIL FROM (RFC 7208 section 2.3)
	DKIM      *dkim.Verifier
	ARC       *arc.Validator
	DMARC     *dmarc.Checker
	// judge DMARC by DKIM alone if there is no client: a pass is valid whatever the result of
	// SPF
	ByDKIM bool
	// told of a panic in a method, whose result is then a temperror
	Bug func(method string, err error)
}

// What a message may cost at most. 20 s stays below the 30 s that Postfix gives a milter for one
// command, and lets a slow SPF record come to its end (RFC 7208 section 4.6.4). 200 lookups are
// more than any honest message needs: 125 that the worst legal SPF record asks for, and the keys of
// an ARC chain. DKIM is bounded by MaxSignatures alone: if others could use up its lookups, the
// forged signature would come to a temperror, and DMARC with it.
const (
	DefaultDeadline   = 20 * time.Second
	DefaultMaxLookups = 200
	// dmarcLookups are DMARC's own: a sender that exhausts the other lookup
	// budgets must not hide its own DMARC record. 36 serve the authors, of which honest mail has
	// one; the others serve a few signatures below them.
	dmarcLookups = 60
	// heloLookups are those of SPF for HELO, which must not use up what MAIL FROM needs: the name
	// is the client's to choose. A host's own record has a term or two.
	heloLookups = 40
)

// Run is the judging of one message between the end of its header and the end of its body.
type Run struct {
	v        *Verifier
	env      *message.Envelope
	relay    bool
	resolver *dns.Budget // of iprev, SPF and ARC
	budgets  []*dns.Budget
	header   message.Header
	from     message.From
	author   message.Address // the zero Address with an err
	err      error           // why there is not one author
	dkim     *dkim.Verification
	arc      *arc.Validation
	mu       sync.Mutex       // of budgets
	policy   *dmarc.Discovery // nil: there is nothing to weigh
}

// Begin evaluates everything that depends on the header alone; from is what its From fields show.
// The client that passes on a relay's mail is not the sender's own host, so SPF, iprev and DMARC
// are left out.
func (v *Verifier) Begin(env *message.Envelope, h message.Header, from message.From,
	relay bool) *Run {
	most := v.MaxLookups
	if most == 0 {
		most = DefaultMaxLookups
	}
	r := &Run{v: v, env: env, relay: relay, header: h}
	r.resolver = r.budget(most)
	r.from = from
	r.author, r.err = r.from.Author()
	effort, evidence := v.effort(), dns.NewLimit(dkim.KeysAtOnce)
	if v.DKIM != nil {
		method := *v.DKIM
		method.Resolver, method.Effort = evidence.Of(r.budget(math.MaxInt32)), effort
		r.dkim = method.Select(h, r.nearest())
	}
	if v.ARC != nil {
		method := *v.ARC
		method.Resolver, method.Effort = evidence.Of(r.resolver), effort
		r.arc = method.Select(h)
	}
	return r
}

// effort is what the signatures of one message may cost.
func (v *Verifier) effort() *dkim.Effort {
	var without []dkim.Phase
	if v.DKIM == nil {
		without = append(without, dkim.AlignedSignatures, dkim.OtherSignatures)
	}
	if v.ARC == nil {
		without = append(without, dkim.NewestSet, dkim.OlderSets)
	}
	return dkim.NewEffort(without...)
}

// budget returns a resolver for a method of this message.
func (r *Run) budget(most int) *dns.Budget {
	b := dns.WithBudget(r.v.Resolver, most)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.budgets = append(r.budgets, b)
	return b
}

// isShort reports whether anything was not looked up because of a shortage of this host.
func (r *Run) isShort() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.budgets, (*dns.Budget).WasShort)
}

// asker is on whose behalf names are looked up: the client's network, or the message alone where
// the client has it from another host.
func (r *Run) asker() dns.Asker {
	if r.relay {
		return dns.Asker{Message: r}
	}
	return dns.Asker{Network: dns.NetworkOf(r.env.Client)}
}

// BodyHashes returns the digests of the body that the methods need.
func (r *Run) BodyHashes() []message.BodyHash {
	var out []message.BodyHash
	if r.dkim != nil {
		out = append(out, r.dkim.BodyHashes()...)
	}
	if r.arc != nil {
		out = append(out, r.arc.BodyHashes()...)
	}
	return out
}

// Results runs the methods on the message, whose body is complete, in at most the Deadline. A
// method that panics finds a temperror: the author of a message must not decide whether the daemon
// lives.
func (r *Run) Results(ctx context.Context, m *message.Message) *Results {
	deadline := r.v.Deadline
	if deadline == 0 {
		deadline = DefaultDeadline
	}
	out := &Results{From: r.from, Author: r.author.Domain, AuthorErr: r.err, Client: r.env.Client}
	ctx = dns.ForAsker(ctx, r.asker())
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	// A fifth of the time is kept for DMARC: an SPF record that never answers must not use all of
	// it up.
	first, cancelFirst := context.WithTimeout(ctx, deadline-deadline/5)
	defer cancelFirst()
	runAll(r.methods(), func(method method, beforeWait func()) {
		limit := first
		if method.late {
			limit = ctx
		}
		r.run(dns.BeforeWait(limit, beforeWait), method, m, out)
	})
	if r.policy != nil {
		r.run(ctx, method{name: "dmarc", run: r.weighDMARC, broken: brokenDMARC, class: dns.DMARC},
			m, out)
	}
	out.Short = r.isShort()
	return out
}

// discoverDMARC finds the policies of the authors, beside the methods that will be weighed against
// it.
func (r *Run) discoverDMARC(ctx context.Context, _ *message.Message, _ *Results) {
	method := *r.v.DMARC
	method.Resolver = r.budget(dmarcLookups)
	r.policy = method.Discover(ctx, r.authors())
}

func (r *Run) weighDMARC(ctx context.Context, _ *message.Message, out *Results) {
	d := r.policy.Weigh(ctx, out.identifiers())
	if r.from.TooMany {
		d.Reason = r.err.Error()
	}
	out.DMARC = &d
}

// method is one way to judge: run fills in its part of the results, broken does so when run
// panicked.
type method struct {
	name   string
	run    func(context.Context, *message.Message, *Results)
	broken func(*Results)
	late   bool // it may take the whole Deadline
	apart  bool // it waits for the others, and so needs a separate goroutine
	class  dns.Class
}

// methods lists those that run for this message. DKIM, which takes longest, is the last.
func (r *Run) methods() []method {
	all := r.clientMethods()
	if r.arc != nil {
		// What may be spent on a chain depends on DKIM (dkim.Effort).
		hasChain := len(r.arc.BodyHashes()) > 0
		all = append(all, method{name: "arc", run: r.runARC, broken: brokenARC, apart: hasChain})
	}
	if r.dkim != nil {
		all = append(all, method{name: "dkim", run: r.runDKIM, broken: brokenDKIM})
	}
	return all
}

// clientMethods lists those that judge the client, and DMARC's search for policies.
func (r *Run) clientMethods() (all []method) {
	if r.relay || !r.env.Client.IsValid() {
		if r.v.ByDKIM && r.v.DMARC != nil {
			all = append(all, r.dmarcMethod())
		}
		return all
	}
	if r.v.IPRev {
		all = append(all, method{name: "iprev", run: r.runIPRev, broken: brokenIPRev})
	}
	if r.v.SPF != nil {
		all = append(all, method{name: "spf", run: r.runSPF, broken: r.brokenSPF, class: dns.SPF})
	}
	if r.asksHELO() {
		all = append(all, method{name: "helo", run: r.runHELO, broken: brokenHELO, class: dns.SPF})
	}
	// Without a client SPF is not asked, and half of DMARC's evidence is missing.
	if r.v.DMARC != nil {
		all = append(all, r.dmarcMethod())
	}
	return all
}

// dmarcMethod finds the policies.
func (r *Run) dmarcMethod() method {
	return method{name: "dmarc", run: r.discoverDMARC, broken: brokenDMARC, late: true,
		class: dns.DMARC}
}

func (r *Run) run(ctx context.Context, how method, m *message.Message, out *Results) {
	defer func() {
		if p := recover(); p != nil {
			how.broken(out)
			if r.v.Bug != nil {
				r.v.Bug(how.name, fmt.Errorf("verify: panic in %s: %v", how.name, p))
			}
		}
	}()
	how.run(dns.InClass(ctx, how.class), m, out)
}

// nearest returns the domain whose signatures are looked at first when there are too many.
func (r *Run) nearest() domain.Name {
	if len(r.from.Shown) == 0 {
		return ""
	}
	return r.from.Shown[len(r.from.Shown)-1].Domain
}

// authors are the author domains for DMARC, none where From shows so many that not all are known.
func (r *Run) authors() []dmarc.Author {
	if r.from.TooMany {
		return nil
	}
	var out []dmarc.Author
	for _, s := range r.from.Shown {
		out = append(out, dmarc.Author{Domain: s.Domain, Aside: s.Aside, Route: s.Route})
	}
	return out
}
