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
	"mailseal/milter/message"
)

// Trust finds out for which domains a mail was authenticated. Reports are mailed by anyone who
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

// Domains returns the domains that a mail was authenticated for: by the verdict of our own daemon,
// else by its signatures.
func (t *Trust) Domains(ctx context.Context, mail []byte) []string {
	header, err := message.Read(bytes.NewReader(mail), maxHeader, func(message.Header) []message.BodyHash { return nil })
	if err != nil {
		return nil
	}
	if found := t.verdicts(header.Header); len(found) > 0 {
		return found
	}
	return t.signatures(ctx, mail)
}

// verdicts reads what our daemon wrote: a pass of DMARC or DKIM. SPF alone names the host that
// forwarded a report, and is not asked.
func (t *Trust) verdicts(h message.Header) (out []string) {
	for _, i := range h.Fields(authres.FieldName) {
		f, err := authres.Parse(h[i].Value())
		if err != nil || !slices.ContainsFunc(t.IDs, func(id string) bool { return strings.EqualFold(id, f.ID) }) {
			continue
		}
		for _, r := range f.Results {
			if r.Value != "pass" {
				continue
			}
			for _, p := range r.Properties {
				isDomain := r.Method == "dmarc" && p.Type == "header" && p.Name == "from" ||
					r.Method == "dkim" && p.Type == "header" && p.Name == "d"
				if isDomain && !slices.Contains(out, p.Value) {
					out = append(out, strings.ToLower(p.Value))
				}
			}
		}
		return out // a field below ours is of a host before this one, or forged
	}
	return nil
}

// signatures verifies the signatures of a mail as it came here.
func (t *Trust) signatures(ctx context.Context, mail []byte) (out []string) {
	if t.Resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dkimTimeout)
	defer cancel()
	v := &dkim.Verifier{Resolver: t.Resolver, Now: t.Now}
	var run *dkim.Verification
	m, err := message.Read(bytes.NewReader(mail), maxHeader, func(h message.Header) []message.BodyHash {
		run = v.Select(h, "")
		return run.BodyHashes()
	})
	if err != nil {
		return nil
	}
	for _, r := range run.Run(ctx, m) {
		if r.Value == dkim.Pass && !r.Testing && !slices.Contains(out, r.Domain) {
			out = append(out, r.Domain)
		}
	}
	return out
}
