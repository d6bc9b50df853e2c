package domains

import (
	"net/netip"
	"slices"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// breaks are the codes that say that receivers answer permerror.
var breaks = slices.Concat(broken, []check.Code{spf.FlawIncludeGone})

// refused are the codes of records that the daemon does not take for a key.
var refused = append(slices.DeleteFunc(slices.Clone(unusable),
	func(c check.Code) bool { return c == KeyMismatch }), dkim.FlawRevoked)

func has(r Result, codes []check.Code) bool {
	return slices.ContainsFunc(r.Findings,
		func(f Finding) bool { return slices.Contains(codes, f.Code) })
}

// agrees holds that the findings say what the daemon's evaluators say of the same zone.
func agrees(t *testing.T, c zoneCase, resolver dns.Resolver, r Result) {
	t.Helper()
	stranger := spf.Identity{IP: netip.MustParseAddr("192.0.2.250"), MailFrom: "a@" +
		r.Domain.String()}
	verdict := (&spf.Checker{Resolver: resolver}).Check(t.Context(), stranger)
	if isBroken := verdict.Value == spf.Permerror; isBroken != has(r, breaks) &&
		!slices.Contains(r.codes(), spf.FlawPasted) {
		t.Errorf("%s: the daemon says %s (%s), the findings %q", c.add, verdict.Value,
			verdict.Reason, r.codes())
	}
	policy := (&dmarc.Checker{Resolver: resolver}).Discover(t.Context(),
		[]dmarc.Author{{Domain: r.Domain}}).Weigh(t.Context(), nil)
	if r.Policy != string(policy.Requested) {
		t.Errorf("%s: the daemon says policy %q, the check %q", c.add, policy.Requested, r.Policy)
	}
	for _, f := range r.Findings {
		if slices.Contains(refused, f.Code) && f.Seen != "" {
			if _, err := dkim.ParseRecord(f.Seen); err == nil && f.Code != dkim.FlawPasted {
				t.Errorf("%s: the daemon takes %q", f.Code, f.Seen)
			}
		}
	}
}

func (r Result) codes() []check.Code {
	var out []check.Code
	for _, f := range r.Findings {
		out = append(out, f.Code)
	}
	return out
}
