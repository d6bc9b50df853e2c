// Package domains finds mistakes in the DNS records for a domain's mail: SPF, DKIM, DMARC, MX,
// MTA-STS and TLS reports. The packages of the records find mistakes in a text; this one looks up
// the records, evaluates them with the code of the daemon, and proposes records to publish. It
// queries only the DNS, unless it is asked to connect to the hosts that the records name.
package domains

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/cmd/mailseal/reach"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/lint"
	"mailseal/milter/spf"
)

// Finding is one thing that is wrong with a domain's records, or worth knowing. Setting is the name
// of the record.
type Finding struct {
	check.Finding
	Why        string           // why it matters, in a sentence
	Seen       string           // the record as published; "" when it is not about one
	Start, End int              // the bytes of Seen that it is about; both 0 for all
	Publish    []publish.Record // what to publish instead
}

// Options are the inputs of a check of domains, besides the domains' names.
type Options struct {
	Resolver  dns.Resolver
	Selectors []string     // of DKIM keys that are in use: a missing one is a mistake
	Addresses []netip.Addr // that the domain's mail leaves from: each must pass SPF
	Helo      []string     // names that the domain's servers say in HELO
	Own       []OwnKey     // records of the keys whose private key the caller holds
	// the same that does not validate: it tells bogus answers from others; nil asks none
	Unchecked dns.Resolver
	Panel     Panel    // finds the authoritative name servers, each to be asked; nil asks none
	Reports   *Reports // DMARC reports that came in; nil for none
	// connects to MX hosts and gets the MTA-STS policy; nil connects to nothing
	Deep    *reach.Guard
	Trusted bool    // the resolver's word on DNSSEC is believed
	known   keyring // keys seen in the run so far; nil compares none
	Brief   bool    // ask only for what receivers ask for: no guesses, nothing that is gone
	// a selector that does not exist, for finding wildcards; the caller chooses it
	Random string
}

// OwnKey is the record that a private key needs: the name of the record, and its text.
type OwnKey struct{ Name, Text string }

// Panel finds the name servers that are authoritative for a name. keydns.Panel is one.
type Panel interface {
	Of(ctx context.Context, name string) ([]keydns.Server, error)
}

// Seen is one answer of the DNS, kept to be compared later.
type Seen struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Status string   `json:"status"` // "found", "no data", "NXDOMAIN" or "failed"
	Values []string `json:"values,omitempty"`
	Secure bool     `json:"secure"`
}

// Result holds the findings about one domain.
type Result struct {
	Domain   domain.Name
	Findings []Finding
	SPF      *spf.Survey // nil if there is no record
	Policy   string      // that DMARC asks for mail that fails; "" when none applies
	DMARC    *InForce    // nil when the DNS did not answer
	Records  []Seen
	Absent   []Seen // names that were asked for and hold nothing of the type
	Queries  int
}

// InForce is the DMARC policy that holds for a domain by the DNS.
type InForce struct {
	Policy  string // "none", "quarantine" or "reject"; "" when no record applies
	Testing bool   // the record has t=y
	Invalid bool   // no record applies, but there is one, which receivers ignore
	At      string // the domain that publishes it: the checked one, or its organizational domain
}

// Worst returns the severity of the worst finding, or Note if there are no findings.
func (r Result) Worst() check.Severity {
	for _, s := range []check.Severity{check.Error, check.Warning, check.Unknown} {
		if r.Count(s) > 0 {
			return s
		}
	}
	return check.Note
}

// Count returns how many findings of a severity there are.
func (r Result) Count(s check.Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// checker looks at one domain.
type checker struct {
	Options
	name   string
	result *Result
	memory *memory

	parked   bool // the SPF record is "v=spf1 -all"
	takes    bool // an MX other than the null one
	hasNull  bool // a null MX
	enforces bool // DMARC asks for quarantine or reject

	inherited bool // the DMARC policy is that of a domain above
	hasKey    bool // a key record was found, good or not

	policyText *dmarc.Record    // of the domain itself; nil when it has none
	reported   *Reported        // nil when no report was looked at
	signedWith map[string]int64 // messages that reports show signed, by the name of the key
	strictKeys []string         // names of keys with t=s
	published  []namedKey       // keys of the domain that can be used
	publics    map[string]bool  // their values of p=
	moduli     dkim.Moduli      // those of them that are RSA keys
	said       map[string]bool  // findings, by code, name and text
	probed     int              // missing keys for which other names were asked
}

// Check looks at what the DNS says of one domain. It never fails: what could not be found out is a
// finding.
func Check(ctx context.Context, name domain.Name, o Options) Result {
	out := Result{Domain: name}
	c := &checker{
		Options: o, name: name.String(), result: &out, memory: newMemory(o.Resolver), signedWith: map[string]int64{},
		publics: map[string]bool{}, said: map[string]bool{},
	}
	c.Resolver = c.memory
	if c.exists(ctx) {
		c.readReports(ctx)
		c.exchanges(ctx)
		c.policy(ctx)
		c.sender(ctx)
		c.keys(ctx)
		c.transport(ctx)
		c.indicator(ctx)
		c.profile()
		c.evidence(ctx)
		c.deep(ctx)
		c.signed(ctx)
		c.servers(ctx)
	}
	c.unanswered(ctx)
	out.Records, out.Absent = c.memory.seen(o.Trusted)
	out.Queries = c.memory.queries
	slices.SortStableFunc(out.Findings,
		func(a, b Finding) int { return rank(a.Severity) - rank(b.Severity) })
	return out
}

// maxBogus is for how many questions without an answer it is asked whether DNSSEC is the reason.
const maxBogus = 5

// unanswered reports each question that got no answer.
func (c *checker) unanswered(ctx context.Context) {
	asked := 0
	for _, f := range c.memory.failures() {
		if errors.Is(f.err, errOutside) && f.name != c.name {
			c.report(OutsideZone, f.name, "not checked: "+f.err.Error())
			continue
		}
		if c.Unchecked != nil && !errors.Is(f.err, dns.ErrTimeout) && asked < maxBogus {
			asked++
			if c.isBogus(ctx, f.name, f.kind) {
				c.report(Bogus, f.name, fmt.Sprintf("could not check %s: the name server has an "+
					"answer, but "+
					"according to DNSSEC it is not what the owner of the zone signed", f.kind))
				continue
			}
		}
		c.report(NoAnswer, f.name, fmt.Sprintf("could not check %s: %v", f.kind, f.err))
	}
}

// isBogus reports whether a question is answered without validation, and still not with it: a
// server that failed for a moment answers both.
func (c *checker) isBogus(ctx context.Context, name string, t dns.Type) bool {
	if _, err := c.Unchecked.Lookup(ctx, name, t); err != nil {
		return false
	}
	_, err := c.memory.next.Lookup(ctx, name, t)
	return err != nil && !errors.Is(err, dns.ErrTimeout)
}

func rank(s check.Severity) int {
	return slices.Index([]check.Severity{check.Error, check.Unknown, check.Warning, check.Note}, s)
}

// report adds a finding about the record at a name.
func (c *checker) report(code check.Code, name, text string) *Finding {
	return c.reportOn(code, name, text, "")
}

// reportOn adds a finding about a record at a name. The same of another record is another finding.
func (c *checker) reportOn(code check.Code, name, text, seen string) *Finding {
	row, ok := byCode[code]
	if !ok {
		panic(fmt.Sprintf("no row for code %q", code))
	}
	f := Finding{Why: row.Why, Seen: seen}
	f.Code, f.Severity, f.Setting, f.Text = code, row.Severity, name, text
	said := string(code) + " " + name + " " + text
	for i := range c.result.Findings {
		if !c.said[said] {
			break
		}
		have := &c.result.Findings[i]
		if have.Code == code && have.Setting == name && have.Text == text && (seen == "" ||
			have.Seen == seen) {
			return have
		}
	}
	c.said[said] = true
	c.result.Findings = append(c.result.Findings, f)
	return &c.result.Findings[len(c.result.Findings)-1]
}

// flaws adds what a record's own package says of its text. The corrected record is added to the
// flaws that it has not.
func (c *checker) flaws(name, text, repaired string, find func(string) []lint.Flaw) {
	var left []lint.Flaw
	if repaired != "" {
		left = find(repaired)
	}
	for _, l := range find(text) {
		f := c.reportOn(check.Code(l.Code), name, l.Text, text)
		f.Start, f.End = l.Start, l.End
		if why := whyLost(text, l); why != "" {
			f.Why = why
		}
		isLeft := slices.ContainsFunc(left, func(m lint.Flaw) bool {
			return m.Code == l.Code && m.Text == l.Text
		})
		if repaired != "" && repaired != text && !isLeft {
			f.Publish = []publish.Record{{Name: name, Text: repaired}}
			if f.Severity == fail {
				f.Why += whyNone(text, repaired)
			}
		}
	}
}

// whyNone explains why a corrected DMARC record begins with p=none; it returns "" for
// others.
func whyNone(text, repaired string) string {
	meant, ok := dmarc.Repair(text)
	r, err := dmarc.Parse(repaired)
	if !ok || err != nil || meant == repaired || r.Policy != dmarc.None {
		return ""
	}
	return " The policy that was meant has never had an effect, so the record to publish begins " +
		"with p=none; \"mailseal propose dmarc\" shows the steps from there."
}

// whyLost explains why a flaw matters that makes a whole record invalid; it returns "" for
// others.
func whyLost(text string, l lint.Flaw) string {
	switch {
	case l.Code == spf.FlawPasted && spf.IsRecord(text):
		return whyBroken
	case (l.Code == dmarc.FlawValue || l.Code == dmarc.FlawSyntax) && strings.Contains(l.Text,
		"the whole record"):
		return "Until this is corrected, receivers apply no policy of the domain."
	}
	return ""
}

// texts are the TXT records of a name; ok is false when the DNS did not answer, which is reported
// once.
func (c *checker) texts(ctx context.Context, name string) (a dns.Answer, ok bool) {
	a, err := c.Resolver.Lookup(ctx, name, dns.TXT)
	if err == nil {
		c.size(name, a)
	}
	return a, err == nil
}

// The sizes and lives of answers that are worth a word, in bytes and seconds.
const (
	packet   = 1232 // of a UDP answer that is never split
	shortTTL = 300
	longTTL  = 86400
)

func (c *checker) size(name string, a dns.Answer) {
	n := 0
	for _, t := range a.Texts {
		// the strings' lengths, the owner by a pointer, type, class, time to live, length
		n += len(t) + len(t)/255 + 13
	}
	if n > packet {
		c.report(BigAnswer, name,
			fmt.Sprintf("the TXT records have %d bytes in total, and a DNS packet has room for %d",
				n, packet))
	}
	if s := int(a.TTL.Seconds()); len(a.Texts) > 0 && s > 0 && (s < shortTTL || s > longTTL) {
		c.report(ShortTTL, name, fmt.Sprintf("the time to live is %d seconds; an hour is common",
			s))
	}
	if k := len(a.Aliases); k > 0 && len(a.Texts) == 0 {
		c.report(Dangling, name, fmt.Sprintf("%s is an alias (CNAME) of %s, which has no TXT "+
			"record: have the owner "+
			"of that name publish it, or replace the alias with the record", name, a.Aliases[k-1]))
	}
}

// exists finds out whether there is anything to look at.
func (c *checker) exists(ctx context.Context) bool {
	t := dns.NS
	if c.Brief {
		t = dns.MX // which is asked for anyway, and knows as well that there is no such name
	}
	a, err := c.Resolver.Lookup(ctx, c.name, t)
	if err == nil && a.Status == dns.NXDomain {
		c.report(NoDomain, c.name, "the domain does not exist (NXDOMAIN)")
		return false
	}
	return !errors.Is(err, errOutside)
}

// profile looks at a domain that says it sends nothing.
func (c *checker) profile() {
	if !c.parked {
		return
	}
	if c.takes {
		c.report(ParkedMX, c.name, "SPF says that the domain sends no mail, but it has MX "+
			"hosts").Publish =
			[]publish.Record{{Name: c.name, Type: "MX", Text: "0 ."}}
	}
	if c.result.Policy != "" && c.result.Policy != "reject" {
		text := "SPF says that the domain sends no mail, but the DMARC policy is only " +
			c.result.Policy
		c.report(ParkedDMARC, c.at(), text).Publish = []publish.Record{{Name: c.at(),
			Text: "v=DMARC1; p=reject"}}
	}
}
