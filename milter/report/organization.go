package report

import (
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
