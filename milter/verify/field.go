package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/iprev"
	"mailseal/milter/message"
	"mailseal/milter/spf"
)

// Field returns the Authentication-Results field with the authserv-id id. Disposition is
// the policy applied for the DMARC result (policy.dmarc of RFC 9989 section 9.1), or "" to
// omit it.
func (r *Results) Field(id, disposition string) authres.Field {
	results := r.all()
	for i, f := range results {
		if f.Method == "dmarc" && disposition != "" {
			results = slices.Clone(results)
			results[i] = r.dmarcResult(*r.DMARC, disposition)
		}
	}
	return authres.Field{ID: id, Results: results}
}

// all is every method's results but for the disposition, in the order in which they are written. It
// is made once: the log, the metrics and the field want it.
func (r *Results) all() []authres.Result {
	if r.listed == nil {
		r.listed = r.list()
	}
	return r.listed
}

// list puts the verdicts of which there is one each first, and the signatures behind them, of which
// a stranger may write as many as he likes. Field, AAR and log have this one order.
func (r *Results) list() []authres.Result {
	out := make([]authres.Result, 0, len(r.DKIM)+6)
	if r.DMARC != nil {
		out = append(out, r.dmarcResult(*r.DMARC, ""))
	}
	if r.SPF != nil {
		out = append(out, spfResult(*r.SPF))
	}
	if r.TellsHELO() {
		out = append(out, spfResult(*r.HELO))
	}
	if r.ARC != nil {
		out = append(out, r.arcResult(*r.ARC))
	}
	if r.IPRev != nil {
		out = append(out, r.iprevResult(*r.IPRev))
	}
	if r.DKIM != nil && len(r.DKIM) == 0 {
		out = append(out, authres.Result{Method: "dkim", Value: "none"})
	}
	for _, s := range r.signatures() {
		out = append(out, dkimResult(s))
	}
	return out
}

// signatures returns the results of DKIM as they are written: those that are aligned and pass
// first, then others that pass, then others that are aligned, each in the order of the header.
func (r *Results) signatures() []dkim.Result {
	rank := func(s dkim.Result) int {
		passes, isAligned := s.Value == dkim.Pass, r.isAligned(s)
		switch {
		case passes && isAligned:
			return 0
		case passes:
			return 1
		case isAligned:
			return 2
		}
		return 3
	}
	out := slices.Clone(r.DKIM)
	slices.SortStableFunc(out, func(a, b dkim.Result) int { return rank(a) - rank(b) })
	return out
}

// isAligned reports whether a signature is of the author's domain: as DMARC found, and where DMARC
// did not look, by the names alone.
func (r *Results) isAligned(s dkim.Result) bool {
	d, err := domain.Parse(s.Domain)
	if err != nil || r.Author == "" {
		return false
	}
	if r.DMARC != nil {
		for _, a := range r.DMARC.Alignments {
			if a.Method == dmarc.DKIM && a.Domain == d {
				return a.Aligned
			}
		}
	}
	return d.Within(r.Author) || r.Author.Within(d)
}

// TellsHELO reports whether the result for HELO says anything that the one for MAIL FROM does not:
// it is of another domain, which has a record.
func (r *Results) TellsHELO() bool {
	return r.HELO != nil && r.HELO.Value != spf.None &&
		(r.SPF == nil || r.SPF.Domain != r.HELO.Domain)
}

// ReceivedSPF is a Received-SPF field (RFC 7208 section 9.1) by the host id for each identity of
// which there is something to say.
func (r *Results) ReceivedSPF(id string) []message.Field {
	var out []message.Field
	add := func(s *spf.Result) {
		name, value := s.Field(id)
		out = append(out, message.NewField(name, []byte(value)))
	}
	if r.SPF != nil {
		add(r.SPF)
	}
	if r.TellsHELO() {
		add(r.HELO)
	}
	return out
}

// told returns the part of a reason that recipients may read: which of our name servers did
// not answer is for the log.
func comment(value, reason string) string {
	if value == "temperror" && isOurs(reason) {
		return dkim.Busy
	}
	if value == "temperror" {
		return "the DNS did not answer"
	}
	return reason
}

// isOurs reports whether a reason speaks of a shortage of this host.
func isOurs(reason string) bool {
	return strings.Contains(reason, dkim.Busy) || strings.Contains(reason, dns.ErrShortage.Error())
}

// Trouble is why the first result that is a temperror is one, for the log; "" when none is.
func (r *Results) Trouble() string {
	for _, s := range r.DKIM {
		if s.Value == dkim.TempError {
			return s.Reason
		}
	}
	switch {
	case r.SPF != nil && r.SPF.Value == spf.Temperror:
		return r.SPF.Reason
	case r.HELO != nil && r.HELO.Value == spf.Temperror:
		return r.HELO.Reason
	case r.DMARC != nil && r.DMARC.Value == dmarc.Temperror:
		return r.DMARC.Reason
	case r.IPRev != nil && r.IPRev.Value == iprev.Temperror:
		return r.IPRev.Reason
	}
	return ""
}

func dkimResult(s dkim.Result) authres.Result {
	out := authres.Result{Method: "dkim", Value: string(s.Value),
		Comment: comment(string(s.Value), s.Reason)}
	if s.Value == dkim.Pass {
		out.Comment = passComment(s)
	}
	for _, p := range s.Properties() {
		out.Properties = append(out.Properties, authres.Property(p))
	}
	return out
}

// passComment returns the comment on a passing signature: the size of the key, as other
// verifiers write it.
func passComment(s dkim.Result) string {
	comment := fmt.Sprintf("%d-bit %s key", s.Bits, strings.TrimSuffix(s.Algorithm, "-sha256"))
	if s.Testing {
		comment += " in test mode"
	}
	if s.Reason != "" {
		comment += ", " + s.Reason
	}
	return comment
}

func spfResult(s spf.Result) authres.Result {
	out := authres.Result{Method: "spf", Value: string(s.Value),
		Comment: comment(string(s.Value), s.Reason)}
	if name, value := s.Property(); value != "" {
		out.Properties = []authres.Property{{Type: "smtp", Name: name, Value: value}}
	}
	return out
}

func (r *Results) dmarcResult(d dmarc.Result, disposition string) authres.Result {
	out := authres.Result{Method: "dmarc", Value: string(d.Value),
		Comment: comment(string(d.Value), d.Reason)}
	if rec := d.Record; rec != nil && (d.Value == dmarc.Pass || d.Value == dmarc.Fail) {
		words := []string{"p=" + string(rec.Policy)}
		for _, t := range []struct{ tag, value string }{{"sp", string(rec.Subdomain)},
			{"np", string(rec.NonExistent)}} {
			if t.value != "" {
				words = append(words, t.tag+"="+t.value)
			}
		}
		if rec.Testing {
			words = append(words, "t=y")
		}
		if disposition != "" {
			words = append(words, "dis="+disposition)
		}
		out.Comment = strings.Join(words, " ")
		if r.From.Doubt() != "" {
			out.Comment += ", From is malformed"
		}
	}
	if d.Author != "" {
		out.Properties = append(out.Properties,
			authres.Property{Type: "header", Name: "from", Value: string(d.Author)})
	}
	if disposition != "" {
		out.Properties = append(out.Properties,
			authres.Property{Type: "policy", Name: "dmarc", Value: disposition})
	}
	return out
}

// arcResult tells who sealed the chain last; smtp.remote-ip is the client that handed the message
// to us (RFC 8617 section 6).
func (r *Results) arcResult(a arc.Result) authres.Result {
	out := authres.Result{Method: "arc", Value: string(a.Value), Comment: a.Reason}
	if a.Value == arc.None {
		return out
	}
	if n := len(a.Sets); n > 0 && a.Reason == "" {
		out.Comment = fmt.Sprintf("i=%d sealed by %s", n, a.Sets[n-1].Sealer)
	}
	if r.Client.IsValid() {
		out.Properties = append(out.Properties,
			authres.Property{Type: "smtp", Name: "remote-ip", Value: r.Client.String()})
	}
	if a.Value == arc.Pass {
		out.Properties = append(out.Properties,
			authres.Property{Type: "header", Name: "oldest-pass",
				Value: strconv.Itoa(a.OldestPass)})
	}
	return out
}

func (r *Results) iprevResult(p iprev.Result) authres.Result {
	out := authres.Result{Method: "iprev", Value: string(p.Value), Comment: p.Name}
	if p.Value != iprev.Pass {
		out.Comment = comment(string(p.Value), p.Reason)
	}
	out.Properties = []authres.Property{{Type: "policy", Name: "iprev", Value: r.Client.String()}}
	return out
}
