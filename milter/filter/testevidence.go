package filter

import (
	"slices"
	"strings"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dkim/diagnose"
	"mailseal/milter/dmarc"
	"mailseal/milter/message"
	"mailseal/milter/report/evidence"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// keepTest keeps what was found of mail to the address for tests that is not answered in the reply:
// a bounce, mail of a relay, and mail to others besides. Its sender knows the page where the
// recipient has a token; without one no visitor would, unless every test is taken and answered by
// mail.
func (in *inbound) keepTest(j judgment, out milter.Outcome) {
	t := in.filter.Test
	if t.Keeper == nil || out.Action == action.Tempfail {
		return
	}
	for _, to := range in.Envelope.Recipients {
		if !t.matches(to) {
			continue
		}
		token := evidence.TokenOf(to)
		if token == "" && !(t.Accept && t.isFor(in.Mail)) {
			continue
		}
		if token == "" {
			token = evidence.NewToken()
		}
		reply := milter.Reply{Code: 250}
		if out.Action == action.Reject {
			reply = out.Reply
		}
		in.keep(j, token, to, reply)
		return
	}
}

// keep keeps what was found, and reports whether there will be a page.
func (in *inbound) keep(j judgment, token, to string, reply milter.Reply) bool {
	env, r := in.Envelope, j.results
	if !in.filter.Test.Keeper.Admit(r.Client) {
		return false
	}
	m := evidence.Mail{
		Token: token, Time: in.filter.Test.Now(), Host: in.id,
		Client: r.Client, ClientName: env.ClientName, Helo: env.Helo,
		TLS:    strings.TrimSpace(env.TLSVersion + " " + env.TLSCipher),
		Sender: env.Sender, Recipient: to, Recipients: len(env.Recipients),
		SPF: r.MailFromSPF(), Action: j.decision.Action.String(), Why: j.decision.Reason, Code: reply.Code,
		DMARC:  dmarcEvidence(r.DMARC, r.AuthorErr),
		Answer: evidence.Answer{Refused: in.noAnswer(j)},
	}
	if reply.Text != "" {
		m.Reply = strings.Split(reply.Text, "\n")
	}
	if p := r.IPRev; p != nil {
		m.IPRev = &evidence.Finding{Value: string(p.Value), Name: p.Name, Reason: p.Reason}
	}
	if a := r.ARC; a != nil {
		m.ARC = &evidence.Finding{Value: string(a.Value), Name: string(r.NewestSealer()),
			Reason: a.Reason}
	}
	diagnosed := 0
	for _, s := range r.DKIM {
		e := signatureEvidence(s, r.DMARC)
		if s.Value != dkim.Pass && diagnosed < maxDiagnosed {
			if f, ok := diagnose.Header(in.Header, s); ok {
				e.HeaderCause, e.Cure = evidence.Cut(f.Cause), f.Cure
				diagnosed++
			}
		}
		m.Signatures = append(m.Signatures, e)
	}
	for _, f := range in.Header {
		value := strings.TrimSpace(string(f.Value()))
		if f.Is("Message-ID") && m.Answer.MessageID == "" {
			m.Answer.MessageID = value
		}
		m.Fields = append(m.Fields, evidence.Field{Name: evidence.Cut(f.Name()),
			Value: evidence.Cut(value)})
	}
	return in.filter.Test.Keeper.Keep(m)
}

// maxDiagnosed is of how many broken signatures of a mail it is found out which field was changed:
// each costs up to 4,000 verifications (dkim/diagnose).
const maxDiagnosed = 2

func signatureEvidence(s dkim.Result, d *dmarc.Result) evidence.Signature {
	e := s.Evidence
	return evidence.Signature{
		Value: string(s.Value), Domain: s.Domain, Selector: s.Selector, Algorithm: s.Algorithm,
		Canonicalization: s.Canonicalization, Bits: s.Bits, Reason: s.Reason,
		Checked: e.Checked, HeaderIntact: e.HeaderIntact, BodyIntact: e.BodyIntact,
		SignedHash: e.SignedBodyHash, Hash: e.BodyHash, Length: e.BodyLength,
		Aligned: d != nil && slices.ContainsFunc(d.Alignments, func(a dmarc.Alignment) bool {
			return a.Method == dmarc.DKIM && string(a.Domain) == s.Domain && a.Aligned
		}),
	}
}

func dmarcEvidence(d *dmarc.Result, authorErr error) evidence.DMARC {
	if d == nil {
		out := evidence.DMARC{Value: string(dmarc.NotApplied)}
		if authorErr != nil {
			out.Value, out.Reason = string(dmarc.Permerror), authorErr.Error()
		}
		return out
	}
	out := evidence.DMARC{
		Value: string(d.Value), Reason: d.Reason, Author: string(d.Author),
		PolicyDomain: string(d.PolicyDomain), Requested: string(d.Requested),
	}
	if d.Record != nil {
		out.Record = d.Record.Text
	}
	for _, a := range d.Alignments {
		out.Alignments = append(out.Alignments, evidence.Alignment{
			Method: string(a.Method), Domain: string(a.Domain), Aligned: a.Aligned, Why: a.Why,
		})
	}
	if len(d.Walks) == 0 {
		return out
	}
	for _, s := range d.Walks[0].Steps {
		step := evidence.Step{Name: "_dmarc." + string(s.Domain), Answer: s.Finding}
		if s.Record != nil {
			step.Answer = s.Record.Text
		} else if s.Err != nil {
			step.Answer = s.Err.Error()
		}
		out.Walk = append(out.Walk, step)
	}
	return out
}

// loopField is in each mail that answers a test, so that two hosts do not answer each other.
const loopField = "Mailseal-Test"

// noAnswer returns the reason why no mail may answer a test, or "" (RFC 3834 section 2):
// only an authenticated sender, for an authenticated author, gets one, and never a program.
func (in *inbound) noAnswer(j judgment) string {
	env, r := in.Envelope, j.results
	switch {
	case !in.filter.Test.isFor(in.Mail):
		return "only mail of a stranger to this address alone is answered"
	case r.DMARC == nil || r.DMARC.Value != dmarc.Pass:
		return "DMARC did not pass"
	case !in.senderAuthenticated(r):
		return "the envelope sender is not authenticated by SPF or DKIM"
	case isProgram(env.Sender):
		return "the envelope sender is the address of a program"
	case pathDomain(env.Sender) == in.filter.Test.Domain || r.Author == in.filter.Test.Domain:
		return "the mail claims to be of this address's domain"
	}
	for _, f := range in.Header {
		if asksForSilence(f) {
			return "the field " + f.Name() + " shows that a program sent it"
		}
	}
	return ""
}

// senderAuthenticated reports whether MAIL FROM is authenticated itself: by SPF, or by a signature
// of its very domain, which can be sent again to any host from any, and so proves the author alone:
// the author must be the sender.
func (in *inbound) senderAuthenticated(r *verify.Results) bool {
	sender := pathDomain(in.Envelope.Sender)
	if s := r.MailFromSPF(); s != nil && s.Value == spf.Pass && s.Scope == spf.MailFrom {
		return true
	}
	if in.authorErr != nil || !strings.EqualFold(in.author.String(), in.Envelope.Sender) {
		return false
	}
	return slices.ContainsFunc(r.DKIM, func(s dkim.Result) bool {
		return sender != "" && s.Value == dkim.Pass && s.Domain == string(sender)
	})
}

// isProgram reports whether a path is one from which no person writes.
func isProgram(path string) bool {
	local := strings.ToLower(path[:max(strings.LastIndexByte(path, '@'), 0)])
	return local == "" || local == "mailer-daemon" || local == "postmaster" ||
		strings.HasPrefix(local, "owner-") ||
		strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner") ||
		strings.Contains(local, "bounce") ||
		strings.HasPrefix(local, "noreply") || strings.HasPrefix(local, "no-reply")
}

// asksForSilence reports whether a field says that no program should answer.
func asksForSilence(f message.Field) bool {
	name := strings.ToLower(f.Name())
	switch {
	case name == "auto-submitted":
		return isAutomatic(f)
	case name == "precedence":
		v := lowered(f, 20)
		return v == "bulk" || v == "junk" || v == "list"
	case name == "x-auto-response-suppress" || name == strings.ToLower(loopField):
		return true
	}
	return strings.HasPrefix(name, "list-")
}
