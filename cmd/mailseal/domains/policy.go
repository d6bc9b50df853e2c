package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	near, records := false, 0
	for _, t := range a.Texts {
		if dmarc.IsRecord(t) {
			records++
			continue
		}
		if spf.IsRecord(t) {
			c.report(SPFAtDMARC, at, "there is an SPF record at _dmarc: delete it").Seen = t
		}
		mended, _ := dmarc.Repair(t)
		near = near || len(dmarc.Lint(t)) > 0
		c.flaws(at, t, mended, dmarc.Lint)
	}
	if records > 1 {
		c.report(DMARCSeveral, at, fmt.Sprintf("there are %d DMARC records: keep one, and delete the others", records))
	}
	checker := &dmarc.Checker{Resolver: c.Resolver}
	r := checker.Discover(ctx, []dmarc.Author{{Domain: c.result.Domain}}).Weigh(ctx, nil)
	if r.Record == nil {
		if r.Value != dmarc.Temperror && records < 2 && !near && len(a.Aliases) == 0 {
			c.noPolicy(ctx, at)
		}
		return
	}
	c.result.Policy = string(r.Requested)
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
	if a, err := c.Resolver.Lookup(ctx, name, dns.TXT); err == nil && slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		c.report(TakesAll, "*._report._dmarc."+c.name, "the domain agrees to take reports about any other")
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
			c.report(NoEffect, at, "sp= and np= mean nothing below the organizational domain, "+
				r.OrganizationalDomain.String()).Seen = text
		}
	}
	mended, _ := dmarc.Repair(text)
	c.flaws(at, text, mended, find)
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
		return slices.Contains([]string{dmarc.FlawSubdomain, dmarc.FlawNonExist, dmarc.FlawNoNP}, f.Code)
	})
}

// wildcard finds a record that every name below shows.
func (c *checker) wildcard(ctx context.Context) {
	if c.Random == "" {
		return
	}
	name := "_dmarc." + c.Random + "." + c.name
	if a, err := c.Resolver.Lookup(ctx, name, dns.TXT); err == nil && slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		c.report(DMARCWild, "*."+c.name, "any name below seems to have a DMARC record, by a wildcard")
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
				fmt.Sprintf("%s is of another domain, which has no record at %s", uri, consent.Name)),
		)
		f.Publish = []publish.Record{{Name: consent.Name, Text: "v=DMARC1", Who: consent.Host.String()}}
	}
	if slices.Contains(freemail, consent.Host.String()) {
		mark(c.report(Freemail, at, uri+" is a mailbox at a service for people"))
	}
	if consent.Host == c.result.Domain && !c.hasNull && !c.takes {
		return // that it takes no mail is said of the domain itself
	}
	if why, ok := c.canReceive(ctx, consent.Host); !ok {
		mark(c.report(ReportHost, at, fmt.Sprintf("%s cannot take mail: %s", consent.Host, why)))
	}
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
	return "it has neither MX nor address", false
}

// noPolicy says that no DMARC record applies, and where it may have gone.
func (c *checker) noPolicy(ctx context.Context, at string) {
	doubled := at + "." + c.name
	if a, err := c.Resolver.Lookup(ctx, doubled, dns.TXT); err == nil {
		for _, t := range a.Texts {
			if dmarc.IsRecord(t) {
				f := c.report(Misplaced, doubled, "the DMARC record of "+c.name+" is at "+doubled)
				f.Seen, f.Publish = t, []publish.Record{{Name: at, Text: t}}
				return
			}
		}
	}
	if a, err := c.Resolver.Lookup(ctx, c.name, dns.TXT); err == nil && slices.ContainsFunc(a.Texts, dmarc.IsRecord) {
		return // it is at the domain itself, which is said there
	}
	if c.misspelled(ctx, at, "_dmarc", dmarc.IsRecord) {
		return
	}
	c.report(NoDMARC, at, "there is no DMARC record").Publish =
		[]publish.Record{{Name: at, Text: "v=DMARC1; p=none; rua=mailto:dmarc@" + c.name}}
}
