package check

import (
	"context"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
)

// reporting looks at the records that say where reports go of signatures that ask for them with r=y
// (RFC 6651). Without a good one no receiver reports.
func (c *checker) reporting(ctx context.Context) {
	var done []string
	for _, rule := range c.cfg.Sign {
		if !rule.RequestReports {
			continue
		}
		for _, author := range assembly.AuthorDomains(rule) {
			for _, d := range assembly.SigningDomains(c.cfg, rule, author) {
				if d == "%" || slices.Contains(done, d) || !c.inScope(d) {
					continue
				}
				done = append(done, d)
				c.reportingRecord(ctx, at(rule.Problem("", "")), d)
			}
		}
	}
}

func (c *checker) reportingRecord(ctx context.Context, rule place, d string) {
	name := dkim.ReportingName(d)
	a, err := c.Resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		c.report(finding(ReportsNoAnswer, rule, name, err))
		return
	}
	wrong := ""
	switch len(a.Texts) {
	case 0:
		c.report(finding(ReportsMissing, rule, d, name, d))
		return
	case 1:
		r, err := dkim.ParseReporting(a.Texts[0])
		switch {
		case err != nil:
			wrong = err.Error()
		case r.Local == "":
			wrong = "it has no ra=, the local part of the address"
		case r.Percent == 0:
			wrong = "rp=0 means that no failure is reported"
		}
	default:
		wrong = "there is more than one TXT record"
	}
	if wrong != "" {
		c.report(finding(ReportsUnusable, rule, d, name, wrong))
	}
}
