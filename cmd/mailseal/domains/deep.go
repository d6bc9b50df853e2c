package domains

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/reach"
	"mailseal/milter/dns"
)

// soon is how long before its end a certificate is worth a word.
const soon = 14 * 24 * time.Hour

// day is the shortest max_age that is advised, in seconds.
const day = 86400

// deep connects to the hosts that the records name: to each MX host for STARTTLS, its certificates
// and DANE, and to the web server of the MTA-STS policy.
func (c *checker) deep(ctx context.Context) {
	if c.Deep == nil || !c.takes {
		return
	}
	hosts := c.mailHosts(ctx)
	for _, host := range hosts {
		c.exchange(ctx, host)
	}
	c.stsPolicy(ctx, hosts)
}

// mailHosts are the domain's MX hosts that can be connected to.
func (c *checker) mailHosts(ctx context.Context) []string {
	a, err := c.Resolver.Lookup(ctx, c.name, dns.MX)
	if err != nil {
		return nil
	}
	var out []string
	for _, x := range a.Exchanges {
		if x.Host != "" && !slices.Contains(out, x.Host) &&
			!strings.HasSuffix(x.Host, ".msv1.invalid") {
			out = append(out, x.Host)
		}
	}
	return out[:min(len(out), maxHosts)]
}

// exchange looks at one MX host.
func (c *checker) exchange(ctx context.Context, host string) {
	e, err := c.Deep.Exchange(ctx, host)
	switch {
	case errors.Is(err, reach.ErrPrivate), errors.Is(err, reach.ErrAbsent):
		return // said of its records
	case err != nil:
		c.report(MXUnreached, host, fmt.Sprintf("could not connect to %s: %v", host, err))
		return
	case !e.Offers:
		c.report(MXPlain, host, host+" does not offer STARTTLS")
	case e.Failed != nil:
		c.report(MXBroken, host, fmt.Sprintf("%s offers STARTTLS, but it fails: %v", host,
			e.Failed))
	}
	isPinned := c.pins(ctx, host, e)
	if len(e.Chain) > 0 {
		c.certificate(host, e, isPinned)
	}
}

// certificate looks at the certificate of an MX host. Where DANE vouches for it, names and
// authorities do not matter.
func (c *checker) certificate(host string, e reach.Exchange, isPinned bool) {
	if left := e.Expires().Sub(c.Deep.Time()); left < soon {
		word := "expires on "
		if left < 0 {
			word = "expired on "
		}
		c.report(MXEnds, host, "the certificate of "+
			""+host+" "+word+e.Expires().UTC().Format(time.DateOnly))
	}
	switch {
	case isPinned:
	case e.Name != nil:
		c.report(MXOtherName, host, fmt.Sprintf("the certificate of %s is for another name: "+
			"%v", host, e.Name))
	case e.Untrusted != nil:
		c.report(MXUntrusted, host, fmt.Sprintf("the certificate of %s: %v", host, e.Untrusted))
	case e.Roots != nil:
		c.report(MXUnreached, host, fmt.Sprintf("could not judge the certificate of %s: "+
			"%v", host, e.Roots))
	}
}

// pins compares the TLSA records of a host with what it shows. It reports whether one of them is
// for its certificate.
func (c *checker) pins(ctx context.Context, host string, e reach.Exchange) bool {
	name := "_25._tcp." + host
	a, err := c.Resolver.Lookup(ctx, name, dns.TLSA)
	if err != nil || len(a.Texts) == 0 {
		return false
	}
	if c.Trusted && c.validates(ctx) {
		if why := c.unsignedPath(ctx, host, a); why != "" {
			c.report(PinUnsigned, name, "there are TLSA records, but "+why)
			return false
		}
	}
	usable, isMatch := 0, false
	for _, text := range a.Texts {
		pin, err := reach.ParsePin(text)
		if err != nil || !pin.Counts() {
			c.report(PinUnusable, name, fmt.Sprintf("senders do not use the TLSA record "+
				"%q", text)).Seen = text
			continue
		}
		usable++
		isMatch = isMatch || pin.Matches(e.Chain, host, c.Deep.Time())
	}
	if usable > 0 && !isMatch {
		text := "no TLSA record matches the certificate that " + host + " presents"
		if len(e.Chain) == 0 {
			text = "there are TLSA records, but " + host + " presents no certificate"
		}
		c.report(PinMismatch, name, text).Seen = a.Texts[0]
	}
	return isMatch
}

// unsignedPath returns the part that DNSSEC does not sign on the path from the domain to
// its TLSA records: the MX record, the addresses of the host, or the records themselves
// (RFC 7672 sections 2.1.1, 2.2.1 and 2.2.2). It returns "" if all are signed.
func (c *checker) unsignedPath(ctx context.Context, host string, pins dns.Answer) string {
	if !pins.Secure {
		return "the zone is not signed"
	}
	if mx, err := c.Resolver.Lookup(ctx, c.name, dns.MX); err == nil && !mx.Secure {
		return "the MX record of " + c.name + " is not signed: senders do not look for TLSA records"
	}
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		if a, err := c.Resolver.Lookup(ctx, host, t); err == nil && a.Status == dns.Found &&
			!a.Secure {
			return "the address of " + host + " is not signed: senders do not look for TLSA records"
		}
	}
	return ""
}

// stsPolicy gets the MTA-STS policy, where there is a record of it.
func (c *checker) stsPolicy(ctx context.Context, hosts []string) {
	a, err := c.Resolver.Lookup(ctx, "_mta-sts."+c.name, dns.TXT)
	isSTS := func(t string) bool { return strings.HasPrefix(t, "v=STSv1") }
	if err != nil || !slices.ContainsFunc(a.Texts, isSTS) {
		return
	}
	at := "mta-sts." + c.name
	f, err := c.Deep.Fetch(ctx, c.name)
	var refused reach.Refusal
	switch {
	case errors.As(err, &refused):
		c.report(PolicyRefused, at, refused.Error())
		return
	case err != nil:
		c.report(PolicyUnread, at, fmt.Sprintf("could not fetch the policy: %v", err))
		return
	}
	if f.Type != "text/plain" {
		c.report(PolicyType, at, fmt.Sprintf("the server sends the policy as %q, not as "+
			"text/plain", f.Type))
	}
	p := reach.ParsePolicy(f.Text)
	for _, m := range p.Mistakes {
		c.report(PolicyBroken, at, m)
	}
	if len(p.Mistakes) == 0 {
		c.policyMeets(at, p, hosts)
	}
}

// policyMeets compares a policy with the MX records.
func (c *checker) policyMeets(at string, p reach.Policy, hosts []string) {
	if p.Mode != "enforce" {
		c.report(PolicyIdle, at, "the policy has mode: "+p.Mode)
	}
	if p.Age < day {
		c.report(PolicyShort, at, fmt.Sprintf("max_age is %d seconds, less than a day; weeks are "+
			"common", p.Age))
	}
	if p.Mode == "none" {
		return
	}
	for _, h := range hosts {
		if !p.Covers(h) {
			c.report(PolicyMX, at, "the policy has no mx for "+h)
		}
	}
	for _, pattern := range p.Unused(hosts) {
		c.report(PolicyUnused, at, "no MX record matches mx: "+pattern)
	}
}
