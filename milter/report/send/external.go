package send

import (
	"context"
	"fmt"
	"strings"

	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report"
)

// Authorizer asks the DNS whether a host takes reports about a domain of another organization (RFC
// 9990 section 4): otherwise a record could direct a flood of reports at any address.
type Authorizer struct {
	Resolver dns.Resolver
	DMARC    *dmarc.Checker
}

// Authorize returns the address that takes reports about a policy domain in place of to;
// this is to itself unless the host names another one. If reason is not empty, no address
// is authorized. An error means that the DNS did not answer; the caller may try again
// later.
func (a *Authorizer) Authorize(
	ctx context.Context, policyDomain string, to report.Address,
) (report.Address, string, error) {
	return a.authorize(ctx, policyDomain, to, func(r dmarc.Record) []string { return r.Aggregate })
}

// AuthorizeFailure is Authorize of failure reports, for which a host names another address in ruf
// (RFC 9991 section 5).
func (a *Authorizer) AuthorizeFailure(
	ctx context.Context, policyDomain string, to report.Address,
) (report.Address, string, error) {
	return a.authorize(ctx, policyDomain, to, func(r dmarc.Record) []string { return r.Failure })
}

func (a *Authorizer) authorize(
	ctx context.Context, policyDomain string, to report.Address,
	instead func(dmarc.Record) []string,
) (report.Address, string, error) {
	d, host := domain.Name(policyDomain), domain.Name(to.Host)
	if host.Within(d) {
		return to, "", nil
	}
	ofDomain, err := a.DMARC.Organization(ctx, d)
	if err != nil {
		return to, "", err
	}
	ofHost, err := a.DMARC.Organization(ctx, host)
	if err != nil {
		return to, "", err
	}
	if ofDomain == ofHost {
		return to, "", nil
	}
	name := policyDomain + "._report._dmarc." + to.Host
	if len(name) > 253 {
		return to, fmt.Sprintf("not authorized: %s is too long for a DNS name", name), nil
	}
	answer, err := a.Resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return to, "", err
	}
	for _, text := range answer.Texts {
		if !isAuthorization(text) {
			continue
		}
		instead, ok := overridden(text, to, instead)
		if !ok {
			return to, fmt.Sprintf("not authorized: the record at %s names only addresses at "+
				"other hosts", name), nil
		}
		return instead, "", nil
	}
	return to, fmt.Sprintf("not authorized: %s has no TXT record \"v=DMARC1;\"", name), nil
}

// isAuthorization reports whether a TXT record begins with v=DMARC1. The semicolon behind it may be
// missing.
func isAuthorization(text string) bool {
	first, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(first, "=")
	return ok && strings.EqualFold(strings.TrimSpace(name), "v") &&
		strings.TrimSpace(value) == "DMARC1"
}

// overridden is the address that a record of authorization names instead, which must be at the same
// host. Without one in the record it is to.
func overridden(
	text string, to report.Address, instead func(dmarc.Record) []string,
) (report.Address, bool) {
	r, err := dmarc.Parse(text)
	if err != nil {
		return to, true
	}
	all := report.Addresses(instead(r))
	for _, a := range all {
		if a.Host == to.Host {
			return a, true
		}
	}
	return to, len(all) == 0
}
