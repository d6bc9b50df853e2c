package domains

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/report/advice"
	"mailseal/milter/spf"
)

// noneDays is how long a policy that asks for nothing draws no warning.
const noneDays = 90

// fewest is how many messages of a source are worth a word.
const fewest = 20

// readReports gets what reports say of the domain, before anything is looked at: they name
// selectors.
func (c *checker) readReports(ctx context.Context) {
	if c.Reports == nil {
		return
	}
	var err error
	if c.reported, err = c.Reports.Of(ctx, c.name); err != nil {
		c.report(ReportsUnread, c.name, fmt.Sprintf("could not read the DMARC reports: %v", err))
		return
	}
	base := "._domainkey." + c.name
	for _, s := range c.reported.selectors() {
		c.signedWith[s+base] = c.reported.Signed[s]
		if !slices.Contains(c.Selectors, s) {
			c.Selectors = append(slices.Clone(c.Selectors), s)
		}
	}
}

// evidence compares what is published with what reports say.
func (c *checker) evidence(ctx context.Context) {
	c.unsigned()
	if c.reported == nil {
		return
	}
	if len(c.reported.Sources) == 0 {
		c.elsewhere()
		return
	}
	c.onlySPF()
	c.strict()
	c.identity()
	c.forLong()
	c.tighten()
	if c.result.SPF != nil && c.result.SPF.Root != nil && c.result.SPF.Root.Broken == "" {
		c.reportedSources(ctx)
		c.unusedTerms()
	}
}

// at is the name of the domain's DMARC record.
func (c *checker) at() string { return "_dmarc." + c.name }

// unsigned reports that p=reject refuses mail of this configuration, which has no key for
// the domain.
func (c *checker) unsigned() {
	isAligned := func(k OwnKey) bool {
		_, d, _ := strings.Cut(k.Name, "._domainkey.")
		return d == c.name || within(c.name, d) || within(d, c.name)
	}
	if c.policyText == nil || c.result.Policy != "reject" || c.parked || c.hasKey ||
		len(c.Own) == 0 ||
		slices.ContainsFunc(c.Own, isAligned) {
		return
	}
	c.report(RejectUnsigned, c.at(), "the policy is p=reject, but no key of this configuration "+
		"signs for the domain")
}

// elsewhere reports that reports about the domain do not arrive at this host.
func (c *checker) elsewhere() {
	if c.policyText != nil && len(c.policyText.Aggregate) > 0 {
		f := c.report(ReportsElsewhere, c.at(), fmt.Sprintf(
			"no report about the domain has reached this host in %d days; rua= names %s",
			reportedDays, strings.Join(c.policyText.Aggregate, " and ")))
		f.Seen = c.policyText.Text
	}
}

// named lists some sources with their number of messages.
func named(list []string) string { return advice.List(list, 3) }

func messages(n int64) string { return advice.Plural(n, "message", "messages") }

// onlySPF finds sources of the domain's own whose mail passes by SPF alone, which p=reject must not
// rest on (RFC 9989 section 8).
func (c *checker) onlySPF() {
	if c.result.Policy != "reject" {
		return
	}
	var list []string
	for i := range c.reported.Sources {
		s := &c.reported.Sources[i]
		if n := s.SPFOnly(); s.Class.IsOwn() && n > 0 && n*100 > s.Pass {
			list = append(list, messages(n)+" from "+s.Name)
		}
	}
	if len(list) > 0 {
		c.report(RejectBySPF, c.at(), "the policy is p=reject, but the domain does not sign "+
			""+named(list)+
			": they pass by SPF alone and are rejected once they are forwarded")
	}
}

// strict finds mail that fails only because adkim=s or aspf=s is published.
func (c *checker) strict() {
	if c.policyText == nil || !c.policyText.StrictDKIM && !c.policyText.StrictSPF {
		return
	}
	var list []string
	for i := range c.reported.Sources {
		s := &c.reported.Sources[i]
		if s.Strict > 0 && s.Class != advice.NotOurs && s.Class != advice.Scanner {
			list = append(list, messages(s.Strict)+" from "+s.Name)
		}
	}
	if len(list) == 0 {
		return
	}
	f := c.report(StrictLoss, c.at(), "with relaxed alignment, this mail would pass: "+named(list))
	text := c.policyText.Text
	for _, tag := range []string{"adkim", "aspf"} {
		if strings.Contains(strings.ReplaceAll(strings.ToLower(text), " ", ""), tag+"=s") {
			text = withTag(text, tag, "r")
		}
	}
	f.Seen, f.Publish = c.policyText.Text, []publish.Record{{Name: c.at(), Text: text}}
}

// identity finds keys with t=s whose signatures on mail of names below the domain never verify:
// they have such a name in i=, which t=s forbids (RFC 6376 section 3.6.1).
func (c *checker) identity() {
	own := map[string]bool{}
	for i := range c.reported.Sources {
		if s := &c.reported.Sources[i]; s.Class.IsOwn() {
			own[s.Name] = true
		}
	}
	failing := map[string]int64{}
	for key, n := range c.reported.Below {
		name := key[1] + "._domainkey." + c.name
		if own[key[0]] && n.good == 0 && slices.Contains(c.strictKeys, name) {
			failing[name] += n.all
		}
	}
	for _, name := range slices.Sorted(maps.Keys(failing)) {
		c.report(StrictIdentity, name, fmt.Sprintf(
			"the key has t=s, and its signatures do not verify on mail from subdomains: %s",
			messages(failing[name])))
	}
}

// history is what advice on the policy is made of.
func (c *checker) history() advice.History {
	r := c.reported
	h := advice.History{
		Domain: c.name, From: r.From, To: r.To, Parked: c.parked, Receivers: r.Receivers, Sources: r.Sources,
	}
	for _, d := range r.Days {
		if d <= r.To {
			h.Reported = append(h.Reported, d)
		}
	}
	step, err := stepOf(string(c.policyText.Policy), c.policyText.Testing &&
		c.policyText.Policy != dmarc.None)
	if err == nil {
		h.Policy = advice.Policy{Step: step, Text: c.policyText.Text}
	}
	if r.Since != 0 && r.Policy == step { // what is published now is what reports know
		h.Policy.Since = r.Since
	}
	return h
}

// forLong reports that the policy has been none for a long time.
func (c *checker) forLong() {
	if c.policyText == nil || c.parked {
		return
	}
	h := c.history()
	if h.Policy.Step > advice.QuarantineTest || h.Policy.Since == 0 {
		return
	}
	if days := int(h.To-h.Policy.Since) + 1; days > noneDays {
		c.forget(dmarc.FlawMonitoring)
		c.report(NoneLong, c.at(), fmt.Sprintf("the policy has been %s since %s, for %d days",
			h.Policy.Step, h.Policy.Since, days)).Seen = c.policyText.Text
	}
}

// forget takes back findings that another one says more of.
func (c *checker) forget(code check.Code) {
	c.result.Findings = slices.DeleteFunc(c.result.Findings,
		func(f Finding) bool { return f.Code == code })
}

// tighten reports that the next step of the policy can be published.
func (c *checker) tighten() {
	if c.policyText == nil {
		return
	}
	a := advice.Judge(c.history())
	if a.Kind == advice.Ready && a.Record != "" {
		c.forget(dmarc.FlawMonitoring)
		c.report(CanTighten, c.at(), strings.TrimSuffix(a.Sentence, ".")).Publish =
			[]publish.Record{{Name: c.at(), Text: a.Record}}
	}
}

// reportedSources finds addresses that sign for the domain, use it as envelope sender, and are not
// in its SPF record.
func (c *checker) reportedSources(ctx context.Context) {
	var terms, list []string
	for i := range c.reported.Sources {
		s := &c.reported.Sources[i]
		for _, addr := range c.outside(ctx, s) {
			terms = append(terms, termOf(addr))
			list = append(list, messages(s.Messages)+" from "+s.Name)
		}
	}
	if len(terms) == 0 {
		return
	}
	f := c.report(SPFReported, c.name, "these sources sign for the domain but are not in its SPF "+
		"record: "+named(list))
	f.Seen = c.result.SPF.Root.Text
	text := f.Seen
	for _, term := range terms[:min(len(terms), maxReported)] {
		text = withTerm(text, term)
	}
	f.Publish = []publish.Record{{Name: c.name, Text: text}}
}

// outside are the addresses of a source that ought to be in the SPF record. Those of services that
// send with an envelope domain of their own would not be helped by it.
func (c *checker) outside(ctx context.Context, s *advice.Source) []netip.Addr {
	isEnvelope := s.Envelope == c.name
	if !s.Class.IsOwn() || s.DKIM == 0 || s.SPF > 0 || !isEnvelope || s.Messages < fewest {
		return nil
	}
	var out []netip.Addr
	for _, addr := range s.Addresses {
		r := (&spf.Checker{Resolver: c.Resolver}).Check(ctx,
			spf.Identity{IP: addr, MailFrom: "postmaster@" + c.name})
		if r.Value == spf.Fail || r.Value == spf.Softfail || r.Value == spf.Neutral {
			out = append(out, addr)
		}
	}
	return out
}

// unusedTerms notes terms that let in no address that reports know, in 90 days.
func (c *checker) unusedTerms() {
	if len(c.reported.Days) < reportedDays-lateDays-1 {
		return
	}
	root := c.result.SPF.Root
	for _, t := range root.Terms {
		networks, isKnown := networksOf(t)
		if t.Kind == "all" || t.Kind == "redirect" || t.Value != spf.Pass || !isKnown ||
			c.isUsed(networks) {
			continue
		}
		f := c.report(SPFUnused, c.name, fmt.Sprintf("no address that %s allows appears in %d "+
			"days of reports",
			t.Term, len(c.reported.Days)))
		if at := strings.Index(root.Text, t.Term); at >= 0 {
			f.Seen, f.Start, f.End = root.Text, at, at+len(t.Term)
		}
	}
}

// isUsed reports whether mail came from a network, or this host sends from it.
func (c *checker) isUsed(networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool {
		return slices.ContainsFunc(c.Addresses, p.Contains) ||
			slices.ContainsFunc(c.reported.Sources, func(s advice.Source) bool {
				return slices.ContainsFunc(s.Addresses, p.Contains)
			})
	})
}

// networksOf are the networks that a term lets in. They are not known where the term, or one behind
// it, depends on the client or got no answer.
func networksOf(t spf.Leaf) (out []netip.Prefix, isKnown bool) {
	if t.Kind == "exists" || t.Kind == "ptr" || t.Note != "" {
		return nil, false
	}
	out = t.Networks
	if t.Nested == nil {
		return out, true
	}
	if t.Nested.Unanswered || t.Nested.Broken != "" {
		return nil, false
	}
	for _, below := range t.Nested.Terms {
		if below.Kind == "all" {
			continue
		}
		more, isKnown := networksOf(below)
		if !isKnown {
			return nil, false
		}
		out = slices.Concat(out, more)
	}
	return out, true
}
