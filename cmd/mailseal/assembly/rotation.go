package assembly

import (
	"fmt"

	"mailseal/config"
	"mailseal/keys/keylife"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/rotation"
)

// RotationOptions returns the options for rotating the keys of the state directory. The
// name servers to query are those of the configuration, or else those of each domain.
func RotationOptions(cfg *config.Config) (rotation.Options, error) {
	panel, err := newPanel(cfg)
	if err != nil {
		return rotation.Options{}, err
	}
	taken := map[string]bool{}
	for _, k := range cfg.Keys {
		taken[domain.ASCII(k.Selector)+"._domainkey."+domain.ASCII(k.Domain)] = true
	}
	c := cfg.Rotation
	return rotation.Options{
		Store:       keylife.Store{Dir: cfg.StateDirectory},
		Policy:      keylife.Policy{Every: c.Every, Publish: c.Publish, Overlap: c.Overlap},
		MayBeSilent: c.MayBeSilent,
		Algorithms:  c.Algorithms,
		Selector:    c.Selector,
		Panel:       panel,
		Taken:       func(record string) bool { return taken[record] },
	}, nil
}

func newPanel(cfg *config.Config) (*keydns.Panel, error) {
	_, host, err := NewResolver(cfg)
	if err != nil {
		return nil, err
	}
	open := func(addresses []string) (dns.Resolver, error) {
		return dns.New(dns.Options{Servers: addresses, Targets: host, Timeout: cfg.DNS.Timeout,
			Tries: cfg.DNS.Tries})
	}
	p := &keydns.Panel{Resolver: host, Open: open}
	for _, a := range cfg.Rotation.Servers {
		r, err := open([]string{a.String()})
		if err != nil {
			return nil, fmt.Errorf("rotation.servers: %w", err)
		}
		p.Servers = append(p.Servers, keydns.Server{Name: a.String(), Resolver: r})
	}
	return p, nil
}
