package dmarc

import (
	"context"

	"mailseal/milter/domain"
)

// Organization finds the organizational domain of a name (RFC 9989 section 4.10.2). The error is
// that of a lookup.
func (c *Checker) Organization(ctx context.Context, d domain.Name) (domain.Name, error) {
	f := c.finder()
	if c.PublicSuffixList {
		return suffixPlusOne(d), nil
	}
	w, err := f.walk(ctx, d)
	return w.OrganizationalDomain, err
}
