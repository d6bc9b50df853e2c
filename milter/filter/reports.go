package filter

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailseal/milter/action"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/report"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// Recorder keeps what DMARC reports are made of. Its methods are called concurrently, while mail
// waits for the verdict: they must neither wait nor fail.
type Recorder interface {
	// Record takes what was found of one message.
	Record(e report.Evaluation)
	// Wrote takes a domain that one of our users wrote to.
	Wrote(domain string)
	// Sent takes a message of ours.
	Sent(s report.Sent)
	// Failed takes a message that failed, for a failure report.
	Failed(f report.Failing)
}

// Reports configures the data that is kept for DMARC reports.
type Reports struct {
	Recorder  Recorder    // nil: nothing is kept
	Domain    domain.Name // of our own reports' sender: mail from it and to it makes no rows
	Addresses message.Patterns
	Lists     *Lists // addresses of mailing lists, learned from their mail; nil: none are known
	Relations bool   // the domains are kept that our users write to
	Now       func() time.Time

	// Failures reports whether a domain that takes mail gets failure reports; nil: none does.
	Failures func(host string) bool
	Subject  bool // a failure report has the Subject
}

// judged keeps what was found of a message of a stranger, once for each message, whatever the
// number of recipients.
func (rs Reports) judged(ml mail, j judgment, psl bool) {
	if rs.Recorder == nil || ml.Role != action.RoleTheirs || !rs.isReported(ml, j.results) {
		return
	}
	d := j.results.DMARC
	said := j.decision.Reported
	isJudged := said.Disposition != "" && !d.Aside && d.Author != "" && d.Record != nil
	if isJudged && (hasMailto(d.Record.Aggregate) || rs.Failures != nil) {
		e := rs.evaluation(ml, j, psl)
		if hasMailto(d.Record.Aggregate) {
			rs.Recorder.Record(e)
		}
		rs.failedDMARC(ml, j, e)
	}
	rs.failedSignatures(ml, j)
}

// evaluation is what is reported of a message with a policy.
func (rs Reports) evaluation(ml mail, j judgment, psl bool) report.Evaluation {
	d, said := j.results.DMARC, j.decision.Reported
	e := report.Evaluation{
		Time:         rs.Now(),
		Client:       j.results.Client.Unmap().WithZone(""),
		Policy:       publishedPolicy(d, psl),
		Disposition:  said.Disposition,
		HeaderFrom:   string(d.Author),
		EnvelopeFrom: string(pathDomain(ml.Envelope.Sender)),
		SPFAuth:      spfAuth(j.results.MailFromSPF()),
		Signatures:   signatures(j.results, d),
	}
	for _, r := range said.Reasons {
		e.Reasons = append(e.Reasons, report.Reason(r))
	}
	for _, a := range d.Alignments {
		if !a.Aligned || a.Temporary {
			continue
		}
		e.DKIM = e.DKIM || a.Method == dmarc.DKIM
		e.SPF = e.SPF || a.Method == dmarc.SPF
	}
	return e
}

// isReported reports whether a message counts in reports at all. Reports, bounces and answers of
// programs do not: two hosts would otherwise report to each other what they report.
func (rs Reports) isReported(ml mail, r *verify.Results) bool {
	env := ml.Envelope
	switch {
	case env.Sender == "" || !isPublic(r.Client) || r.AuthorErr != nil || r.ManyAuthors():
		return false
	case rs.Domain != "" && (r.Author == rs.Domain || rs.isAtSender(env.Sender)):
		return false
	case slices.ContainsFunc(env.Recipients, rs.isOurReportAddress):
		return false
	}
	return !isReportMail(ml.Header)
}

func (rs Reports) isOurReportAddress(path string) bool {
	return rs.isAtSender(path) || rs.Addresses.MatchPath(path)
}

// isAtSender reports whether an envelope address is at the domain of our reports' sender.
func (rs Reports) isAtSender(path string) bool {
	if rs.Domain == "" {
		return false
	}
	name := strings.TrimSuffix(path[strings.LastIndexByte(path, '@')+1:], ".")
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		// to parse each costs more than all else here
		return strings.EqualFold(name, string(rs.Domain))
	}
	return pathDomain(path) == rs.Domain
}

// isReportMail reports whether a header is that of a bounce or of a report by a program: what has
// the form of a delivery or failure report, and aggregate reports (RFC 9990 section 3.5.2), which
// have a file.
func isReportMail(h message.Header) bool {
	subject, file := false, false
	for _, f := range h {
		switch {
		case f.Is("Subject"):
			subject = subject || strings.HasPrefix(lowered(f, 40), "report domain:")
		case f.Is("Content-Type"):
			v := lowered(f, 60)
			if strings.HasPrefix(v, "multipart/report") {
				return true
			}
			file = file || strings.HasPrefix(v, "multipart/") ||
				strings.HasPrefix(v, "application/") ||
				strings.HasPrefix(v, "text/xml")
		}
	}
	return subject && file
}

// lowered is the beginning of a field's value in lower case.
func lowered(f message.Field, most int) string {
	return strings.ToLower(strings.TrimSpace(string(clip(f.Value(), most))))
}

// isAutomatic reports whether an Auto-Submitted field says anything but "no" (RFC 3834 section 5).
func isAutomatic(f message.Field) bool {
	v, _, _ := strings.Cut(string(clip(f.Value(), 60)), ";")
	return !strings.EqualFold(strings.TrimSpace(v), "no")
}

func clip(b []byte, most int) []byte { return b[:min(len(b), most)] }

// isPublic reports whether an address is one of the Internet, which means something to the owner of
// a domain.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate()
}

func hasMailto(uris []string) bool {
	return slices.ContainsFunc(uris, func(u string) bool {
		return len(u) > 7 && strings.EqualFold(u[:7], "mailto:")
	})
}

// pathDomain is the domain of an envelope address, "" where it has none.
func pathDomain(path string) domain.Name {
	name, err := domain.Parse(path[strings.LastIndexByte(path, '@')+1:])
	if err != nil {
		return ""
	}
	return name
}

func spfAuth(s *spf.Result) *report.SPFAuth {
	if s == nil || s.Domain == "" {
		return nil
	}
	return &report.SPFAuth{Domain: string(s.Domain), Result: string(s.Value)}
}

// signatures are those that are reported: all that pass, the nearest to From first, and a few of
// the others, whose domains and selectors anyone can make up.
func signatures(r *verify.Results, d *dmarc.Result) []report.DKIMAuth {
	var out, failed []report.DKIMAuth
	for _, s := range r.DKIM {
		name, err1 := domain.Parse(s.Domain)
		selector, err2 := domain.Parse(s.Selector)
		if err1 != nil || err2 != nil {
			continue
		}
		a := report.DKIMAuth{Domain: string(name), Selector: string(selector),
			Result: string(s.Value)}
		a.Aligned = isAligned(d, name)
		switch {
		case slices.Contains(out, a) || slices.Contains(failed, a):
		case a.Result == "pass":
			out = append(out, a)
		case len(failed) < report.MaxFailedSignatures:
			failed = append(failed, a)
		}
	}
	slices.SortStableFunc(out, func(a, b report.DKIMAuth) int {
		return cmp.Compare(rank(a, d.Author), rank(b, d.Author))
	})
	return append(out, failed...)
}

// rank orders passing signatures: of the author's very domain, in alignment, all else (RFC 9990
// section 3.1.1.12).
func rank(a report.DKIMAuth, author domain.Name) int {
	switch {
	case a.Domain == string(author):
		return 0
	case a.Aligned:
		return 1
	}
	return 2
}

func isAligned(d *dmarc.Result, name domain.Name) bool {
	return name == d.Author || slices.ContainsFunc(d.Alignments, func(a dmarc.Alignment) bool {
		return a.Method == dmarc.DKIM && a.Domain == name && a.Aligned
	})
}

// publishedPolicy is the policy with the defaults that its owner left out (RFC 9989 section 4.7).
func publishedPolicy(d *dmarc.Result, psl bool) report.Policy {
	r := d.Record
	p := cmp.Or(r.Policy, dmarc.None)
	sp := cmp.Or(r.Subdomain, p)
	out := report.Policy{
		Domain:    string(d.PolicyDomain),
		Text:      r.Text,
		P:         string(p),
		SP:        string(sp),
		NP:        string(cmp.Or(r.NonExistent, sp)),
		ADKIM:     mode(r.StrictDKIM),
		ASPF:      mode(r.StrictSPF),
		FO:        r.FailureOptions.String(),
		Testing:   r.Testing,
		Discovery: "treewalk",
		URIs:      r.Aggregate,
		Notes:     r.Notes[:min(len(r.Notes), report.MaxNotes)],
	}
	if psl {
		out.Discovery = "psl"
	}
	return out
}

func mode(isStrict bool) string {
	if isStrict {
		return "s"
	}
	return "r"
}

// wrote keeps the domains that a user of ours writes to. Programs and bounces write to anyone who
// wrote to us.
func (rs Reports) wrote(ml mail) {
	if rs.Recorder == nil || !rs.Relations || ml.Envelope.Sender == "" {
		return
	}
	for _, f := range ml.Header {
		if f.Is("Auto-Submitted") && isAutomatic(f) {
			return
		}
	}
	var last domain.Name
	for _, to := range ml.Envelope.Recipients {
		if name := pathDomain(to); name != "" && name != last {
			rs.Recorder.Wrote(string(name))
			last = name
		}
	}
}
