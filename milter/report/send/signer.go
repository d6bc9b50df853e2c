package send

import (
	"context"
	"fmt"
	"hash/fnv"

	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// signer is the address to which a signer wants a report to go (RFC 6651 section 3.3). It is at the
// signer's own domain, so that no other domain needs to agree.
func (a *Authorizer) signer(ctx context.Context, f store.OutFailure) (report.Address, string, error) {
	name := dkim.ReportingName(f.Domain)
	answer, err := a.Resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return report.Address{}, "", fmt.Errorf("the DNS does not say where reports go: %w", err)
	}
	if len(answer.Texts) != 1 {
		return report.Address{}, fmt.Sprintf("not wanted: %s has %d TXT records, not one", name, len(answer.Texts)), nil
	}
	kind := dkim.FailsVerification
	if f.Sample.Failed == report.FailedRevoked {
		kind = dkim.FailsOther
	}
	r, err := dkim.ParseReporting(answer.Texts[0])
	switch {
	case err != nil:
		return report.Address{}, fmt.Sprintf("not wanted: the record at %s is invalid: %s", name, err), nil
	case r.Local == "":
		return report.Address{}, "not wanted: the record at " + name + " has no ra", nil
	case !r.Wants(kind):
		return report.Address{}, "not wanted: rr at " + name + " leaves such failures out", nil
	case share(f.ID) >= r.Percent:
		return report.Address{}, fmt.Sprintf("not wanted: rp=%d at %s, and this one is "+
			"among the others", r.Percent, name), nil
	}
	return report.Address{Local: r.Local, Host: f.Domain}, "", nil
}

// share is a number from 0 to 99 that follows from an ID, so that an attempt that is made again
// comes to the same.
func share(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % 100)
}
