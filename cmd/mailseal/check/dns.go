package check

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
)

// lookupsAtOnce bounds how many names are asked for side by side, so that no name server takes us
// for an attack.
const lookupsAtOnce = 16

// View is the state of one key in the DNS.
type View = keydns.View

// compare compares every key in scope with what is published wherever it signs, and every rule's d=
// with its authors.
func (c *checker) compare(ctx context.Context) {
	c.result.AskedDNS = true
	c.result.Records = c.inspect(ctx, c.records(ctx))
	labels := c.labels()
	for _, v := range c.result.Records {
		if l, isLabelled := labels[v.Name]; isLabelled {
			if f, found := c.mislabelled(ctx, v, l); found {
				c.report(f)
				continue
			}
		}
		for _, f := range viewFindings(v) {
			c.report(f)
		}
	}
	c.align(ctx)
	c.reporting(ctx)
	c.walkSources(ctx)
}

// inScope reports whether the keys of a domain are to be compared.
func (c *checker) inScope(name string) bool {
	return len(c.Domains) == 0 || slices.Contains(c.Domains, name)
}

// records returns the records to look up: those of the keys in the configuration and in the
// state directory. walkSources handles keys that sources store under separate names.
func (c *checker) records(ctx context.Context) []assembly.Record {
	odd := func(p assembly.Placement, err error) {
		if err != nil {
			c.report(finding(DNSNoRecord, place{}, p.Key, err))
		} else {
			c.report(finding(DNSAnyDomain, place{}, p.Key))
		}
	}
	out := assembly.Records(ctx, c.parts.Table, c.placements(), odd)
	out = append(out, assembly.ManagedRecords(c.cfg)...)
	out = slices.DeleteFunc(out, func(r assembly.Record) bool { return !c.inScope(r.Domain) })
	c.unsignedDomains(out)
	return out
}

// placements are where keys sign. Keys that sign as the domain of any author sign as each of the
// domains in scope.
func (c *checker) placements() []assembly.Placement {
	var out []assembly.Placement
	all := assembly.Placements(c.cfg)
	if len(c.Domains) == 0 {
		all = c.parts.Expand(all)
	}
	for _, p := range all {
		if p.Domain != "%" || len(c.Domains) == 0 {
			out = append(out, p)
			continue
		}
		for _, d := range c.Domains {
			out = append(out, assembly.Placement{Key: p.Key, Domain: d})
		}
	}
	return out
}

// unsignedDomains finds domains that were asked for, and for which nothing signs. What sources say
// comes later.
func (c *checker) unsignedDomains(records []assembly.Record) {
	if len(c.cfg.Sources) > 0 {
		return
	}
	for _, d := range c.Domains {
		if !slices.ContainsFunc(records, func(r assembly.Record) bool { return r.Domain == d }) {
			c.report(finding(DNSNobody, place{setting: d}, d))
		}
	}
}

// label is a key whose entry is called as the record of another selector or domain.
type label struct {
	key      string // the name of the entry
	selector string // that the name has
	domain   string
}

// labels are the keys of which the name has another selector than the entry, by the records that
// they need. A KeyTable often calls an entry as its record is called.
func (c *checker) labels() map[string]label {
	out := map[string]label{}
	for _, p := range c.placements() {
		selector, d, isRecord := domain.SplitRecord(p.Key)
		have := domain.ASCII(c.cfg.Keys[p.Key].Selector)
		if isRecord && selector != "" && d != "" && have != selector {
			out[have+"._domainkey."+p.Domain] = label{p.Key, selector, d}
		}
	}
	return out
}

// mislabelled finds that a key is published under the name of its entry, and not where its
// signatures say.
func (c *checker) mislabelled(ctx context.Context, v View, l label) (Finding, bool) {
	want := v.Want
	want.Name = l.selector + "._domainkey." + l.domain
	if v.State == keydns.Shown || v.State == keydns.Unreached || keydns.Inspect(ctx, c.Resolver,
		want, l.domain).State != keydns.Shown {
		return Finding{}, false
	}
	k := c.cfg.Keys[l.key]
	f := finding(DNSLabel, at(k.Problem("", "")), want.Name, v.Name)
	f.Fix = remedy.Selector(k.Selector, l.selector)
	return f, true
}

// inspect looks at many records side by side.
func (c *checker) inspect(ctx context.Context, records []assembly.Record) []View {
	views := make([]View, len(records))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, r := range records {
		workers.Go(func() error {
			views[i] = keydns.Inspect(ctx, c.Resolver, r.Record, r.Domain)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	return views
}

// viewFindings are the findings about one record.
func viewFindings(v View) []Finding {
	var out []Finding
	for _, found := range v.Findings {
		f := finding(ofRecord[found.Cause], place{setting: v.Name}, found.Text)
		f.Fix = remedy.Record(found, v.Want)
		out = append(out, f)
	}
	return out
}

// isGood reports whether every verifier can verify what a key signs.
func isGood(v View) bool { return v.State == keydns.Shown && !v.Harm() }

// align asks DMARC about each rule's authors and domains. That a rule for all authors has one d= is
// found by config.
func (c *checker) align(ctx context.Context) {
	checker := &dmarc.Checker{Resolver: c.Resolver}
	type pair struct{ author, d string }
	known := map[pair]alignment{}
	for _, rule := range c.cfg.Sign {
		for _, author := range assembly.AuthorDomains(rule) {
			for _, d := range assembly.SigningDomains(c.cfg, rule, author) {
				if author == "%" || d == "%" || d == author || !c.inScope(author) {
					continue
				}
				p := pair{author, d}
				if _, ok := known[p]; !ok {
					known[p] = weigh(ctx, checker, author, d)
				}
				c.aligned(at(rule.Problem("", "")), author, d, known[p])
			}
		}
	}
}

func (c *checker) aligned(rule place, author, d string, a alignment) {
	switch {
	case a.err != "":
		c.report(finding(DMARCNoAnswer, rule, d, author, a.err))
	case !a.aligned:
		c.report(finding(DMARCUncount, rule, author, d, a.why))
	}
}

// alignment is whether a signature counts for an author.
type alignment struct {
	aligned  bool
	why, err string
}

// weigh judges one domain for one author. Where no policy is published nothing can fail, but the
// organizational domain decides all the same.
func weigh(ctx context.Context, checker *dmarc.Checker, author, d string) alignment {
	id := dmarc.Identifier{Method: dmarc.DKIM, Domain: domain.Name(d)}
	policy := checker.Discover(ctx, []dmarc.Author{{Domain: domain.Name(author)}})
	result := policy.Weigh(ctx, []dmarc.Identifier{id})
	if result.Value == dmarc.Temperror {
		return alignment{err: result.Reason}
	}
	if len(result.Alignments) == 1 {
		return alignment{aligned: result.Alignments[0].Aligned, why: result.Alignments[0].Why}
	}
	org := result.OrganizationalDomain
	if org == "" {
		org = domain.Name(author)
	}
	within := id.Domain.Within(org) || org.Within(id.Domain)
	return alignment{aligned: within, why: fmt.Sprintf("it is not within %s", org)}
}
