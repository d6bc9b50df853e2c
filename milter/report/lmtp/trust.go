package lmtp

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/report"
)

// Trust finds out for which domain a mail was authenticated. Reports are mailed by anyone who
// likes: only a mail that is authenticated for the reporter's domain proves who reports (RFC 9990
// section 3.5.2).
type Trust struct {
	// IDs are the authserv-ids of our own daemon, which removes fields that claim them from
	// strangers' mail. Without any, Authentication-Results are not believed.
	IDs []string

	Resolver dns.Resolver // for keys of DKIM; nil: signatures are not looked at
	Now      func() time.Time
}

// Bounds of what is read of a mail for its signatures.
const (
	maxHeader   = 1 << 20 // bytes
	dkimTimeout = 15 * time.Second
)

// Domain returns the domain of the author of a mail if the mail was authenticated for it, by the
// verdict of our own daemon, else by its signatures; else "". A pass for any other domain, such as
// that of a mailing service, says nothing about who the author is.
func (t *Trust) Domain(ctx context.Context, mail []byte) string {
	header, err := message.Read(bytes.NewReader(mail), maxHeader, noBody)
	if err != nil {
		return ""
	}
	author, err := header.Header.Author()
	if err != nil {
		return "" // no author, or several
	}
	from := author.Domain.String()
	passed, failed := t.verdict(header.Header, from)
	if passed || !failed && t.isSigned(ctx, mail, from) {
		return from
	}
	return ""
}

func noBody(message.Header) []message.BodyHash { return nil }

// verdict reads what our daemon wrote: a pass of DMARC, or of DKIM where DMARC says nothing. SPF
// alone names the host that forwarded a report, and is not asked. Only the topmost field with our
// id is read: one below it is of a host before this one, or forged.
func (t *Trust) verdict(h message.Header, from string) (passed, failed bool) {
	for _, i := range h.Fields(authres.FieldName) {
		f, err := authres.Parse(h[i].Value())
		if err != nil || !t.isOurs(f.ID) {
			continue
		}
		for _, r := range f.Results {
			isPass := r.Value == "pass"
			failed = failed || r.Method == "dmarc" && r.Value == "fail"
			for _, p := range r.Properties {
				value, err := domain.Parse(p.Value)
				if err != nil || p.Type != "header" || !isPass {
					continue
				}
				passed = passed || r.Method == "dmarc" && p.Name == "from" &&
					value.String() == from ||
					r.Method == "dkim" && p.Name == "d" && isSigner(value.String(), from)
			}
		}
		return passed && !failed, failed
	}
	return false, false
}

func (t *Trust) isOurs(id string) bool {
	return slices.ContainsFunc(t.IDs, func(ours string) bool { return strings.EqualFold(ours, id) })
}

// isSigner reports whether a signature of the domain d speaks for an author at from: d is that
// domain or its organizational domain, as RFC 9989 section 4.8 has it, without what it allows
// beyond: the name of a customer below a provider's does not speak for the provider.
func isSigner(d, from string) bool { return d == from || d == report.Organization(from) }

// isSigned verifies the signatures of a mail as it came here, until one speaks for its author.
func (t *Trust) isSigned(ctx context.Context, mail []byte, from string) bool {
	if t.Resolver == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, dkimTimeout)
	defer cancel()
	v := &dkim.Verifier{Resolver: t.Resolver, Now: t.Now}
	var run *dkim.Verification
	m, err := message.Read(bytes.NewReader(mail), maxHeader,
		func(h message.Header) []message.BodyHash {
			run = v.Select(h, "")
			return run.BodyHashes()
		})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(run.Run(ctx, m), func(r dkim.Result) bool {
		return r.Value == dkim.Pass && !r.Testing && isSigner(string(r.Domain), from)
	})
}
