package domains

import (
	"context"
	"io"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/examine"
	"mailseal/cmd/mailseal/reach"
	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/keydns"
)

// Sources say whom a Request asks, and what it compares the answers with.
type Sources struct {
	// its name servers are asked, its keys compared; nil for the host's name servers
	Config  *config.Config
	Zone    string // a zone file that answers instead of name servers; "" for none
	Deep    bool   // hosts that the records name are connected to
	Servers bool   // every authoritative name server is asked, too
	Reports bool   // the reports in the store of Config are read
}

// RunWith opens the sources, and runs the request.
func (q *Request) RunWith(ctx context.Context, s Sources, out io.Writer) (err error) {
	if s.Reports {
		if q.Reports, err = OpenReports(ctx, s.Config); err != nil {
			return err
		}
		defer q.Reports.Close()
	}
	asked, err := q.resolve(s)
	if err != nil {
		return err
	}
	q.Resolver, q.Trusted = InZone(q.Resolver), Trusts(asked)
	if len(asked) > 0 {
		if q.Unchecked, err = unchecked(asked); err != nil {
			return err
		}
	}
	if s.Servers {
		q.Panel = &keydns.Panel{Resolver: q.Resolver,
			Open: func(addresses []string) (dns.Resolver, error) {
				return dns.New(dns.Options{Servers: addresses, Targets: q.Resolver})
			}}
	}
	if s.Deep {
		q.Deep = &reach.Guard{Resolver: q.Resolver}
	}
	if s.Config != nil {
		q.Own = ownKeys(ctx, s.Config)
	}
	return q.Run(ctx, out)
}

// unchecked asks the same servers without DNSSEC.
func unchecked(asked []dns.ServerStatus) (dns.Resolver, error) {
	o := dns.Options{Unchecked: true}
	for _, s := range asked {
		o.Servers = append(o.Servers, s.Address)
	}
	return dns.New(o)
}

// resolve opens the host's name servers, those of the configuration, or the zone file, and returns
// which servers are asked; none for a zone file.
func (q *Request) resolve(s Sources) (asked []dns.ServerStatus, err error) {
	if s.Zone != "" || s.Config == nil {
		if q.Resolver, err = examine.OpenResolver(s.Zone); err != nil {
			return nil, err
		}
		if client, ok := q.Resolver.(*dns.Client); ok {
			asked = client.Servers()
		}
		return asked, nil
	}
	client, r, err := assembly.NewResolver(s.Config)
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	q.Resolver = r
	return client.Servers(), nil
}

// ownKeys are the records that the keys of a configuration need: those that it names, and those of
// the state directory. Keys that cannot be read are left out; "mailseal check" names them.
func ownKeys(ctx context.Context, cfg *config.Config) []OwnKey {
	var out []OwnKey
	records := assembly.Records(ctx, assembly.FileKeys(ctx, cfg, nil), assembly.Placements(cfg),
		nil)
	for _, r := range append(records, assembly.ManagedRecords(cfg)...) {
		out = append(out, OwnKey{Name: r.Name, Text: r.Text})
	}
	return out
}
