package inspect

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/store"
	"mailseal/milter/spf"
)

// Sender is an address that sent as a domain, by the reports.
type Sender struct {
	Address  netip.Addr
	Envelope bool // with an envelope of the very domain: only then does its SPF record matter
	Messages int64
}

// Bounds of a look at a domain of ours.
const (
	maxOwnQuestions = 400 // to the DNS
	// addresses that are compared with the SPF record, those with most messages
	maxSenders  = 200
	maxOwnTerms = 50 // of the record
)

// Look asks the DNS for the SPF record and the named keys of a domain, and holds the record against
// the senders. The second result are the records of the keys. It is an error if the DNS does not
// answer: nothing is known then.
func Look(
	ctx context.Context, r dns.Resolver, name domain.Name, senders []Sender, own []netip.Prefix,
	keys []store.OwnSelector,
) (*store.OwnState, []store.DNSRecord, error) {
	r = dns.NewCache(&bounded{next: r, left: maxOwnQuestions}, dns.CacheOptions{})
	out := &store.OwnState{}
	var records []store.DNSRecord
	texts := func(at string) ([]string, error) {
		a, err := r.Lookup(ctx, at, dns.TXT)
		if err != nil {
			return nil, fmt.Errorf("%s TXT: %w", at, err)
		}
		return a.Texts, nil
	}
	published, err := texts(name.String())
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(published, spf.IsRecord); i >= 0 {
		out.SPF = published[i]
	}
	for _, k := range keys {
		key, err := texts(k.Name)
		if err != nil {
			return nil, nil, err
		}
		k.Missing = len(key) == 0
		out.Selected = append(out.Selected, k)
		records = append(records, store.DNSRecord{Name: k.Name, Kind: "TXT", Values: key})
	}
	if out.SPF == "" {
		return out, records, nil
	}
	s := sifter{resolver: r, name: name, text: out.SPF, own: own}
	out.All, out.Terms, err = s.terms(ctx, senders)
	out.Detail.Senders = s.senders
	return out, records, err
}

// sifter finds out what each term of an SPF record is good for.
type sifter struct {
	resolver dns.Resolver
	name     domain.Name
	text     string
	own      []netip.Prefix
	senders  []store.OwnSender // what the record says of each
}

// says keeps what the record says of an address, once.
func (s *sifter) says(ip netip.Addr, got spf.Result) {
	if slices.ContainsFunc(s.senders, func(x store.OwnSender) bool { return x.Address == ip }) {
		return
	}
	s.senders = append(s.senders, store.OwnSender{Address: ip, SPF: string(got.Value),
		Term: got.Mechanism})
}

// terms evaluates the record for each sender as receivers do, and again without the term that let
// it in. Only the daemon's own evaluator judges.
func (s *sifter) terms(ctx context.Context, senders []Sender) (all string, out []store.OwnTerm,
	err error) {
	words := strings.Fields(s.text)[1:]
	index := map[string]int{}
	for _, w := range words[:min(len(words), maxOwnTerms)] {
		low := strings.ToLower(w)
		switch {
		case strings.HasSuffix(low, "all") && len(low) <= 4:
			all = "+all"
			if len(low) == 4 {
				all = low
			}
		case strings.Contains(low, "="): // redirect and exp are no terms that can go
		default:
			index[w] = len(out)
			out = append(out, store.OwnTerm{Text: w, OwnHost: s.isOwn(w)})
		}
	}
	foreign := make([]bool, len(out))
	slices.SortFunc(senders, func(a,
		b Sender) int {
		return int(max(min(b.Messages-a.Messages, 1), -1))
	})
	for _, sender := range senders[:min(len(senders), maxSenders)] {
		got := s.check(ctx, s.text, sender.Address)
		s.says(sender.Address, got)
		if got.Value == spf.Temperror {
			return all, nil, fmt.Errorf("SPF of %s for %s: %s", s.name, sender.Address, got.Reason)
		}
		i, has := index[got.Mechanism]
		if got.Value != spf.Pass || !has {
			continue
		}
		if !sender.Envelope {
			foreign[i] = true
			continue
		}
		out[i].Messages += sender.Messages
		if s.check(ctx, s.without(out[i].Text), sender.Address).Value != spf.Pass &&
			!slices.Contains(out[i].Alone, sender.Address) {
			out[i].Alone = append(out[i].Alone, sender.Address)
		}
	}
	for i := range out {
		out[i].Foreign = foreign[i] && out[i].Messages == 0 && !out[i].OwnHost
		if !out[i].OwnHost {
			out[i].OwnHost = s.matchesOwn(ctx, out[i].Text)
		}
	}
	return all, out, nil
}

// isOwn reports whether a term may match what reports do not show: macros, or a network of this
// host.
func (s *sifter) isOwn(term string) bool {
	low := strings.ToLower(strings.TrimLeft(term, "+?~-"))
	if strings.Contains(low, "%") || strings.HasPrefix(low, "exists:") ||
		strings.HasPrefix(low, "ptr") {
		return true
	}
	for _, mechanism := range []string{"ip4:", "ip6:"} {
		text, ok := strings.CutPrefix(low, mechanism)
		if !ok {
			continue
		}
		n, err := network(text)
		return err != nil || slices.ContainsFunc(s.own, n.Overlaps)
	}
	return false
}

// matchesOwn reports whether a term alone lets an address of this host in.
func (s *sifter) matchesOwn(ctx context.Context, term string) bool {
	record := "v=spf1 " + term + " -all"
	return slices.ContainsFunc(s.own, func(p netip.Prefix) bool {
		return !p.Addr().IsLoopback() && !p.Addr().IsPrivate() &&
			s.check(ctx, record, p.Addr()).Value == spf.Pass
	})
}

func (s *sifter) without(term string) string {
	words := strings.Fields(s.text)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == term }), " ")
}

func (s *sifter) check(ctx context.Context, text string, ip netip.Addr) spf.Result {
	r := dns.Pretend{Resolver: s.resolver, Name: s.name.String(), Text: text}
	return (&spf.Checker{Resolver: r}).Check(ctx,
		spf.Identity{IP: ip, MailFrom: "postmaster@" + s.name.String()})
}
