package domains

import (
	"context"
	"fmt"
	"strings"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
)

// slips are labels that people write for others.
var slips = map[string][]string{
	"_dmarc":        {"dmarc", "_dmrac", "_damrc", "_dmark", "_darmc"},
	"_mta-sts":      {"mta-sts", "_mta_sts"},
	"default._bimi": {"_bimi", "default.bimi"},
	"_smtp._tls":    {"_tls", "_smtp-tls", "_smtp.tls", "_tls._smtp"},
	"_domainkey":    {"", "_domainkeys", "_domiankey", "_domankey", "domainkey"}, // "": left out
}

// misspelled looks for a record that is missing at a name that a slip of the pen has made of its own.
// It reports whether one is there.
func (c *checker) misspelled(ctx context.Context, at, label string, isRecord func(string) bool) bool {
	if c.Brief {
		return false
	}
	before, after, _ := strings.Cut(at, label)
	for _, slip := range slips[label] {
		name := strings.ReplaceAll(before+slip+after, "..", ".")
		a, err := c.Resolver.Lookup(ctx, name, dns.TXT)
		if err != nil {
			continue
		}
		for _, t := range a.Texts {
			if !isRecord(t) {
				continue
			}
			f := c.report(Misspelled, name, fmt.Sprintf("the record of %s is at %s", at, name))
			f.Seen, f.Publish = t, []publish.Record{{Name: at, Text: t}}
			return true
		}
	}
	return false
}
