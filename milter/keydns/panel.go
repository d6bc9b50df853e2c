package keydns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"mailseal/keys"
	"mailseal/milter/dns"
)

// Server is a name server that must show what is published.
type Server struct {
	Name     string
	Resolver dns.Resolver // asks it and no other
}

// Panel asks several name servers the same: records must be at all of them before mail relies on
// them.
type Panel struct {
	Servers  []Server     // none: the authoritative servers of each domain
	Resolver dns.Resolver // the host's, by which these are found

	// Open makes a resolver that asks one server at the addresses given, which are the same
	// server's.
	Open func(addresses []string) (dns.Resolver, error)
}

// maxServers bounds how many authoritative servers are asked; domains have two to thirteen.
const maxServers = 16

// Sighting is what one server shows.
type Sighting struct {
	Server string
	View   View
}

// Look asks every server about a key, side by side. The error wraps dns.ErrFailure, or is the
// context's: no server could be asked.
func (p *Panel) Look(ctx context.Context, want keys.Record, domain string) ([]Sighting, error) {
	servers, err := p.Of(ctx, want.Name)
	if err != nil {
		return nil, err
	}
	out := make([]Sighting, len(servers))
	var wait sync.WaitGroup
	for i, s := range servers {
		wait.Go(func() {
			out[i] = Sighting{s.Name, Inspect(ctx, chaser{s.Resolver, p.Resolver}, want, domain)}
		})
	}
	wait.Wait()
	return out, nil
}

// Sum combines what all servers show. As many servers as silent may fail to answer, if at least one
// answers; their state is then ignored.
func Sum(seen []Sighting, silent int) keys.Sight {
	count := map[State]int{}
	for _, s := range seen {
		count[s.state()]++
	}
	switch n := len(seen) - count[Unreached]; {
	case n == 0 || count[Unreached] > silent:
		return keys.SightUnknown
	case count[Shown] == n:
		return keys.SightKey
	case count[Absent] == n:
		return keys.SightNothing
	case count[Revoked]+count[Absent] == n:
		return keys.SightRevoked
	}
	return keys.SightOther
}

// state is that of the view, as far as all verifiers see it.
func (s Sighting) state() State {
	if s.View.State == Shown && s.View.Harm() {
		return Differs // one of several records, and a verifier may take the other
	}
	return s.View.State
}

// Describe returns what each server shows: "ns1.example.net shows the key; ns2.example.net does not
// answer: i/o timeout". Servers that show the same are listed together.
func Describe(seen []Sighting) string {
	var out []string
	names := map[string][]string{}
	for _, s := range seen {
		text := s.words()
		if names[text] == nil {
			out = append(out, text)
		}
		names[text] = append(names[text], s.Server)
	}
	for i, text := range out {
		out[i] = strings.Join(names[text], " and ") + ": " + text
	}
	return strings.Join(out, "; ")
}

func (s Sighting) words() string {
	switch s.state() {
	case Shown:
		return "the key"
	case Absent:
		return "no record"
	case Revoked:
		return "revoked"
	case Unreached:
		return "no answer" + s.first(NoAnswer)
	}
	return "something else" + s.first("")
}

// first is the text of the first finding that has a cause, or, for "", that harms, without what the
// reader knows.
func (s Sighting) first(c Cause) string {
	for _, f := range s.View.Findings {
		if f.Cause == c || c == "" && f.Harms {
			text := strings.TrimPrefix(f.Text, "could not find out: ")
			text = strings.TrimPrefix(text, dns.ErrFailure.Error()+": ")
			return ", " + strings.TrimPrefix(text, "TXT "+s.View.Name+": ")
		}
	}
	return ""
}

// Named makes a server of a name that was given, at the addresses that the host's resolver
// knows.
func (p *Panel) Named(ctx context.Context, name string) (Server, error) {
	servers, err := p.open(ctx, []string{name})
	if err != nil {
		return Server{}, err
	}
	if lost, ok := servers[0].Resolver.(nowhere); ok {
		return Server{}, lost.err
	}
	return servers[0], nil
}

// Of returns the servers that must show a name: those of the panel, else the authoritative ones of
// its zone.
func (p *Panel) Of(ctx context.Context, name string) ([]Server, error) {
	if len(p.Servers) > 0 {
		return p.Servers, nil
	}
	return p.authorities(ctx, name)
}

// authorities finds the servers of the zone that a name is in, going up from it.
func (p *Panel) authorities(ctx context.Context, name string) ([]Server, error) {
	for zone := name; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		a, err := p.Resolver.Lookup(ctx, zone, dns.NS)
		if err != nil {
			return nil, fmt.Errorf("name servers of %s: %w", zone, err)
		}
		if len(a.Names) > 0 && len(a.Aliases) == 0 {
			return p.open(ctx, a.Names[:min(len(a.Names), maxServers)])
		}
	}
	return nil, fmt.Errorf("%w: no name servers were found for the zone of %s", dns.ErrFailure,
		name)
}

// open makes a resolver for each server. Its IPv4 and IPv6 addresses are one server: a host that
// can reach one of them only still gets its answer.
func (p *Panel) open(ctx context.Context, names []string) ([]Server, error) {
	var out []Server
	for _, name := range names {
		var addresses []string
		var failed error
		for _, t := range []dns.Type{dns.A, dns.AAAA} {
			a, err := p.Resolver.Lookup(ctx, name, t)
			if err != nil {
				failed = err
			}
			for _, addr := range a.Addrs {
				addresses = append(addresses, addr.String())
			}
		}
		if len(addresses) == 0 {
			if failed == nil {
				failed = errNoAddress
			}
			out = append(out, Server{name,
				nowhere{fmt.Errorf("%w: name server %s: %w", dns.ErrFailure, name, failed)}})
			continue
		}
		r, err := p.Open(addresses)
		if err != nil {
			return nil, err
		}
		out = append(out, Server{name, r})
	}
	return out, nil
}

var errNoAddress = errors.New("it has no address")

// nowhere stands for a server that cannot be asked.
type nowhere struct{ err error }

// Lookup implements dns.Resolver.
func (n nowhere) Lookup(context.Context, string, dns.Type) (dns.Answer, error) {
	return dns.Answer{}, n.err
}

// chaser follows a CNAME out of the zone, which an authoritative server does not.
type chaser struct{ server, host dns.Resolver }

// Lookup implements dns.Resolver.
func (c chaser) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	a, err := c.server.Lookup(ctx, name, t)
	if err != nil || a.Status == dns.Found || len(a.Aliases) == 0 || c.host == nil {
		return a, err
	}
	aliases := a.Aliases
	a, err = c.host.Lookup(ctx, aliases[len(aliases)-1], t)
	a.Aliases = append(append([]string(nil), aliases...), a.Aliases...)
	return a, err
}
