package domain

import (
	"fmt"
	"slices"
	"strings"
)

// keyLabel is between selector and domain in the name of a key's record (RFC 6376 section
// 3.6.2.1).
const keyLabel = "_domainkey"

// SplitRecord splits the name of a key's record: "mail._domainkey.example.com" into mail and
// example.com. If the label _domainkey is the first or last one, the selector or the domain is "".
// The result is false for a name without the label.
func SplitRecord(name string) (selector, domain string, ok bool) {
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(name), "."), ".")
	i := slices.Index(labels, keyLabel)
	if i < 0 {
		return "", "", false
	}
	return strings.Join(labels[:i], "."), strings.Join(labels[i+1:], "."), true
}

// CheckSelector refuses a selector that is the name of a record, or a part of it with the label
// _domainkey: the record of such a key would be looked up where it is not published.
func CheckSelector(s string) error {
	selector, _, isRecord := SplitRecord(s)
	switch {
	case !isRecord:
		return nil
	case selector == "":
		return fmt.Errorf(
			"%q has the label _domainkey, which is added to every selector: write only the part "+
				"before it", s)
	}
	return fmt.Errorf("%q has the label _domainkey, which is added to every selector: write %q", s,
		selector)
}

// CheckDomain does the same for a domain that signs.
func CheckDomain(s string) error {
	selector, domain, isRecord := SplitRecord(s)
	switch {
	case !isRecord:
		return nil
	case selector == "" || domain == "":
		return fmt.Errorf("%q has the label _domainkey, which is not part of a domain that signs",
			s)
	}
	return fmt.Errorf("%q is the name of a record: the domain is %q, the selector %q", s, domain,
		selector)
}
