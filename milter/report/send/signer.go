package send

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"mime/quotedprintable"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
	"mailseal/milter/taglist"
)

// SignerRecord is what a domain publishes at _report._domainkey (RFC 6651 section 3.2) for those who
// find a signature of it with r=y that fails.
type SignerRecord struct {
	Local   string   // ra, the local part of the address at the domain; "": no reports
	Percent int      // rp
	Reasons []string // rr, letters
}

// SignerName is the DNS name of the record of a domain.
func SignerName(domain string) string { return "_report._domainkey." + domain }

// ParseSigner reads such a record. The error says what is wrong with it.
func ParseSigner(text string) (SignerRecord, error) {
	r := SignerRecord{Percent: 100, Reasons: []string{"all"}}
	tags, err := taglist.Parse(text)
	if err != nil {
		return r, err
	}
	if v, has := tags.Value("ra"); has {
		local, err := unquote(v)
		if err != nil || len(report.Addresses([]string{"mailto:" + local + "@example.com"})) == 0 {
			return r, fmt.Errorf("ra=%s is not the local part of an address", printable(v))
		}
		r.Local = local
	}
	if v, has := tags.Value("rp"); has {
		r.Percent, err = strconv.Atoi(v)
		if err != nil || r.Percent < 0 || r.Percent > 100 {
			return r, fmt.Errorf("rp=%s is not a number from 0 to 100", printable(v))
		}
	}
	if v, has := tags.Value("rr"); has {
		r.Reasons = nil
		for word := range strings.SplitSeq(v, ":") {
			r.Reasons = append(r.Reasons, strings.ToLower(strings.TrimSpace(word)))
		}
	}
	return r, nil
}

// unquote reads dkim-quoted-printable (RFC 6376 section 2.11).
func unquote(v string) (string, error) {
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(taglist.Compact(v))))
	return string(text), err
}

// wants reports whether the owner wants to hear of a failure: rr has "all", "v" for a signature
// that does not verify, or "o" for others (RFC 6651 section 3.2).
func (r SignerRecord) wants(failed string) bool {
	letter := "v"
	if failed == report.FailedRevoked {
		letter = "o"
	}
	return slices.Contains(r.Reasons, "all") || slices.Contains(r.Reasons, letter)
}

// signer is the address to which a signer wants a report to go.
func (a *Authorizer) signer(ctx context.Context, f store.OutFailure) (report.Address, string, error) {
	name := SignerName(f.Domain)
	answer, err := a.Resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return report.Address{}, "", fmt.Errorf("the DNS does not say where reports go: %w", err)
	}
	if len(answer.Texts) != 1 {
		return report.Address{}, fmt.Sprintf("not wanted: %s has %d TXT records, not one", name, len(answer.Texts)), nil
	}
	r, err := ParseSigner(answer.Texts[0])
	switch {
	case err != nil:
		return report.Address{}, fmt.Sprintf("not wanted: the record at %s is invalid: %s", name, err), nil
	case r.Local == "":
		return report.Address{}, "not wanted: the record at " + name + " has no ra", nil
	case !r.wants(f.Sample.Failed):
		return report.Address{}, "not wanted: rr at " + name + " leaves such failures out", nil
	case share(f.ID) >= r.Percent:
		return report.Address{}, fmt.Sprintf("not wanted: rp=%d at %s, and this one is among the others", r.Percent, name), nil
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
