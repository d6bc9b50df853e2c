package tally

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
)

func (d *Domain) source(row *report.Row) *source {
	name := row.Source
	if name == "" {
		name = "unknown address"
	}
	s := d.sources[name]
	if s == nil {
		s = &source{
			receivers: map[string]int64{}, failing: map[string]int64{}, signers: map[string]int64{},
			envelopes: map[string]int64{}, good: map[string]int64{}, bad: map[string]int64{},
			froms: map[string]int64{}, days: map[advice.Day]bool{},
		}
		s.Name = name
		if row.Address.IsValid() {
			s.Addresses = []netip.Addr{row.Address}
		}
		d.sources[name] = s
	}
	return s
}

func (s *source) add(f *report.Feedback, row *report.Row) {
	n := row.Count
	s.Messages += n
	s.receivers[f.Metadata.Org] += n
	s.froms[row.HeaderFrom] += n
	if !f.Metadata.Begin.IsZero() {
		s.days[advice.DayOf(f.Metadata.Begin)] = true
	}
	if row.DKIM == "pass" {
		s.DKIM += n
	}
	if row.SPF == "pass" {
		s.SPF += n
	}
	if row.Pass() {
		s.Pass += n
	} else {
		s.failing[f.Metadata.Org] += n
		s.fail(row)
	}
	s.signatures(f, row)
	s.envelope(f, row)
	for _, o := range row.Reasons {
		switch o.Type {
		case "mailing_list":
			s.Listed += n
		case "forwarded", "trusted_forwarder":
			s.Forwarded += n
		}
	}
}

func (s *source) fail(row *report.Row) {
	switch row.Action() {
	case report.Quarantined:
		s.Held += row.Count
	case report.Rejected:
		s.Refused += row.Count
	default:
		s.Delivered += row.Count
	}
}

// signatures looks at the DKIM results. A reporter may give an aligned pass and not say by which
// signature.
func (s *source) signatures(f *report.Feedback, row *report.Row) {
	n := row.Count
	if len(row.Signatures) == 0 && row.DKIM != "pass" {
		s.NoDKIM += n
	}
	var other, broken, temporary, permanent, strict bool
	for _, sig := range row.Signatures {
		aligned := report.Aligned(sig.Domain, row.HeaderFrom, f.Policy.Domain, f.Policy.ADKIM)
		relaxed := report.Aligned(sig.Domain, row.HeaderFrom, f.Policy.Domain, "r")
		switch class := report.ResultClass(sig.Result); {
		case class == "pass" && aligned:
			s.good[sig.Selector] += n
		case class == "pass":
			other = true
			strict = strict || relaxed
			s.signers[sig.Domain] += n
		case class == "temperror":
			temporary = true
		case class == "permerror" && aligned:
			permanent = true
		case aligned && class != "none":
			broken = true
			s.bad[sig.Selector] += n
		}
	}
	s.count(row, other && row.DKIM != "pass", &s.OtherDKIM)
	s.count(row, broken && row.DKIM != "pass", &s.BadDKIM)
	s.count(row, temporary, &s.TempError)
	s.count(row, permanent, &s.PermError)
	s.count(row, strict && !row.Pass(), &s.Strict)
}

func (s *source) count(row *report.Row, is bool, to *int64) {
	if is {
		*to += row.Count
	}
}

func (s *source) envelope(f *report.Feedback, row *report.Row) {
	name := row.EnvelopeFrom
	if len(row.SPFResults) > 0 { // the first one is that of MAIL FROM
		r := row.SPFResults[0]
		if name == "" {
			name = r.Domain
		}
		class := report.ResultClass(r.Result)
		s.count(row, class == "pass" && row.SPF != "pass", &s.OtherSPF)
		s.count(row, class == "temperror" && !row.Pass(), &s.TempError)
		s.count(row, class == "permerror" && !row.Pass(), &s.PermError)
		s.count(row, class == "pass" && !row.Pass() && f.Policy.ASPF == "s" &&
			report.Aligned(r.Domain, row.HeaderFrom, f.Policy.Domain, "r"), &s.Strict)
	}
	if name != "" {
		s.envelopes[name] += row.Count
	}
}

// finish fills what follows from the counts.
func (s *source) finish() advice.Source {
	out := s.Source
	out.Receivers, out.FailReceivers = len(s.receivers), len(s.failing)
	out.Signer, out.Envelope = most(s.signers), most(s.envelopes)
	out.BadSelector, out.From = most(s.bad), most(s.froms)
	out.Selectors = slices.DeleteFunc(slices.Sorted(maps.Keys(s.good)), func(sel string) bool { return sel == "" })
	out.Days = slices.Sorted(maps.Keys(s.days))
	out.TellTale = advice.KnownBy(append(slices.Clone(out.ReverseNames), out.Signer, out.Envelope)...)
	return out
}

// most returns the key with the highest count, the first by name of equal ones.
func most(counts map[string]int64) string {
	if len(counts) == 0 {
		return ""
	}
	return slices.MinFunc(slices.Collect(maps.Keys(counts)), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
}
