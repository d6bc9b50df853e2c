package domains

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailseal/milter/dns"
)

// errOutside is the error for a name of which a zone file cannot say whether it exists.
var errOutside = errors.New("the name is outside the zone file; run without --zone to query the DNS")

// coverer is a zone that knows where it ends.
type coverer interface {
	dns.Resolver
	Covers(name string) bool
}

// zoneFile is a zone that does not answer for names outside of it, rather than deny that they
// exist: a mail host or an included record of a provider is not missing because a file of one
// domain lacks it.
type zoneFile struct{ zone coverer }

// InZone returns a resolver that is limited to the contents of a zone file. It returns any
// other resolver unchanged.
func InZone(r dns.Resolver) dns.Resolver {
	if z, ok := r.(coverer); ok {
		return zoneFile{z}
	}
	return r
}

// Lookup implements dns.Resolver.
func (z zoneFile) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if !z.answersFor(name) {
		return dns.Answer{}, fmt.Errorf("%s: %w", name, errOutside)
	}
	a, err := z.zone.Lookup(ctx, name, t)
	if n := len(a.Aliases); err == nil && n > 0 && a.Status != dns.Found &&
		!z.zone.Covers(a.Aliases[n-1]) {
		return dns.Answer{}, fmt.Errorf("%s, an alias of %s: %w", name, a.Aliases[n-1], errOutside)
	}
	return a, err
}

// answersFor reports whether the file may deny a name. It may for public suffixes, too: the search
// for a DMARC record ends at _dmarc.com, and no zone file of a domain has that.
func (z zoneFile) answersFor(name string) bool {
	if z.zone.Covers(name) {
		return true
	}
	base := strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(name), "."), "_dmarc.")
	suffix, _ := publicsuffix.PublicSuffix(base)
	return suffix == base
}
