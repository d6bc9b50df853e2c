package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/dns"
)

// common are selectors that are worth a guess where no other is known. There is no way to list the
// selectors of a domain.
var common = []string{"default", "mail", "dkim", "s1", "selector1", "selector2", "google", "k1"}

// keys looks at DKIM: first at what any name below _domainkey shows, then at the selectors that are
// known, then at records of methods before DKIM.
func (c *checker) keys(ctx context.Context) {
	base := "_domainkey." + c.name
	wild, ok := c.wild(ctx, base)
	if !ok {
		return
	}
	var algorithms []string
	c.Selectors = slices.Concat(c.Selectors, c.ownSelectors(base))
	for _, s := range c.Selectors {
		algorithms = append(algorithms, c.key(ctx, s+"."+base, true)...)
	}
	if !wild && !c.Brief {
		for _, s := range common {
			if !slices.Contains(c.Selectors, s) {
				algorithms = append(algorithms, c.key(ctx, s+"."+base, false)...)
			}
		}
	}
	switch {
	case c.memory.failedBelow(base): // a key may be where no answer came from
	case !c.hasKey && len(c.Selectors) == 0 && !c.parked && !wild && !c.Brief:
		c.report(NoSelector, base, "no common selector has a key; name yours with --selector")
	case len(algorithms) > 0 && !slices.Contains(algorithms, dkim.RSASHA256):
		c.report(OnlyEd25519, base, "only Ed25519 keys were found, and no RSA key")
	}
	if !c.Brief {
		c.obsolete(ctx, base, len(algorithms) > 0)
	}
}

// wild reports whether a selector that does not exist has a key. A wildcard that revokes is as it
// should be.
func (c *checker) wild(ctx context.Context, base string) (isWild, ok bool) {
	if c.Random == "" {
		return false, true
	}
	a, err := c.Resolver.Lookup(ctx, c.Random+"."+base, dns.TXT)
	if err != nil {
		return false, false
	}
	if len(a.Texts) == 0 {
		return false, true
	}
	if !slices.ContainsFunc(a.Texts, isRevoked) {
		c.report(Wildcard, "*."+base, "because of a wildcard, a selector that does not exist has "+
			"a record").Seen = a.Texts[0]
	}
	return true, true
}

func isRevoked(text string) bool {
	for _, f := range dkim.Lint(text) {
		if f.Code == dkim.FlawRevoked {
			return true
		}
	}
	return false
}

// key checks one selector's record and returns the usable algorithms. It reports no missing
// record for a selector that was only guessed.
func (c *checker) key(ctx context.Context, name string, isKnown bool) []string {
	a, err := c.Resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return nil
	}
	if isKnown || len(a.Texts) > 0 {
		c.size(name, a)
	}
	if len(a.Texts) == 0 {
		if isKnown && len(a.Aliases) == 0 {
			c.missing(ctx, name)
		}
		return nil
	}
	c.hasKey = true
	if len(a.Texts) > 1 {
		c.report(KeySeveral, name, fmt.Sprintf("there are %d TXT records: keep the one of the "+
			"key that signs",
			len(a.Texts)))
	}
	var out []string
	for _, t := range a.Texts {
		c.flaws(name, t, dkim.Repair(t), dkim.Lint)
		if n := c.signedWith[name]; n > 0 && isRevoked(t) {
			c.forget(dkim.FlawRevoked)
			c.report(SignedMissing, name, fmt.Sprintf(
				"the key is revoked, but reports of the last %d days show %s signed with it",
				signedDays, messages(n))).Seen = t
		}
		if r, err := dkim.ParseRecord(t); err == nil {
			out = append(out, r.Key.Algorithm())
			if r.Strict {
				c.strictKeys = append(c.strictKeys, name)
			}
			c.sameKey(name, t, r)
		}
	}
	return out
}

// maxProbed is for how many missing keys of a domain other names are asked for.
const maxProbed = 2

// missing reports that a key is not published, and where it may be instead.
func (c *checker) missing(ctx context.Context, name string) {
	isKey := func(t string) bool {
		_, err := dkim.ParseRecord(t)
		return err == nil
	}
	if c.doubled(ctx, name, "the key's record", isKey, soundKey) {
		return
	}
	if c.probed++; c.probed <= maxProbed && c.misspelled(ctx, name, "_domainkey", isKey, soundKey) {
		return
	}
	if n := c.signedWith[name]; n > 0 {
		c.report(SignedMissing, name, fmt.Sprintf(
			"there is no key record, but reports of the last %d days show %s signed with "+
				"it", signedDays, messages(n)))
		return
	}
	c.report(KeyMissing, name, "there is no key record")
}

// leftovers are names of records of methods before DKIM, and names as they are misspelled. What is
// there counts when a tag of the method is in it.
var leftovers = []struct {
	label string
	ssp   bool
}{
	{
		"_adsp._domainkey",
		false,
	}, {"_adsp._domiankey", false}, {"_adsp._domainkeys", false}, {"_adsp._domankey", false},
	{"_adsp", false},
	{"_policy._domainkey", true}, {"_ssp._domainkey", true}, {"_ssp", true},
}

func (c *checker) obsolete(ctx context.Context, base string, hasKey bool) {
	a, err := c.Resolver.Lookup(ctx, base, dns.TXT)
	if err == nil {
		for _, t := range a.Texts {
			if isDomainKeys(t) {
				c.report(DomainKeys, base, "there is a DomainKeys policy, which DKIM has "+
					"replaced: delete it").Seen = t
			}
		}
		if a.Status == dns.NXDomain && hasKey {
			c.report(EmptyNode, base, "the name servers answer that the name does not exist, "+
				"although a key exists below it")
		}
	}
	for _, l := range leftovers {
		name := l.label + "." + c.name
		a, err := c.memory.guess(ctx, name, dns.TXT)
		if err != nil {
			continue
		}
		for _, t := range a.Texts {
			switch {
			case l.ssp && (isDomainKeys(t) || strings.Contains(t, "dkim=")):
				c.report(SSP, name,
					"there is a record for Sender Signing Practices, which never became a "+
						"standard: delete it").Seen = t
			case !l.ssp && strings.Contains(strings.ToLower(strings.ReplaceAll(t, " ", "")),
				"dkim="):
				c.report(ADSP, name, adspText(l.label)).Seen = t
			}
		}
	}
}

func adspText(label string) string {
	text := "there is an ADSP record, a method that was abandoned in 2013: delete it; DMARC has " +
		"replaced it"
	if label != "_adsp._domainkey" {
		text += " (the name is misspelled, so no receiver ever used the record)"
	}
	return text
}

// isDomainKeys reports whether a text is a policy of DomainKeys: o=~ or o=-, and tags that go with
// it, and no key.
func isDomainKeys(text string) bool {
	for tag := range strings.SplitSeq(strings.ReplaceAll(text, " ", ""), ";") {
		tag = strings.ToLower(tag)
		if tag == "o=~" || tag == "o=-" || tag == "o=." || tag == "o=!" ||
			tag == "t=y" && !strings.Contains(text, "p=") {
			return true
		}
	}
	return false
}
