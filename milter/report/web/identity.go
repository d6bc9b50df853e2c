package web

import (
	"cmp"
	"html/template"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// identity says who a source is: where its name comes from, its networks, and what the DNS says of
// its addresses and keys today.
func identity(s *source, x *facts, d Detail) section {
	out := section{Cols: "cols c2", ID: "ident", Title: "Identity", Table: identityTable(s, x, d),
		Also: addressTable(s, x, d)}
	if s.Name != forgeries {
		out.Text = append(out.Text, say("%s",
			link("/s/"+url.PathEscape(s.Name)+"?"+Filter{From: x.filter.From,
				To: x.filter.To}.query(), "The same source in all domains")))
	}
	return out
}

// identityTable has a line for each thing that is known of a source.
func identityTable(s *source, x *facts, d Detail) *Table {
	t := &Table{Name: "identity", Fit: true, Caption: "What is known about this source.",
		Columns: []Column{{Key: "what", Title: "What"}, {Key: "value", Title: "Value", Wrap: true}}}
	row := func(label string, c Cell) { t.Rows = append(t.Rows, []Cell{words(label).head(), c}) }
	row("Class", words(string(s.Class)).note(prose(s.why)))
	if s.Name != forgeries {
		kind, by := s.namedBy()
		row("Name from", words(kind).note(name(by)))
	}
	for _, n := range s.ReverseNames[:min(len(s.ReverseNames), 3)] {
		row("Reverse name", text(n).note("confirmed by a forward lookup"))
	}
	if len(s.ReverseNames) == 0 {
		row("Reverse name", words("none").note("that a forward lookup confirms"))
	}
	for _, p := range s.places() {
		row("Network", text(p).note("by reports.intake.address_databases"))
	}
	row("SPF today", d.spfToday(s, x.domain.Name))
	for _, c := range d.keysToday(s) {
		row("Key today", c)
	}
	return t
}

// namedBy says what gave a source its name.
func (s *source) namedBy() (kind, by string) {
	fits := func(n string) bool {
		return n != "" && (organization(n) == s.Name || advice.KnownBy(n).Name == s.Name)
	}
	for _, n := range s.ReverseNames {
		if fits(n) {
			return "reverse name", n
		}
	}
	for i := range s.ids {
		for _, sig := range s.ids[i].DKIM {
			if fits(sig.Domain) && sig.Result == "pass" {
				return "signatures of", sig.Domain
			}
		}
	}
	for i := range s.ids {
		if fits(s.ids[i].Envelope) {
			return "envelope domain", s.ids[i].Envelope
		}
	}
	return "its address", ""
}

// maxPlaces is how many networks of a source are named.
const maxPlaces = 3

// places are the networks that the addresses of a source are in, each once.
func (s *source) places() []string {
	var out []string
	for i := range s.known {
		if p := s.known[i].place(); p != "" && !slices.Contains(out, p) && len(out) < maxPlaces {
			out = append(out, p)
		}
	}
	return out
}

// spfToday says what the SPF record of the domain says of the addresses of a source.
func (d Detail) spfToday(s *source, domain string) Cell {
	var said []string
	asked := 0
	for _, ip := range s.Addresses {
		j, has := d.Senders[ip]
		if !has {
			continue
		}
		asked++
		text := j.SPF
		if j.Term != "" {
			text += " by " + j.Term
		}
		if !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	switch {
	case asked == 0 && d.At.IsZero():
		return words("not known").note("the role dns has not checked the domain yet")
	case asked == 0:
		return words("not known").note(say("the role dns evaluates the record of %s for the 200 "+
			"addresses with the most mail", domain))
	}
	c := sentenceCell(advice.List(said, 3))
	if asked < len(s.Addresses) {
		c = c.note(say("for %s of %s addresses", asked, len(s.Addresses)))
	}
	return c
}

// keysOfSource is how many keys of a source its page names.
const keysOfSource = 5

// keysToday say of the keys that signed the mail of a source, if the DNS has them.
func (d Detail) keysToday(s *source) []Cell {
	sums := map[string]int64{}
	for i := range s.ids {
		for _, sig := range s.ids[i].DKIM {
			if sig.Selector != "" {
				sums[strings.ToLower(sig.Selector+"._domainkey."+sig.Domain)] += s.ids[i].Messages
			}
		}
	}
	var list []string
	for n := range sums {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
	var out []Cell
	for _, n := range list[:min(len(list), keysOfSource)] {
		state := "not known"
		switch k := d.Keys[n]; k.State {
		case "", store.KeyUnknown:
		case store.KeyThere:
			state = "exists, " + k.Kind
		default:
			state = k.State
		}
		out = append(out, text(n).note(esc(state)))
	}
	return out
}

// addressTable lists the addresses of a source, those with the most messages first.
func addressTable(s *source, x *facts, d Detail) *Table {
	t := &Table{Name: "addresses", Fit: true, Caption: "Addresses of this source.",
		Columns: []Column{{Key: "address", Title: "Address"}, {Key: "reverse", Title: "reverse name",
			Wrap: true}, {Key: "network", Title: "network", Wrap: true},
			{Key: "spf_today", Title: "SPF today"},
			{Key: "messages", Title: "Messages", Right: true},
			{Key: "first", Title: "first seen"}, {Key: "last", Title: "last seen"}}}
	sums := map[netip.Addr]int64{}
	for i := range s.ids {
		sums[s.ids[i].Address] += s.ids[i].Messages
	}
	list := slices.Clone(s.known)
	slices.SortStableFunc(list, func(a, b Address) int {
		return cmp.Or(cmp.Compare(sums[b.IP], sums[a.IP]), a.IP.Compare(b.IP))
	})
	for i := range list[:min(len(list), tableRows)] {
		a := &list[i]
		at := noAddress
		if a.IP.IsValid() {
			at = a.IP.String()
		}
		t.Rows = append(t.Rows, []Cell{addressCell(a.IP).head(),
			text(cmp.Or(a.Reverse, "–")), text(cmp.Or(a.place(), "–")),
			text(cmp.Or(d.Senders[a.IP].SPF, "–")),
			number(sums[a.IP], x.filter.messages("address", at)),
			day(a.First, x.now), day(a.Last, x.now)})
	}
	if more := len(list) - tableRows; more > 0 {
		t.Caption = template.HTML("The ") + say("%s addresses with the most messages, of %s.",
			tableRows, len(list))
	}
	return t
}
