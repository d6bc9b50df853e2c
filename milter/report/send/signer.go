package send

import (
	"context"
	"fmt"
	"hash/fnv"

	"mailseal/milter/dkim"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// signer is the address to which a signer wants a report to go (RFC 6651 section 3.3). It is at the
// signer's own domain, so that no other domain needs to agree. The report is about as many of the
// incidents as the signer wants to hear of.
func (a *Authorizer) signer(
	ctx context.Context, f *store.OutFailure,
) (report.Address, string, error) {
	kind := dkim.FailsVerification
	if f.Sample.Failed == report.FailedRevoked {
		kind = dkim.FailsOther
	}
	name := dkim.ReportingName(f.Domain)
	r, problem, err := dkim.FindReporting(ctx, a.Resolver, f.Domain, kind)
	switch {
	case err != nil:
		return report.Address{}, "", fmt.Errorf("the DNS did not answer where reports go: %w", err)
	case problem != "":
		return report.Address{}, "not wanted: " + problem, nil
	case r.Local == "":
		return report.Address{}, "not wanted: the record at " + name + " has no ra", nil
	}
	f.Incidents = wanted(f.Incidents, r.Percent, f.ID)
	if f.Incidents == 0 {
		return report.Address{}, fmt.Sprintf("not wanted: rp=%d at %s requests only a share of "+
			"the reports, without this one", r.Percent, name), nil
	}
	return report.Address{Local: r.Local, Host: f.Domain}, "", nil
}

// wanted is how many of like incidents are reported where their owner wants a percentage of them
// (rp): what is over after the whole ones is decided by the ID, so that an attempt that is made
// again comes to the same.
func wanted(incidents int64, percent int, id string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return (incidents*int64(percent) + int64(h.Sum32()%100)) / 100
}
