package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// type99 is the type of SPF records that RFC 7208 section 3.1 has given up.
const type99 dns.Type = 99

// sender looks at SPF.
func (c *checker) sender(ctx context.Context) {
	a, ok := c.texts(ctx, c.name)
	if !ok {
		return
	}
	c.strays(a.Texts)
	if !c.Brief {
		c.givenUp(ctx)
	}
	near, records := false, count(a.Texts, spf.IsRecord)
	for _, t := range a.Texts {
		if !spf.IsRecord(t) && len(spf.Lint(t)) > 0 {
			if records > 0 {
				c.stray(SPFStray, c.name, t, spf.Lint(t)[0], isSPFUsed(a.Texts))
				continue
			}
			near = true
		}
		if len(spf.Lint(t)) > 0 {
			repaired, _ := c.correctedSPF(ctx, t)
			c.flaws(c.name, t, repaired, spf.Lint)
		}
		c.parked = c.parked || strings.EqualFold(strings.TrimSpace(t), "v=spf1 -all")
	}
	switch {
	case records == 0 && !near:
		c.noSender(ctx)
	case records > 0:
		c.survey(ctx)
		c.correctSurvey(ctx)
	}
	for _, t := range a.Texts {
		c.leftOut(c.name, t)
	}
	if records > 1 {
		c.joinSPF(ctx, a.Texts)
	}
	c.clients(ctx)
}

// givenUp finds a record of the type that was SPF's own.
func (c *checker) givenUp(ctx context.Context) {
	if old, err := c.memory.guess(ctx, c.name, type99); err == nil && old.Status == dns.Found {
		c.report(SPFType99, c.name, "there is a record of type SPF (99), which TXT records have "+
			"replaced: delete it")
	}
}

// strays finds texts at the domain itself that belong elsewhere, or nowhere.
func (c *checker) strays(texts []string) {
	for _, t := range texts {
		lower := strings.ToLower(strings.TrimSpace(t))
		switch {
		case strings.HasPrefix(lower, "spf2.0"):
			c.report(SenderID, c.name, "there is a Sender ID record (spf2.0/...): delete it").Seen = t
		case strings.HasPrefix(lower, "v=dkim1"):
			c.report(Misspelled, c.name, "there is a DKIM key at the domain itself; it belongs at "+
				"SELECTOR._domainkey."+c.name).Seen = t
		case dmarc.IsRecord(t):
			f := c.report(DMARCAtRoot, c.name, "there is a DMARC record at the domain itself")
			f.Seen, f.Publish = t, toPublish("_dmarc."+c.name, soundDMARC(t))
		}
	}
}

// noSender reports that there is no SPF record, and where it may be instead.
func (c *checker) noSender(ctx context.Context) {
	if c.doubled(ctx, c.name, "the SPF record of "+c.name, spf.IsRecord, c.soundSPF(ctx)) {
		return
	}
	text := "v=spf1 -all"
	if c.takes {
		text = "v=spf1 mx ~all"
	}
	c.report(spf.FlawNone, c.name, "there is no SPF "+
		"record").Publish = []publish.Record{{Name: c.name, Text: text}}
}

// survey follows the record to all that it leads to.
func (c *checker) survey(ctx context.Context) {
	v := spf.Explore(ctx, c.Resolver, c.result.Domain)
	c.result.SPF = &v
	for _, found := range v.Flaws {
		if found.Code == spf.FlawUnanswered {
			continue // a lookup that failed is reported with the others
		}
		f := c.report(check.Code(found.Code), found.Domain, found.Text)
		if v.Root == nil || found.Domain != v.Root.Domain {
			continue
		}
		f.Seen = v.Root.Text
		if at := strings.Index(f.Seen, found.Term); at >= 0 && found.Term != "" {
			f.Start, f.End = at, at+len(found.Term)
		}
	}
	c.sharedTerms(v.Root)
	for _, t := range v.Root.Terms {
		switch {
		case t.Kind == "all" && t.Value == spf.Softfail && !c.enforces && c.inherited:
			c.report(SPFSoft, c.name,
				t.Term+" marks other addresses as doubtful, and the DMARC policy above asks for "+
					"no action")
		case t.Kind == "all" && t.Value == spf.Fail && c.enforces && !c.parked:
			c.report(SPFHard, c.name, "-all together with an enforcing DMARC policy")
		}
	}
}

// clients asks the daemon's own evaluator about the addresses that the domain's mail leaves from.
func (c *checker) clients(ctx context.Context) {
	checker := &spf.Checker{Resolver: c.Resolver}
	isMissed := false
	for _, addr := range c.Addresses {
		r := checker.Check(ctx, spf.Identity{IP: addr, MailFrom: "postmaster@" + c.name})
		if r.Value == spf.Pass || r.Value == spf.Temperror {
			continue
		}
		f := c.report(SPFAddress, c.name,
			fmt.Sprintf("mail from %s gets %s (%s); the term %s allows "+
				"it", addr, r.Value, r.Reason, termOf(addr)))
		if v := c.result.SPF; v != nil {
			f.Seen = v.Root.Text
		}
		isMissed = true
	}
	if isMissed {
		c.letIn(ctx)
	}
	for _, addr := range c.Addresses {
		if isPublic(addr) {
			c.reverse(ctx, addr.String(), addr)
		}
	}
	c.helo(ctx)
}

// letIn proposes one record for everything that is wrong at the domain: the repaired one,
// with the addresses that the domain's mail is sent from. It proposes none for a text whose
// intended meaning is not known.
func (c *checker) letIn(ctx context.Context) {
	isSPF := func(r publish.Record) bool { return r.Name == c.name && spf.IsRecord(r.Text) }
	text := ""
	for _, f := range c.result.Findings {
		if i := slices.IndexFunc(f.Publish, isSPF); i >= 0 {
			text = f.Publish[i].Text
			break
		}
	}
	if v := c.result.SPF; text == "" && v != nil && v.Root.Broken == "" {
		text = v.Root.Text
	}
	if text == "" {
		return
	}
	for _, addr := range c.Addresses {
		if !passes(ctx, dns.Pretend{Resolver: c.Resolver, Name: c.name, Text: text},
			c.result.Domain, addr) {
			text = withTerm(text, termOf(addr))
		}
	}
	for i := range c.result.Findings {
		f := &c.result.Findings[i]
		at := slices.IndexFunc(f.Publish, isSPF)
		switch {
		case at >= 0:
			f.Publish[at].Text = text
		case f.Code == SPFAddress:
			f.Publish = []publish.Record{{Name: c.name, Text: text}}
		}
	}
}

func termOf(a netip.Addr) string {
	if a.Is4() {
		return "ip4:" + a.String()
	}
	return "ip6:" + a.String()
}

// withTerm puts a term behind the version of a record.
func withTerm(text, term string) string {
	const version = "v=spf1"
	return version + " " + term + text[min(len(version), len(text)):]
}
