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

// ParseMail is ParseNamed for a domain of mail, which has two labels or more.
func ParseMail(s string) (Name, error) {
	n, err := ParseNamed(s)
	if err == nil && n.Labels() < 2 {
		return "", named{fmt.Sprintf("%.80q is not a mail domain, such as example.com: it has one "+
			"label", s)}
	}
	return n, err
}
