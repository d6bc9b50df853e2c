// Package inspect checks a domain's DNS records for visitors of the pages. Its answers are those of
// "mailseal domain" and "mailseal propose", within limits, since a user who may sign in chooses the
// names that are looked up.
package inspect

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/web"
)

// Bounds of a check, and of all.
const (
	longestCheck = 20 * time.Second // then what is not answered is reported as that
	maxQuestions = 400              // to the DNS, of a check with its proposals
	maxAtOnce    = 2                // checks; others wait
	// selectors, addresses, includes and the like of one question, each
	maxTerms = 30
	keptFor  = 30 * time.Second // an answer, for the tables of the page and the forms below it
	maxKept  = 50               // answers; then all are dropped
)

// Inspector asks the DNS. It implements web.Checker.
type Inspector struct {
	// without a cache, so that a record that was just published is seen
	Resolver dns.Resolver
	Trusted  bool                // its word on DNSSEC is believed
	Keys     map[string][]string // selectors that the configuration signs with, by domain
	Now      func() time.Time

	questions int // to the DNS, of a check; 0: maxQuestions

	once   sync.Once
	places chan struct{}
	mu     sync.Mutex
	rates  rates
	kept   map[string]*look  // by what was asked
	asking map[string]string // accounts of which a check is running, and of which domain
}

var _ web.Checker = (*Inspector)(nil)

// look is a check of a domain with the answers that it got, which proposals are made of, too.
type look struct {
	at       time.Time
	took     time.Duration
	resolver *bounded
	result   domains.Result
}

// Check implements web.Checker.
func (p *Inspector) Check(ctx context.Context, by string, q web.Question) (*web.Checked, error) {
	name, err := domain.Parse(strings.TrimSuffix(q.Domain, "."))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", web.ErrRefused, err)
	}
	for _, list := range [][]string{q.Selectors, q.SPF.Networks, q.SPF.Includes, q.SPF.Without} {
		if len(list) > maxTerms {
			return nil, fmt.Errorf("%w: more than %d selectors, addresses or "+
				"terms", web.ErrRefused, maxTerms)
		}
	}
	q.Domain = name.String()
	q.Addresses = q.Addresses[:min(len(q.Addresses), maxTerms)]
	q.Selectors = p.selectors(q)
	if err := p.begin(by, q.Domain); err != nil {
		return nil, err
	}
	defer p.end(by)
	p.once.Do(func() { p.places = make(chan struct{}, maxAtOnce) })
	ctx, cancel := context.WithTimeout(ctx, longestCheck)
	defer cancel()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w at this moment; try again in a minute", web.ErrBusy)
	}
	l, err := p.look(ctx, by, name, q)
	if err != nil {
		return nil, err
	}
	out := shown(l)
	out.NewSPF = proposeSPF(ctx, l.resolver, q)
	out.NewDMARC = proposeDMARC(ctx, l.resolver, q)
	out.Queries = l.resolver.count()
	return out, nil
}

// begin notes that a check of an account is running. An account has one at a time: it must not take
// all places.
func (p *Inspector) begin(by, domain string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if running, has := p.asking[by]; has {
		return fmt.Errorf("%w at once: your check of %s is still running; wait for its answer, "+
			"%d seconds at "+
			"most, and send this one again", web.ErrBusy, running, int(longestCheck.Seconds()))
	}
	if p.asking == nil {
		p.asking = map[string]string{}
	}
	p.asking[by] = domain
	return nil
}

func (p *Inspector) end(by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asking, by)
}

// selectors are those that were asked for, and those that the configuration signs with.
func (p *Inspector) selectors(q web.Question) []string {
	out := slices.Clone(q.Selectors)
	for _, s := range p.Keys[q.Domain] {
		if len(out) < maxTerms && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// look checks a domain, or returns what was found less than keptFor ago.
func (p *Inspector) look(ctx context.Context, by string, name domain.Name, q web.Question) (*look,
	error) {
	key := fmt.Sprint(q.Domain, q.Selectors, q.Addresses)
	now := p.Now()
	p.mu.Lock()
	l, has := p.kept[key]
	if has && now.Sub(l.at) < keptFor {
		p.mu.Unlock()
		return l, nil
	}
	err := p.rates.take(by, now)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	l = &look{
		at: now,
		resolver: &bounded{
			next: dns.NewCache(p.Resolver, dns.CacheOptions{}),
			left: cmp.Or(p.questions, maxQuestions),
		},
	}
	l.result = domains.Check(ctx, name, domains.Options{
		Resolver: l.resolver, Selectors: q.Selectors, Addresses: q.Addresses, Trusted: p.Trusted,
		Random: "x" + strings.ToLower(rand.Text()[:15]),
	})
	l.took = p.Now().Sub(now)
	if errors.Is(ctx.Err(), context.Canceled) {
		return l, nil // the visitor has left, and it is not an answer for others
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil || len(p.kept) >= maxKept {
		p.kept = map[string]*look{}
	}
	p.kept[key] = l
	return l, nil
}

// errEnough answers a question beyond maxQuestions.
var errEnough = errors.New(
	"not queried: a check on the page makes 400 DNS queries at most; \"mailseal domain\" has no such limit",
)

// bounded answers a number of questions.
type bounded struct {
	next dns.Resolver
	mu   sync.Mutex
	left int
	used int
}

// Lookup implements dns.Resolver.
func (b *bounded) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	b.mu.Lock()
	enough := b.left <= 0
	if !enough {
		b.left--
		b.used++
	}
	b.mu.Unlock()
	if enough {
		return dns.Answer{}, errEnough
	}
	return b.next.Lookup(ctx, name, t)
}

func (b *bounded) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// shown is a result as the page takes it.
func shown(l *look) *web.Checked {
	r := l.result
	out := &web.Checked{Domain: r.Domain.String(), At: l.at, Took: l.took, Policy: r.Policy}
	for _, f := range r.Findings {
		x := web.Found{
			Code:     string(f.Code),
			Severity: string(f.Severity),
			Name:     f.Setting,
			Text:     f.Text,
			Why:      f.Why,
			Seen:     f.Seen,
			Start:    f.Start,
			End:      f.End,
		}
		for _, p := range f.Publish {
			x.Publish = append(x.Publish, published(p))
		}
		out.Findings = append(out.Findings, x)
	}
	if v := r.SPF; v != nil && v.Root != nil {
		out.HasSPF, out.SPF, out.Lookups, out.Voids = true, strings.TrimSpace(v.Words()), v.Lookups,
			v.Voids
	}
	out.Terms = domains.SPFTerms(r.Records, out.Domain)
	return out
}

func published(p publish.Record) web.Publish {
	return web.Publish{
		Name:    p.Name,
		Kind:    p.Kind(),
		Zone:    p.Zone(),
		Value:   p.Text,
		Strings: p.Quoted(),
		Who:     p.Who,
	}
}

func proposeSPF(ctx context.Context, r dns.Resolver, q web.Question) web.Proposal {
	wishes := domains.SPFWishes{Resolver: r, Includes: q.SPF.Includes, Without: q.SPF.Without,
		All: q.SPF.All}
	for _, text := range q.SPF.Networks {
		n, err := network(text)
		if err != nil {
			return web.Proposal{Problem: err.Error()}
		}
		wishes.Addresses = append(wishes.Addresses, n)
	}
	return proposal(domains.ProposeSPF(ctx, q.Domain, wishes))
}

func proposeDMARC(ctx context.Context, r dns.Resolver, q web.Question) web.Proposal {
	return proposal(domains.ProposeDMARC(ctx, q.Domain, domains.DMARCWishes{
		Resolver: r, Silent: q.DMARC.Silent, People: q.DMARC.People, Reports: q.DMARC.Reports,
		Policy: q.DMARC.Policy, Testing: q.DMARC.Testing,
	}))
}

func proposal(made publish.Proposal, err error) web.Proposal {
	out := web.Proposal{}
	// The page has fields for these flags.
	words := strings.NewReplacer(" with --reports", "", " (--all=-all)", "", " (--address)", "",
		" (--include)", "",
		domains.SilentCommand(made.Domain), "set above that it sends no mail")
	for _, n := range made.Notes {
		out.Notes = append(out.Notes, words.Replace(n))
	}
	if err != nil {
		out.Problem = words.Replace(err.Error())
		return out
	}
	for _, r := range made.Records {
		out.Records = append(out.Records, published(r))
	}
	return out
}

// network reads an address, or a network such as 192.0.2.0/24.
func network(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf(
			"%q is neither an IP address nor a network, such as 192.0.2.0/24",
			text,
		)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}
