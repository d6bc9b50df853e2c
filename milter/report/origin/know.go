package origin

import (
	"context"
	"net/netip"
	"slices"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/tally"
)

// Known is what the store knows about the addresses that sent mail.
type Known struct {
	origins  map[string]store.Origin
	verdicts []store.Verdict
	networks []netip.Prefix
}

// Read reads what is known about the sources that f chooses. networks are those of this host.
func Read(ctx context.Context, s *store.Store, f store.Filter, networks []netip.Prefix) (*Known,
	error) {
	origins, err := s.Origins(ctx, f)
	if err != nil {
		return nil, err
	}
	verdicts, err := s.Verdicts(ctx)
	if err != nil {
		return nil, err
	}
	return &Known{origins: origins, verdicts: verdicts, networks: networks}, nil
}

// About returns what is known about an address as a source of a domain: what a person says of it,
// first of all.
func (k *Known) About(domain string, a netip.Addr) tally.Known {
	out := tally.Known{
		Reverse: k.origins[a.String()].Reverse,
		Network: slices.ContainsFunc(k.networks,
			func(p netip.Prefix) bool { return p.Contains(a) }),
	}
	for i := range k.verdicts {
		if k.verdicts[i].Matches(domain, a) {
			out.Class = advice.Class(k.verdicts[i].Class)
			break
		}
	}
	return out
}

// Origin returns where an address is, as far as that was looked up.
func (k *Known) Origin(address string) store.Origin { return k.origins[address] }
