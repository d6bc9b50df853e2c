package dmarc

import (
	"context"
	"net/url"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// Consent is whether the domain of a report address takes reports about another domain (RFC 9990
// section 4).
type Consent struct {
	URI   string      // as published
	Host  domain.Name // of the address, or ""
	Own   bool        // the same organizational domain: no consent is needed
	Given bool        // the record is there, or need not be
	Name  string      // where the record belongs
	Texts []string    // what is there
	Err   error       // it could not be found out
	Wild  bool        // any domain's reports are taken
}

// Host returns the domain of a mailto: URI's address, "" when it has none.
func Host(uri string) domain.Name {
	u, err := url.Parse(uri)
	if err != nil || !strings.EqualFold(u.Scheme, "mailto") {
		return ""
	}
	address, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return ""
	}
	name, err := domain.Parse(address[strings.LastIndexByte(address, '@')+1:])
	if err != nil {
		return ""
	}
	return name
}

// Consent asks whether the host of a report address takes reports about the policy domain. Two
// organizational domains are compared as the tree walk finds them.
func (c *Checker) Consent(ctx context.Context, policyDomain domain.Name, uri string) Consent {
	out := Consent{URI: uri, Host: Host(uri)}
	if out.Host == "" {
		return out
	}
	f := c.finder()
	ours, err := f.walk(ctx, policyDomain)
	if err != nil {
		out.Err = err
		return out
	}
	theirs, err := f.walk(ctx, out.Host)
	if err != nil {
		out.Err = err
		return out
	}
	if same(ours, policyDomain) == same(theirs, out.Host) {
		out.Own, out.Given = true, true
		return out
	}
	out.Name = ConsentName(policyDomain, out.Host)
	a, err := c.Resolver.Lookup(ctx, out.Name, dns.TXT)
	if err != nil {
		out.Err = err
		return out
	}
	out.Texts = a.Texts
	for _, t := range a.Texts {
		out.Given = out.Given || isConsent(t)
	}
	return out
}

// ConsentName is the name of the record by which a host takes reports about a policy domain.
func ConsentName(policyDomain, host domain.Name) string {
	return policyDomain.String() + "._report._dmarc." + host.String()
}

// same is the organizational domain of a walk, the name itself where the walk found none.
func same(w Walk, name domain.Name) domain.Name {
	if w.OrganizationalDomain == "" {
		return name
	}
	return w.OrganizationalDomain
}

// isConsent reports whether a text says that reports are taken: v=DMARC1, with a semicolon or not
// (RFC 9990 section 4).
func isConsent(text string) bool { return isRecord(text) }
