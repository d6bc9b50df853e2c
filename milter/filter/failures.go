package filter

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"

	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/message"
	"mailseal/milter/report"
	"mailseal/milter/verify"
)

// failedDMARC keeps a message that the owner of its domain wants a failure report of (RFC 9991), if
// one of the addresses is at a domain that gets them. The report itself is made by another process.
func (rs Reports) failedDMARC(ml mail, j judgment, e report.Evaluation) {
	d := j.results.DMARC
	if rs.Failures == nil || d.Record.PSD == dmarc.PublicSuffix || isByProgram(ml.Header) {
		return
	}
	uris := rs.takers(d.Record.Failure)
	asks := e.AsksFailure()
	if len(uris) == 0 || asks == "" {
		return
	}
	f := rs.failing(ml, e)
	f.URIs, f.Failed = uris, report.FailedDMARC
	if asks == "spf" {
		f.Failed = report.FailedSPF
	}
	if s := j.results.MailFromSPF(); s != nil && s.Value != "pass" && s.Tree != nil {
		f.SPFRecord = s.Tree.Text
	}
	for i := range j.results.DKIM {
		s := &j.results.DKIM[i]
		how := failedHow(s)
		isAbout := asks == "dkim" || slices.ContainsFunc(d.Alignments,
			func(a dmarc.Alignment) bool {
				return a.Method == dmarc.DKIM && string(a.Domain) == s.Domain && !a.Aligned
			})
		if how == "" || !isAbout {
			continue
		}
		f.Signature = signatureOf(s)
		if asks == "dkim" {
			f.Failed = how
		}
		break
	}
	rs.Recorder.Failed(f)
}

// takers are those of the addresses of ruf that are at a domain that gets failure reports.
func (rs Reports) takers(uris []string) []string {
	var out []string
	for _, a := range report.Addresses(uris) {
		if rs.Failures(a.Host) {
			out = append(out, "mailto:"+a.String())
		}
	}
	return out
}

// failedSignatures keeps signatures that failed and ask for a report with r=y (RFC 6651 section
// 3.3), one for each signer: anyone can write such a field with any domain, so that only a domain
// that is listed counts.
func (rs Reports) failedSignatures(ml mail, j judgment) {
	if rs.Failures == nil || j.decision.Action == action.Tempfail || isByProgram(ml.Header) {
		return
	}
	for s, how := range rs.asking(ml.Header, j.results) {
		f := rs.failing(ml, report.Evaluation{
			Time: rs.Now(), Client: j.results.Client.Unmap().WithZone(""),
			HeaderFrom: string(j.results.Author), Disposition: j.decision.Reported.Disposition,
		})
		f.Signer, f.Failed, f.Signature = s.Domain, how, signatureOf(s)
		rs.Recorder.Failed(f)
	}
}

// asking are the signatures that failed and ask for a report, one of each signer that is listed,
// with how they failed.
func (rs Reports) asking(h message.Header, r *verify.Results) iter.Seq2[*dkim.Result, string] {
	return func(yield func(*dkim.Result, string) bool) {
		var done []string
		for i := range r.DKIM {
			s := &r.DKIM[i]
			how := failedHow(s)
			if how == "" || slices.Contains(done, s.Domain) || !rs.Failures(s.Domain) ||
				!asksReport(h, s) {
				continue
			}
			done = append(done, s.Domain)
			if !yield(s, how) {
				return
			}
		}
	}
}

// signersText is what the first signer of a refused message whose signature failed, and asks for a
// report, publishes for its sender to read (rs, RFC 6651 section 3.2); "" for none. It is a lookup
// for the domains alone that get failure reports.
func (rs Reports) signersText(
	ctx context.Context, ml mail, r *verify.Results, v *verify.Verifier,
) string {
	if rs.Failures == nil || !rs.isReported(ml, r) || isByProgram(ml.Header) {
		return ""
	}
	for s, how := range rs.asking(ml.Header, r) {
		kind := dkim.FailsVerification
		if how == report.FailedRevoked {
			kind = dkim.FailsOther
		}
		p, problem, err := dkim.FindReporting(ctx, v.Resolver, s.Domain, kind)
		if err == nil && problem == "" && p.Reply != "" && p.Percent > 0 {
			return s.Domain + ": " + p.Reply
		}
	}
	return ""
}

// asksReport reports whether the field of a signature has r=y.
func asksReport(h message.Header, s *dkim.Result) bool {
	i := s.Evidence.Field
	if i < 0 || i >= len(h) || !h[i].Is("DKIM-Signature") {
		return false
	}
	return strings.EqualFold(strings.TrimSpace(dkim.ReadTags(h[i]).Text("r")), "y")
}

// failedHow is how a signature failed as Auth-Failure says it, "" where it did not fail, or where
// that cannot be blamed on the message or the key.
func failedHow(s *dkim.Result) string {
	switch {
	case s.Evidence.Key == dkim.KeyRevoked:
		return report.FailedRevoked
	case string(s.Value) != "fail":
		return ""
	case s.Evidence.Checked && !s.Evidence.BodyIntact && s.Evidence.HeaderIntact:
		return report.FailedBody
	}
	return report.FailedHeader
}

func signatureOf(s *dkim.Result) *report.FailedSignature {
	return &report.FailedSignature{Domain: s.Domain, Selector: s.Selector, Identifier: s.Identifier}
}

// failing is what all failure reports of a message have.
func (rs Reports) failing(ml mail, e report.Evaluation) report.Failing {
	f := report.Failing{Evaluation: e, MailFrom: ml.Envelope.Sender}
	wanted := report.FailingFields(rs.Subject)
	for _, field := range ml.Header {
		if !slices.ContainsFunc(wanted, func(name string) bool { return field.Is(name) }) {
			continue
		}
		if len(f.Header)+len(field.Raw()) > report.MaxFailingHeader {
			continue
		}
		f.Header = append(bytes.TrimRight(append(f.Header, field.Raw()...), "\r\n"), "\r\n"...)
	}
	return f
}

// isByProgram reports whether a program says that it wrote the message.
func isByProgram(h message.Header) bool {
	return slices.ContainsFunc(h, func(f message.Field) bool {
		return f.Is("Auto-Submitted") && isAutomatic(f)
	})
}
