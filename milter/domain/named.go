package domain

import (
	"fmt"
	"strings"
)

// named is an error about a name that an operator wrote. It wraps ErrInvalid.
type named struct{ text string }

func (e named) Error() string { return e.text }

func (e named) Unwrap() error { return ErrInvalid }

// ParseNamed is Parse for a name that an operator wrote: its error names it.
func ParseNamed(s string) (Name, error) {
	n, err := Parse(s)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), ErrInvalid.Error())
		return "", named{fmt.Sprintf("%.80q is not a domain name%s", s, why)}
	}
	return n, nil
}

// ParseMail is ParseNamed for a domain of mail, which has two labels or more, none of them the
// label of a record.
func ParseMail(s string) (Name, error) {
	if err := CheckDomain(s); err != nil {
		return "", named{err.Error()}
	}
	n, err := ParseNamed(s)
	switch {
	case err != nil:
		return "", named{fmt.Sprintf("%s; write a domain such as %s", err, suggestion(s))}
	case n.Labels() < 2:
		return "", named{fmt.Sprintf("%.80q is not a mail domain, such as example.com: it has one "+
			"label", s)}
	}
	if at := recordLabel(n); at != "" {
		return "", named{fmt.Sprintf("%.80q is not a mail domain: %s is the label of a DNS record; "+
			"write a domain such as %s", s, at, belowRecord(n))}
	}
	return n, nil
}

// ParseSelector reads a selector: one label or several (RFC 6376 section 3.1). The error names it
// and shows what one looks like.
func ParseSelector(s string) (string, error) {
	if err := CheckSelector(s); err != nil {
		return "", err
	}
	const suffix = "._domainkey.example.com"
	n, err := Parse(s + suffix)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": ")
		return "", named{fmt.Sprintf("%.80q is not a selector, such as mail or 2026a: %s", s, why)}
	}
	return strings.TrimSuffix(n.String(), suffix), nil
}

// suggestion is the domain that was probably meant: of an address or a URL its domain.
func suggestion(s string) string {
	if _, rest, isURL := strings.Cut(s, "://"); isURL {
		s, _, _ = strings.Cut(rest, "/")
	}
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		s = strings.TrimRight(s[at+1:], ">")
	}
	s = strings.TrimPrefix(strings.TrimSpace(s), "*.")
	if n, err := Parse(s); err == nil && n.Labels() > 1 && recordLabel(n) == "" {
		return n.String()
	}
	return "example.com"
}

// recordLabel is the first label of n that is never part of a mail domain, "" if it has none: that
// of a name at which a record about mail is published (RFC 8552).
func recordLabel(n Name) string {
	for _, label := range strings.Split(n.String(), ".") {
		if strings.HasPrefix(label, "_") {
			return label
		}
	}
	return ""
}

// belowRecord is the domain that the name of a record is about, or an example.
func belowRecord(n Name) string {
	labels := strings.Split(n.String(), ".")
	for i := len(labels) - 1; i >= 0; i-- {
		if strings.HasPrefix(labels[i], "_") {
			labels = labels[i+1:]
			break
		}
	}
	if len(labels) < 2 {
		return "example.com"
	}
	return strings.Join(labels, ".")
}
