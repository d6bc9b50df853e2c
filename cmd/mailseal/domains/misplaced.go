package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/lint"
	"mailseal/milter/spf"
)

// slips are labels that people write for others.
var slips = map[string][]string{
	"_dmarc":        {"dmarc", "_dmrac", "_damrc", "_dmark", "_darmc"},
	"_mta-sts":      {"mta-sts", "_mta_sts"},
	"default._bimi": {"_bimi", "default.bimi"},
	"_smtp._tls":    {"_tls", "_smtp-tls", "_smtp.tls", "_tls._smtp"},
	"_domainkey":    {"", "_domainkeys", "_domiankey", "_domankey", "domainkey"}, // "": left out
}

// misspelled searches for a missing record at names that result from a typing mistake. It
// reports whether there is one. The record to publish is the one that repair returns, ""
// for none.
func (c *checker) misspelled(ctx context.Context, at, label string, isRecord func(string) bool,
	repair func(string) string) bool {
	if c.Brief {
		return false
	}
	before, after, _ := strings.Cut(at, label)
	for _, slip := range slips[label] {
		name := strings.ReplaceAll(before+slip+after, "..", ".")
		a, err := c.memory.guess(ctx, name, dns.TXT)
		if err != nil {
			continue
		}
		for _, t := range a.Texts {
			if !isRecord(t) {
				continue
			}
			f := c.report(Misspelled, name, fmt.Sprintf("the record of %s is at %s", at, name))
			f.Seen, f.Publish = t, toPublish(at, repair(t))
			return true
		}
	}
	return false
}

// doubled looks for a record that is missing at its name with the domain appended once more, and
// reports whether one is there.
func (c *checker) doubled(ctx context.Context, at, what string, isRecord func(string) bool,
	repair func(string) string) bool {
	name := at + "." + c.name
	a, err := c.memory.guess(ctx, name, dns.TXT)
	if err != nil {
		return false
	}
	for _, t := range a.Texts {
		if isRecord(t) {
			f := c.report(Misplaced, name, what+" is at "+name)
			f.Seen, f.Publish = t, toPublish(at, repair(t))
			return true
		}
	}
	return false
}

// toPublish is the TXT record to publish at a name, none for "".
func toPublish(name, text string) []publish.Record {
	if text == "" {
		return nil
	}
	return []publish.Record{{Name: name, Text: text}}
}

// soundDMARC is the DMARC record that was meant by a text, "" when that is not known.
func soundDMARC(text string) string {
	isSound := func(text string) bool {
		_, err := dmarc.Parse(text)
		return err == nil && !slices.ContainsFunc(dmarc.Lint(text), isError)
	}
	if isSound(text) {
		return text
	}
	if repaired, ok := dmarc.Repair(text); ok && isSound(repaired) {
		return repaired
	}
	return ""
}

func isError(f lint.Flaw) bool { return byCode[check.Code(f.Code)].Severity == fail }

// soundSPF is the SPF record that was meant by a text, "" when that is not known.
func (c *checker) soundSPF(ctx context.Context) func(string) string {
	return func(text string) string {
		repaired, left := c.correctedSPF(ctx, text)
		isBad := func(f spf.Found) bool { return slices.Contains(broken, check.Code(f.Code)) }
		if slices.ContainsFunc(left, isBad) {
			return ""
		}
		return repaired
	}
}

// soundKey is the key record that was meant by a text, "" when that is not known.
func soundKey(text string) string {
	if _, err := dkim.ParseRecord(text); err == nil &&
		!slices.ContainsFunc(dkim.Lint(text), isError) {
		return text
	}
	return dkim.Repair(text)
}

// soundIndicator is the BIMI record that was meant by a text, "" when that is not known.
func soundIndicator(text string) string {
	if indicatorMistake(text) == "" {
		return text
	}
	return correctIndicator(text)
}
