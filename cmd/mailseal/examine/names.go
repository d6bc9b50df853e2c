package examine

import (
	"context"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/keydns"
)

// Names is what a look at domains asks: the host's name servers, or those of a configuration.
type Names struct {
	Resolver dns.Resolver
	Servers  []dns.ServerStatus // that Resolver asks; none for a zone file
}

// OpenNames is Resolver that also says which servers are asked.
func OpenNames(zone string, cfg *config.Config) (Names, error) {
	if zone != "" || cfg == nil {
		r, err := OpenResolver(zone)
		if client, ok := r.(*dns.Client); ok {
			return Names{Resolver: client, Servers: client.Servers()}, err
		}
		return Names{Resolver: r}, err
	}
	client, r, err := assembly.NewResolver(cfg)
	if err != nil {
		return Names{}, answer.NewUnknown(err)
	}
	return Names{Resolver: r, Servers: client.Servers()}, nil
}

// Panel finds the authoritative name servers of a name, and asks each of them on its own.
func (n Names) Panel() *keydns.Panel {
	return &keydns.Panel{Resolver: n.Resolver, Open: func(addresses []string) (dns.Resolver, error) {
		return dns.New(dns.Options{Servers: addresses, Targets: n.Resolver})
	}}
}

// KeyRecords are the records that the keys of a configuration need: those that it names, and those
// of the state directory. Keys that cannot be read are left out; "mailseal check" names them.
func KeyRecords(ctx context.Context, cfg *config.Config) []assembly.Record {
	out := assembly.Records(ctx, assembly.FileKeys(ctx, cfg, nil), assembly.Placements(cfg), nil)
	return append(out, assembly.ManagedRecords(cfg)...)
}
