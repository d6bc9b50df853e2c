package domains

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/dns"
)

// Trusts reports whether what these name servers say of DNSSEC may be repeated: all of them are on
// this host, so that no host on the way could have set the AD bit (RFC 6840 section 5.8).
func Trusts(servers []dns.ServerStatus) bool {
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(s dns.ServerStatus) bool {
		at, err := netip.ParseAddrPort(s.Address)
		return err != nil || !at.Addr().IsLoopback()
	})
}

// signedName is a name that has been signed for long: a resolver that does not call it secure does
// not validate, and says nothing about other names either.
const signedName = "com"

// signed notes that the domain is not signed, where the resolver can be believed.
func (c *checker) signed(ctx context.Context) {
	if !c.Trusted || !c.validates(ctx) {
		return
	}
	if a, err := c.memory.Lookup(ctx, c.name, dns.NS); err == nil && !a.Secure {
		c.report(NotSigned, c.name, "the zone is not signed with DNSSEC")
	}
}

// validates reports whether the resolver validates.
func (c *checker) validates(ctx context.Context) bool {
	known, err := c.memory.Lookup(ctx, signedName, dns.NS)
	return err == nil && known.Secure
}

// maxCompared is how many keys the name servers are asked for.
const maxCompared = 5

// compared are the questions that every authoritative name server is asked.
func (c *checker) compared() []question {
	out := []question{{c.name, dns.TXT}, {c.name, dns.MX}, {"_dmarc." + c.name, dns.TXT}}
	for _, s := range c.Selectors[:min(len(c.Selectors), maxCompared)] {
		out = append(out, question{s + "._domainkey." + c.name, dns.TXT})
	}
	return out
}

// servers asks every authoritative name server for the records that matter most, and compares what
// they say. Each server is asked about itself alone: one that is silent is reported once.
func (c *checker) servers(ctx context.Context) {
	if c.Panel == nil {
		return
	}
	servers, err := c.Panel.Of(ctx, c.name)
	if err != nil {
		c.report(NoAnswer, c.name, fmt.Sprintf("could not query the authoritative name servers: %v",
			err))
		return
	}
	silent := map[string]bool{}
	for _, q := range c.compared() {
		said := map[string][]string{}
		for _, s := range servers {
			if silent[s.Name] {
				continue
			}
			a, err := s.Resolver.Lookup(ctx, q.name, q.kind)
			if err != nil {
				silent[s.Name] = true
				c.report(ServerSilent, s.Name,
					fmt.Sprintf("this name server of %s gives no usable answer: %v", c.name, err))
				continue
			}
			text := strings.Join(values(a), " | ")
			said[text] = append(said[text], s.Name)
		}
		if len(said) < 2 {
			continue
		}
		var parts []string
		for _, text := range slices.Sorted(maps.Keys(said)) {
			shown := text
			if shown == "" {
				shown = "no record"
			}
			parts = append(parts, strings.Join(said[text], " and ")+": "+visible(shown))
		}
		c.report(ServersDiffer, q.name, fmt.Sprintf("the name servers differ about %s: %s",
			q.kind, strings.Join(parts, "; ")))
	}
}
