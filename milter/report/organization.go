package report

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Organization returns the organizational domain of a name by the Public Suffix List, which asks no
// DNS; "" for a public suffix, below which strangers to each other have their names.
func Organization(name string) string {
	out, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return out
}

// senders are the domains that large reporters mail from, where it is not that of the address in
// their reports.
var senders = map[string]string{"yahooinc.com": "dmarc.yahoo.com"}

// Vouches reports whether mail whose author is at the domain from, and which was authenticated for
// it, proves a reporter: from is the reporter's domain, or lies in its organizational domain (RFC
// 9990 section 3.5.2). Neither a name without a dot nor one that is related by a public suffix
// alone proves anything, nor does a domain at which anyone can have an address.
func Vouches(from, reporter string) bool {
	if _, domain, ok := strings.Cut(reporter, "@"); ok { // see ReporterKey
		reporter = domain
	}
	suffix, isICANN := publicsuffix.PublicSuffix(from)
	if !strings.Contains(from, ".") || isICANN && suffix == from || isMailboxes(from) {
		return false
	}
	if from == reporter || Below(from, senders[reporter]) {
		return true
	}
	organization := Organization(reporter)
	return organization != "" && Below(from, organization)
}

// known are the large reporters that are known by name, and the organizational domains that they
// report from.
var known = []struct {
	words   []string
	domains []string
}{
	{[]string{"google", "gmail"}, []string{"google.com"}},
	{[]string{"microsoft", "outlook", "hotmail", "office365"},
		[]string{"microsoft.com", "outlook.com", "hotmail.com"}},
	{[]string{"yahoo", "aol"}, []string{"yahooinc.com", "yahoo.com", "yahoo-inc.com", "aol.com"}},
	{[]string{"apple", "icloud"}, []string{"apple.com", "icloud.com"}},
	{[]string{"amazon"}, []string{"amazon.com", "amazonses.com"}},
	{[]string{"mail.ru"}, []string{"mail.ru"}},
	{[]string{"comcast"}, []string{"comcast.net"}},
	{[]string{"gmx", "web.de"}, []string{"gmx.net", "web.de", "gmx.de", "gmx.com"}},
}

// PlausibleName returns the name that a reporter gives itself, or "" if it is another's: a domain
// of another organization than that of key, which is what reports are grouped by, or the name of a
// large reporter that reports from other domains. Names that are less known are what they are.
func PlausibleName(org, key string) string {
	own := key[strings.LastIndexByte(key, '@')+1:]
	organization := Organization(own)
	name := strings.ToLower(strings.TrimSpace(org))
	for _, k := range known {
		isNamed := slices.ContainsFunc(k.words,
			func(word string) bool { return strings.Contains(name, word) })
		switch {
		case isNamed && slices.Contains(k.domains, organization):
			return org
		case isNamed:
			return ""
		}
	}
	claimed := parseName(name)
	if isName := strings.Contains(claimed, ".") && !strings.ContainsAny(claimed, " /"); isName &&
		Organization(claimed) != "" && Organization(claimed) != organization {
		return ""
	}
	return org
}
