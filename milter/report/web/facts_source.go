package web

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// source is a source with what pages show of it beside advice.Source.
type source struct {
	advice.Source
	counts      Counts
	why         string // of the class
	cause       advice.Cause
	rule        *Rule // that gave the class
	accepted    *Rule // by which its mail may pass by SPF alone
	first, last advice.Day
	ids         []Identity
	known       []Address // what is known about Addresses
	receivers   map[string]bool
	trend       map[advice.Day]int64 // messages
}

// nameOf names a source: the service that its names give away, the domain of its reverse name, of
// its signature or its bounces if these pass, or its address. Names that are no plain host names
// are never used, since they stand in links.
func nameOf(a Address, ids []Identity, domain string) string {
	names := []string{a.Reverse}
	for _, id := range ids {
		for _, s := range id.DKIM {
			if s.Result == "pass" && !within(s.Domain, domain) {
				names = append(names, s.Domain)
			}
		}
		if id.SPF == "pass" && !within(id.Envelope, domain) {
			names = append(names, id.Envelope)
		}
	}
	if k := advice.KnownBy(names...); k.Name != "" {
		return k.Name
	}
	for _, n := range names {
		if short := organization(n); short != "" {
			return short
		}
	}
	if !a.IP.IsValid() {
		return advice.NoName
	}
	return a.IP.String()
}

func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// organization returns the last labels of a plain host name, or "".
func organization(n string) string {
	n = strings.TrimSuffix(strings.ToLower(n), ".")
	labels := strings.Split(n, ".")
	if len(labels) < 2 || len(n) > 253 {
		return ""
	}
	for _, r := range n {
		if r != '-' && r != '.' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return ""
		}
	}
	keep := 2
	if last := labels[len(labels)-1]; len(labels) > 2 && len(last) == 2 &&
		len(labels[len(labels)-2]) <= 3 {
		keep = 3
	}
	return strings.Join(labels[len(labels)-keep:], ".")
}

// add counts what an address sent.
func (s *source) add(ip netip.Addr, a Address, ids []Identity, x *facts) {
	s.NoAddress = !ip.IsValid() && (s.NoAddress || len(s.Addresses) == 0)
	s.Addresses = append(s.Addresses, ip)
	a.IP = ip
	s.seen(a.Days, ids)
	a.Days = nil
	s.known = append(s.known, a)
	s.Network = s.Network || a.Network
	if a.Reverse != "" {
		s.ReverseNames = append(s.ReverseNames, a.Reverse)
	}
	if s.first == 0 || a.First < s.first {
		s.first = a.First
	}
	s.last = max(s.last, a.Last)
	s.ids = append(s.ids, ids...)
	for i := range ids {
		s.count(&ids[i], x.domain)
	}
	s.TellTale = advice.KnownBy(s.Envelope, s.Signer, a.Reverse)
}

// seen adds the days on which an address sent mail, and the receivers that reported it. Neither is
// kept with the addresses and combinations, of which there are many more.
func (s *source) seen(days []DaySum, ids []Identity) {
	if s.receivers == nil {
		s.receivers, s.trend = map[string]bool{}, map[advice.Day]int64{}
	}
	for _, d := range days {
		s.trend[d.Day] += d.Messages
	}
	for i := range ids {
		for _, r := range ids[i].Receivers {
			s.receivers[r] = true
		}
		ids[i].Receivers = nil
	}
}

// count adds one combination of identifiers.
func (s *source) count(id *Identity, d Domain) {
	n := id.Messages
	c := Counts{Messages: n}
	s.Messages += n
	if id.AlignedDKIM {
		s.DKIM += n
		c.DKIM = n
	}
	if id.AlignedSPF {
		s.SPF += n
		c.SPF = n
	}
	s.From = cmp.Or(s.From, id.From)
	defer func() { s.counts.Add(c) }()
	s.signatures(id, d)
	if id.SPF == "pass" && !id.AlignedSPF {
		if !id.Pass() {
			s.OtherSPF += n
		}
		s.Envelope = cmp.Or(s.Envelope, id.Envelope)
	}
	if id.Pass() {
		s.Pass += n
		c.Pass = n
		return
	}
	switch id.SPF {
	case "temperror":
		s.TempError += n
	case "permerror":
		s.PermError += n
	}
	switch id.Disposition {
	case "quarantine":
		s.Held += n
		c.Held = n
	case "reject":
		s.Refused += n
		c.Refused = n
	default:
		s.Delivered += n
		c.Delivered = n
	}
	switch id.Reason {
	case "mailing_list":
		s.Listed += n
		c.Listed = n
	case "forwarded", "trusted_forwarder":
		s.Forwarded += n
		c.Forwarded = n
	}
}

func (s *source) signatures(id *Identity, d Domain) {
	if len(id.DKIM) == 0 {
		s.NoDKIM += id.Messages
	}
	other, strict := false, false
	for _, sig := range id.DKIM {
		ours := within(sig.Domain, d.Name)
		switch {
		case sig.Result == "pass" && ours && id.AlignedDKIM:
			if !slices.Contains(s.Selectors, sig.Selector) {
				s.Selectors = append(s.Selectors, sig.Selector)
			}
		case sig.Result == "pass" && ours:
			strict = d.Policy.ADKIM == "s"
		case sig.Result == "pass":
			other = true
			s.Signer = cmp.Or(s.Signer, sig.Domain)
		case ours && sig.Result != "none":
			s.BadDKIM += id.Messages
			s.BadSelector = cmp.Or(s.BadSelector, sig.Selector)
		}
	}
	if other && !id.Pass() {
		s.OtherDKIM += id.Messages
	}
	if strict {
		s.Strict += id.Messages
	}
}

func (s *source) merge(o *source) {
	s.Addresses = append(s.Addresses, o.Addresses...)
	s.ids = append(s.ids, o.ids...)
	s.known = append(s.known, o.known...)
	s.counts.Add(o.counts)
	if s.receivers == nil {
		s.receivers, s.trend = map[string]bool{}, map[advice.Day]int64{}
	}
	maps.Copy(s.receivers, o.receivers)
	for day, n := range o.trend {
		s.trend[day] += n
	}
	s.Messages += o.Messages
	s.Delivered += o.Delivered
	s.Held += o.Held
	s.Refused += o.Refused
	if s.first == 0 || o.first < s.first {
		s.first = o.first
	}
	s.last = max(s.last, o.last)
}

// judge applies the newest verdicts of persons that fit: one on the class, and one on SPF.
func (s *source) judge(rules []Rule, domain string) {
	for i := range rules {
		r := &rules[i]
		if !s.fits(r, domain) {
			continue
		}
		switch {
		case r.Class == advice.AcceptsSPF && s.accepted == nil:
			s.SPFAccepted, s.accepted = true, r
		case r.Class != advice.AcceptsSPF && s.rule == nil:
			s.Class, s.Judged, s.rule = r.Class, true, r
			s.why = "judged by " + r.By
		}
	}
}

// fits reports whether a verdict holds and is about the source.
func (s *source) fits(r *Rule, domain string) bool {
	if r.Undone || r.Domain != "" && r.Domain != domain {
		return false
	}
	if r.Net.IsValid() {
		return slices.ContainsFunc(s.Addresses, r.Net.Contains)
	}
	return r.Source != "" && (r.Source == s.Name || s.isOf(r.Addresses))
}

// isOf reports whether all addresses of the source are in a list.
func (s *source) isOf(list []netip.Addr) bool {
	for _, ip := range s.Addresses {
		if !slices.Contains(list, ip) {
			return false
		}
	}
	return len(s.Addresses) > 0
}
