package verify

import (
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
)

// identifiers are the domains that SPF and DKIM authenticated, or might have if the DNS had
// answered (RFC 9989 sections 4.4.1 and 4.4.2). SPF counts for MAIL FROM alone; for the null sender
// that is postmaster at the HELO name.
func (r *Results) identifiers() []dmarc.Identifier {
	var out []dmarc.Identifier
	add := func(method dmarc.Method, name, selector, value string) {
		d, err := domain.Parse(name)
		if err != nil || value != "pass" && value != "temperror" {
			return
		}
		out = append(out,
			dmarc.Identifier{Method: method, Domain: d, Selector: selector,
				Temporary: value == "temperror"})
	}
	if s := r.MailFromSPF(); s != nil {
		add(dmarc.SPF, string(s.Domain), "", string(s.Value))
	}
	for _, s := range r.DKIM {
		add(dmarc.DKIM, s.Domain, s.Selector, string(s.Value))
	}
	return out
}
