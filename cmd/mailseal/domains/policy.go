package domains

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/lint"
	"mailseal/milter/spf"
)

// policy looks at DMARC.
func (c *checker) policy(ctx context.Context) {
	at := "_dmarc." + c.name
	a, ok := c.texts(ctx, at)
	if !ok {
		return
	}
	near, records := false, count(a.Texts, dmarc.IsRecord)
	for _, t := range a.Texts {
		if dmarc.IsRecord(t) {
			continue
		}
		if spf.IsRecord(t) {
			c.report(SPFAtDMARC, at, "there is an SPF record at _dmarc: delete it").Seen = t
		}
		if found := dmarc.Lint(t); records > 0 && len(found) > 0 {
			c.stray(DMARCStray, at, t, found[0], isDMARCUsed(a.Texts))
			continue
		}
		repaired, _ := dmarc.Repair(t)
		repaired = toBegin(a.Texts, t, repaired)
		near = near || len(dmarc.Lint(t)) > 0
		c.flaws(at, t, repaired, dmarc.Lint)
	}
	if records > 1 {
		c.report(DMARCSeveral, at, fmt.Sprintf("there are %d DMARC records: keep one, and delete "+
			"the others", records))
	}
	checker := &dmarc.Checker{Resolver: c.Resolver}
	r := checker.Discover(ctx, []dmarc.Author{{Domain: c.result.Domain}}).Weigh(ctx, nil)
	if r.Record == nil {
		if r.Value != dmarc.Temperror {
			c.result.DMARC = &InForce{Invalid: records > 0 || near}
		}
		if r.Value != dmarc.Temperror && records < 2 && !near && len(a.Aliases) == 0 {
			c.noPolicy(ctx, at)
		}
		return
	}
	c.result.Policy = string(r.Requested)
	c.result.DMARC = &InForce{Policy: c.result.Policy, Testing: r.Record.Testing,
		At: r.PolicyDomain.String()}
	c.enforces = r.Requested == dmarc.Quarantine || r.Requested == dmarc.Reject
	c.inherited = r.PolicyDomain != c.result.Domain
	if !c.inherited {
		c.own(ctx, at, r)
	}
	c.older(ctx, r)
	c.takesAll(ctx)
}

// takesAll finds a wildcard by which the domain agrees to the reports of every other one.
func (c *checker) takesAll(ctx context.Context) {
	if c.Random == "" {
		return
	}
	name := c.Random + "._report._dmarc." + c.name
	if a, err := c.Resolver.Lookup(ctx, name, dns.TXT); err == nil &&
		slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		c.report(TakesAll, "*._report._dmarc."+c.name, "the domain agrees to receive reports "+
			"about every other domain")
	}
}

// own looks at the record of the domain itself.
func (c *checker) own(ctx context.Context, at string, r dmarc.Result) {
	text := r.Record.Text
	c.policyText = r.Record
	find := dmarc.Lint
	if r.OrganizationalDomain != "" && r.OrganizationalDomain != c.result.Domain {
		find = lintBelow
		if r.Record.Subdomain != "" || r.Record.NonExistent != "" {
			c.report(NoEffect, at, "sp= and np= have no effect below the organizational domain, "+
				r.OrganizationalDomain.String()).Seen = text
		}
	}
	repaired, _ := dmarc.Repair(text)
	c.flaws(at, text, toBegin([]string{text}, text, repaired), find)
	c.wildcard(ctx)
	for _, list := range [][]string{r.Record.Aggregate, r.Record.Failure} {
		for _, uri := range list {
			c.address(ctx, at, text, uri)
		}
	}
}

// lintBelow finds what is wrong in a record below the organizational domain, where sp= and np= mean
// nothing.
func lintBelow(text string) []lint.Flaw {
	return slices.DeleteFunc(dmarc.Lint(text), func(f lint.Flaw) bool {
		return slices.Contains([]string{dmarc.FlawSubdomain, dmarc.FlawNonExist, dmarc.FlawNoNP},
			f.Code)
	})
}

// wildcard finds a record that every name below shows.
func (c *checker) wildcard(ctx context.Context) {
	if c.Random == "" {
		return
	}
	name := "_dmarc." + c.Random + "." + c.name
	if a, err := c.Resolver.Lookup(ctx, name, dns.TXT); err == nil &&
		slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		c.report(DMARCWild, "*."+c.name, "because of a wildcard, every name below the domain "+
			"seems to have a DMARC record")
	}
}

// freemail are hosts of mailboxes for people.
var freemail = []string{
	"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com",
	"aol.com", "icloud.com", "me.com",
	"gmx.de", "gmx.net", "gmx.com", "web.de", "mail.ru", "yandex.ru", "qq.com", "163.com",
	"126.com", "proton.me", "protonmail.com",
}

// address looks at one report address: whether its domain takes reports, and whether they could
// arrive.
func (c *checker) address(ctx context.Context, at, text, uri string) {
	checker := &dmarc.Checker{Resolver: c.Resolver}
	consent := checker.Consent(ctx, c.result.Domain, uri)
	if errors.Is(consent.Err, errOutside) {
		c.agreement(consent)
	}
	if consent.Host == "" || consent.Err != nil {
		return
	}
	start := max(strings.Index(text, uri), 0)
	mark := func(f *Finding) *Finding {
		f.Seen, f.Start, f.End = text, start, min(start+len(uri), len(text))
		return f
	}
	if !consent.Given {
		f := mark(
			c.report(NotAgreed, at,
				fmt.Sprintf("%s is at another domain, which has not agreed: "+
					"%s", uri, mustPublish(consent))),
		)
		f.Publish = []publish.Record{agreementOf(consent)}
	}
	if slices.Contains(freemail, consent.Host.String()) {
		mark(c.report(Freemail, at, uri+" is a personal mailbox at a free mail service"))
	}
	if consent.Host == c.result.Domain && !c.hasNull && !c.takes {
		return // the domain itself has the finding that it takes no mail
	}
	if why, ok := c.canReceive(ctx, consent.Host); !ok {
		mark(c.report(ReportHost, at, fmt.Sprintf("%s cannot receive mail: %s", consent.Host, why)))
	}
}

// agreementOf is the record by which the host of a report address agrees to receive reports (RFC
// 9990 section 4).
func agreementOf(c dmarc.Consent) publish.Record {
	return publish.Record{Name: c.Name, Text: "v=DMARC1", Who: c.Host.String()}
}

// mustPublish returns the record to publish, in the same words as the wizard.
func mustPublish(c dmarc.Consent) string {
	return fmt.Sprintf(`%s must publish %s TXT "v=DMARC1"`, c.Host, c.Name)
}

// agreement names the record of another domain that a zone file does not have.
func (c *checker) agreement(consent dmarc.Consent) {
	if isOneOwner(c.result.Domain, consent.Host) {
		return
	}
	name := dmarc.ConsentName(c.result.Domain, consent.Host)
	c.report(OutsideZone, name, fmt.Sprintf(`not checked: whether %s agrees to receive reports `+
		`about %s, by the record %s TXT "v=DMARC1"`, consent.Host, c.result.Domain, name))
}

// isOneOwner reports whether two domains are below one public suffix, as one owner's. It
// replaces the lookups if only a zone file is available.
func isOneOwner(a, b domain.Name) bool {
	ours, err := publicsuffix.EffectiveTLDPlusOne(a.String())
	theirs, also := publicsuffix.EffectiveTLDPlusOne(b.String())
	return err == nil && also == nil && ours == theirs
}

// canReceive reports whether mail to a domain could arrive, and why not.
func (c *checker) canReceive(ctx context.Context, host domain.Name) (why string, ok bool) {
	a, err := c.Resolver.Lookup(ctx, host.String(), dns.MX)
	if err != nil {
		return "", true
	}
	if slices.ContainsFunc(a.Exchanges, func(x dns.Exchange) bool { return x.Host != "" }) {
		return "", true
	}
	if len(a.Exchanges) > 0 {
		return "it has a null MX", false
	}
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		if a, err := c.Resolver.Lookup(ctx, host.String(), t); err != nil || len(a.Addrs) > 0 {
			return "", true
		}
	}
	return "it has neither an MX record nor an address", false
}

// noPolicy reports that no DMARC record applies, and where it may be instead.
func (c *checker) noPolicy(ctx context.Context, at string) {
	if c.doubled(ctx, at, "the DMARC record of "+c.name, dmarc.IsRecord, soundDMARC) {
		return
	}
	if a, err := c.Resolver.Lookup(ctx, c.name, dns.TXT); err == nil &&
		slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		return // it is at the domain itself, which has the finding
	}
	if c.misspelled(ctx, at, "_dmarc", dmarc.IsRecord, soundDMARC) {
		return
	}
	c.report(NoDMARC, at, "there is no DMARC record").Publish =
		[]publish.Record{{Name: at, Text: "v=DMARC1; p=none; rua=mailto:dmarc@" + c.name}}
}
