package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// ErrInvalid means that a report violates RFC 9990.
var ErrInvalid = errors.New("not a valid report")

// checked is what Check looks at.
type checked struct {
	XMLName xml.Name `xml:"feedback"`
	Version *string  `xml:"version"`
	ID      string   `xml:"report_metadata>report_id"`
	Begin   int64    `xml:"report_metadata>date_range>begin"`
	End     int64    `xml:"report_metadata>date_range>end"`
	P       string   `xml:"policy_published>p"`
	SP      string   `xml:"policy_published>sp"`
	NP      string   `xml:"policy_published>np"`
	Domain  string   `xml:"policy_published>domain"`
	Records []struct {
		IP          string     `xml:"row>source_ip"`
		Count       int64      `xml:"row>count"`
		Disposition string     `xml:"row>policy_evaluated>disposition"`
		DKIM        string     `xml:"row>policy_evaluated>dkim"`
		SPF         string     `xml:"row>policy_evaluated>spf"`
		Reasons     []struct{} `xml:"row>policy_evaluated>reason"`
		From        string     `xml:"identifiers>header_from"`
	} `xml:"record"`
}

// Check finds what RFC 9990 forbids and its schema lets pass: another version, a row that failed,
// was treated otherwise than published and has no reason, a count below 1, an address with a zone,
// a Report-ID that is not a dot-atom with an optional domain, and a period that ends before it
// begins. The schema finds the rest.
func Check(text []byte) error {
	var f checked
	d := xml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&f); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) && err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case f.Version != nil && *f.Version != "1.0":
		return fmt.Errorf("%w: version %q, not 1.0", ErrInvalid, *f.Version)
	case !isReportID(f.ID):
		return fmt.Errorf("%w: report_id %q", ErrInvalid, f.ID)
	case f.End < f.Begin:
		return fmt.Errorf("%w: it ends at %d, before it begins at %d", ErrInvalid, f.End, f.Begin)
	case len(f.Records) == 0:
		return fmt.Errorf("%w: it has no record", ErrInvalid)
	}
	for i, r := range f.Records {
		passes := r.DKIM == "pass" || r.SPF == "pass"
		a, err := netip.ParseAddr(r.IP)
		switch {
		case err != nil || a.Zone() != "":
			return fmt.Errorf("%w: record %d: source_ip %q", ErrInvalid, i+1, r.IP)
		case r.Count < 1:
			return fmt.Errorf("%w: record %d: count %d", ErrInvalid, i+1, r.Count)
		case !passes && len(r.Reasons) == 0 && !f.isPublished(r.Disposition, r.From):
			return fmt.Errorf("%w: record %d: it failed, disposition %q is not the published "+
				"policy, and no reason is given",
				ErrInvalid, i+1, r.Disposition)
		}
	}
	return nil
}

// isPublished reports whether a disposition is one that the policy asks for, for mail from a
// domain. Below the policy's own domain it is sp or np, and a report does not say which.
func (f *checked) isPublished(disposition, from string) bool {
	if strings.EqualFold(from, f.Domain) {
		return disposition == f.P
	}
	sp := f.SP
	if sp == "" {
		sp = f.P
	}
	np := f.NP
	if np == "" {
		np = sp
	}
	return disposition == sp || disposition == np
}

// isReportID reports whether a text is a Report-ID (RFC 9990 section 3.5.2): a dot-atom, optionally
// with an at sign and a domain.
func isReportID(s string) bool {
	left, right, hasDomain := strings.Cut(s, "@")
	return isDotAtom(left) && (!hasDomain || isDotAtom(right))
}

func isDotAtom(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		for _, c := range []byte(part) {
			isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !isLetter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", rune(c)) {
				return false
			}
		}
	}
	return true
}
