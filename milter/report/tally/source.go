package tally

import (
	"net/netip"
	"slices"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
)

func (d *Domain) source(row *report.Row) *source {
	name := row.Source
	if name == "" {
		name = advice.NoName
	}
	if s := d.sources[name]; s != nil {
		return s
	}
	s := &source{}
	switch {
	case d.all.sources < maxSources:
		d.all.sources++
		if s.NoAddress = !row.Address.IsValid(); !s.NoAddress {
			s.Addresses = []netip.Addr{row.Address}
		}
	case d.sources[further] != nil:
		return d.sources[further]
	default:
		name = further
	}
	s.Name = name
	d.sources[name] = s
	return s
}

func (s *source) add(f *report.Feedback, row *report.Row) {
	n := row.Count
	s.Messages += n
	s.receivers.add(f.Metadata.Org, n)
	s.froms.add(row.HeaderFrom, n)
	if day := advice.DayOf(f.Metadata.Begin); !f.Metadata.Begin.IsZero() &&
		!slices.Contains(s.days, day) && len(s.days) < maxDays {
		s.days = append(s.days, day)
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
		s.failing.add(f.Metadata.Org, n)
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
			s.good.add(sig.Selector, n)
		case class == "pass":
			other = true
			strict = strict || relaxed
			s.signers.add(sig.Domain, n)
		case class == "temperror":
			temporary = true
		case class == "permerror" && aligned:
			permanent = true
		case aligned && class != "none":
			broken = true
			s.bad.add(sig.Selector, n)
		}
	}
	s.count(row, other && !row.Pass(), &s.OtherDKIM)
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
		s.count(row, class == "pass" && !row.Pass(), &s.OtherSPF)
		s.count(row, class == "temperror" && !row.Pass(), &s.TempError)
		s.count(row, class == "permerror" && !row.Pass(), &s.PermError)
		s.count(row, class == "pass" && !row.Pass() && f.Policy.ASPF == "s" &&
			report.Aligned(r.Domain, row.HeaderFrom, f.Policy.Domain, "r"), &s.Strict)
	}
	if name != "" {
		s.envelopes.add(name, row.Count)
	}
}

// maxDays limits the days of a source that are distinguished: a quarter, which advice
// covers.
const maxDays = 92

// finish fills what follows from the counts.
func (s *source) finish() advice.Source {
	out := s.Source
	out.Receivers, out.FailReceivers = len(s.receivers), len(s.failing)
	out.FailReceiver = s.failing.most()
	out.Signer, out.Envelope = s.signers.most(), s.envelopes.most()
	out.BadSelector, out.From = s.bad.most(), s.froms.most()
	for _, sel := range s.good {
		if sel.name != "" {
			out.Selectors = append(out.Selectors, sel.name)
		}
	}
	slices.Sort(out.Selectors)
	out.Days = slices.Sorted(slices.Values(s.days))
	out.TellTale = advice.KnownBy(append(slices.Clone(out.ReverseNames), out.Signer,
		out.Envelope)...)
	return out
}
