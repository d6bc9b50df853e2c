package inspect

import (
	"context"
	"errors"
	"fmt"

	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/store"
)

// maxDetailQuestions bounds what Describe asks the DNS about keys and names, which reports choose.
const maxDetailQuestions = 100

// Describe asks the DNS about keys that signed mail, by the names of their records, and about names
// that mail had in From. What the DNS does not answer is unknown, and no error.
func Describe(ctx context.Context, r dns.Resolver, keys, names []string) store.OwnDetail {
	r = dns.NewCache(&bounded{next: r, left: maxDetailQuestions}, dns.CacheOptions{})
	var out store.OwnDetail
	for _, k := range keys {
		out.Keys = append(out.Keys, describeKey(ctx, r, k))
	}
	for _, n := range names {
		name, err := domain.Parse(n)
		if err != nil {
			continue // reports may have anything in From
		}
		out.Names = append(out.Names, describeName(ctx, r, name))
	}
	return out
}

// describeKey asks for the record of a key.
func describeKey(ctx context.Context, r dns.Resolver, name string) store.OwnKeySeen {
	out := store.OwnKeySeen{Name: name, State: store.KeyUnknown}
	a, err := r.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return out
	}
	if len(a.Texts) == 0 {
		out.State = store.KeyMissing
		return out
	}
	record, err := dkim.ParseRecord(a.Texts[0])
	var wrong *dkim.RecordError
	switch {
	case errors.As(err, &wrong) && wrong.State == dkim.KeyRevoked:
		out.State = store.KeyRevoked
	case err != nil:
		out.State = store.KeyBroken
	default:
		out.State, out.Kind = store.KeyThere, "Ed25519"
		if record.Key.Algorithm() == dkim.RSASHA256 {
			out.Kind = fmt.Sprint("RSA ", record.Key.Bits())
		}
	}
	return out
}

// describeName asks if a name exists, and which policy holds for it. As for np=, it does not exist
// if the DNS says NXDOMAIN of the name itself, and not of what it is an alias of (RFC 9989 section
// 4.8, RFC 8020 section 2).
func describeName(ctx context.Context, r dns.Resolver, name domain.Name) store.OwnName {
	out := store.OwnName{Name: name.String()}
	a, err := r.Lookup(ctx, name.String(), dns.TXT)
	switch {
	case err != nil:
	case a.Status == dns.NXDomain && len(a.Aliases) == 0:
		out.Exists = "no"
	default:
		out.Exists = "yes"
	}
	checker := &dmarc.Checker{Resolver: r}
	got := checker.Discover(ctx, []dmarc.Author{{Domain: name}}).Weigh(ctx, nil)
	if got.Record != nil {
		out.Policy, out.Tag = string(got.Requested), got.Tag
		out.At = got.PolicyDomain.String()
	}
	return out
}
