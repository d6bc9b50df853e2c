package dkim

import (
	"context"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dns"
	"mailseal/milter/taglist"
)

// Reporting is the record that a domain publishes at ReportingName (RFC 6651 section 3.2)
// for verifiers that find a failing signature of the domain with r=y.
type Reporting struct {
	Local   string   // ra, the local part of an address at the domain; "": no reports are wanted
	Percent int      // rp: of how many failures, from 0 to 100
	Reasons []string // rr: of which kinds, in letters, or "all"
	Reply   string   // rs: what a sender is to read whose mail is refused; printable ASCII, or ""
}

// ReportingName is the DNS name of the record of a domain.
func ReportingName(domain string) string { return "_report._domainkey." + domain }

// FindReporting looks up the record with which a domain requests reports of failures of a
// kind. A problem means that it does not request them: the record is missing, ambiguous or
// invalid, or excludes the kind. An error means that the DNS did not answer.
func FindReporting(
	ctx context.Context, resolver dns.Resolver, domain, kind string,
) (r Reporting, problem string, err error) {
	name := ReportingName(domain)
	answer, err := resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return r, "", err
	}
	if len(answer.Texts) != 1 {
		return r, fmt.Sprintf("%s has %d TXT records, not one", name, len(answer.Texts)), nil
	}
	r, err = ParseReporting(answer.Texts[0])
	switch {
	case err != nil:
		return r, fmt.Sprintf("the record at %s is invalid: %s", name, err), nil
	case !r.Wants(kind):
		return r, "rr= at " + name + " excludes such failures", nil
	}
	return r, "", nil
}

// ParseReporting reads such a record. The error says what is wrong with it; no receiver reports
// then.
func ParseReporting(text string) (Reporting, error) {
	r := Reporting{Percent: 100, Reasons: []string{"all"}}
	tags, err := taglist.Parse(text)
	if err != nil {
		return r, err
	}
	if v, has := tags.Value("ra"); has {
		local, err := unquote(v)
		if err != nil || !isLocalPart(local) {
			return r, fmt.Errorf("ra=%s is not the local part of an address", clip(v))
		}
		r.Local = local
	}
	if v, has := tags.Value("rp"); has {
		r.Percent, err = strconv.Atoi(v)
		if err != nil || r.Percent < 0 || r.Percent > 100 {
			return r, fmt.Errorf("rp=%s is not a number from 0 to 100", clip(v))
		}
	}
	if v, has := tags.Value("rs"); has {
		if reply, err := unquote(v); err == nil {
			r.Reply = printableReply(reply)
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

// Wants reports whether the owner wants to hear of failures of a kind, which is a letter.
func (r Reporting) Wants(kind string) bool {
	return slices.Contains(r.Reasons, "all") || slices.Contains(r.Reasons, kind)
}

// The kinds of failures in rr that a verifier without local policies may find.
const (
	FailsVerification = "v" // the signature does not fit what is signed
	FailsOther        = "o" // such as a key that was taken back
)

// maxReply is how much of rs is taken, in bytes: with our own text it fits into a line of a reply.
const maxReply = 200

// printableReply leaves printable ASCII of a text that a stranger publishes.
func printableReply(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), maxReply)])
	return strings.TrimSpace(s)
}

// unquote reads dkim-quoted-printable (RFC 6376 section 2.11).
func unquote(v string) (string, error) {
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(taglist.Compact(v))))
	return string(text), err
}

// isLocalPart reports whether a text is a dot-atom (RFC 5322 section 3.2.3) that fits into an
// address. Quoted local parts are in no record that anyone has seen.
func isLocalPart(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, c := range atom {
			isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !isLetter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c) {
				return false
			}
		}
	}
	return true
}
