package domains

import (
	"context"
	"maps"
	"slices"

	"mailseal/milter/dns"
	"mailseal/milter/keydns"
)

// liar says of one name that it does not exist, and of one that it is signed.
type liar struct {
	dns.Resolver
	name, signed string
}

// panel are the authoritative name servers by their names.
type panel map[string]dns.Resolver

func (p panel) Of(context.Context, string) ([]keydns.Server, error) {
	var out []keydns.Server
	for _, name := range slices.Sorted(maps.Keys(p)) {
		out = append(out, keydns.Server{Name: name, Resolver: p[name]})
	}
	return out, nil
}

func (l liar) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if name == l.name {
		return dns.Answer{Status: dns.NXDomain}, nil
	}
	if name == l.signed && t == dns.NS {
		return dns.Answer{Status: dns.Found, Names: []string{"a.gtld.example"}, Secure: true}, nil
	}
	return l.Resolver.Lookup(ctx, name, t)
}
