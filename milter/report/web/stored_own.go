package web

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// today is the day of the clock.
func (s *Stored) today() int64 {
	if s.Now == nil {
		return store.Day(time.Now())
	}
	return store.Day(s.Now())
}

// ownMail adds to domains what this host sent as them and names below them in the last 90 days, and
// what an administrator answered about who writes mail from them.
func (v *view) ownMail(ctx context.Context, today int64, domains []Domain) error {
	sent, err := v.tx.OwnMail(ctx, today-adviceDays)
	if err != nil {
		return err
	}
	uses, err := v.tx.Uses(ctx)
	if err != nil {
		return err
	}
	states, err := v.tx.OwnStates(ctx)
	if err != nil {
		return err
	}
	index := make(map[string]int, len(domains))
	for i := range domains {
		d := &domains[i]
		index[d.Name] = i
		if state, has := states[d.Name]; has {
			d.apply(state)
		}
		if u, has := uses[d.Name]; has {
			d.Use, d.UseBy, d.UseAt = useOf(u.Word), u.By, advice.DayOf(u.At)
		}
	}
	for name, m := range sent {
		for n := name; n != ""; n = parent(n) {
			if i, has := index[n]; has {
				domains[i].Sent += m.Messages
				domains[i].Reply += m.Replies
				domains[i].ToList += m.Lists
			}
		}
	}
	return nil
}

// apply adds the results of the DNS checks of a domain.
func (d *Domain) apply(s store.OwnState) {
	d.SPFAll, d.NoSPF = s.All, s.SPF == ""
	d.Parked = d.Parked || s.IsParked()
	if s.Checked {
		d.DNS = &Checks{At: s.At, Worst: s.Worst}
	}
	if p := s.DMARC; p != nil {
		testing := map[bool]string{true: "y"}[p.Testing]
		d.Published = &Published{Step: published{P: p.Policy, Testing: testing}.step(),
			Gone: p.Policy == "", Invalid: p.Invalid, At: p.At}
	}
	for _, f := range s.Findings {
		switch f.Severity {
		case "error":
			d.DNS.Faults += f.N
		case "warning":
			d.DNS.Warnings += f.N
		}
	}
	for _, t := range s.Terms {
		term := advice.Term{Text: t.Text, Messages: t.Messages, OwnHost: t.OwnHost,
			Foreign: t.Foreign}
		for _, ip := range t.Alone {
			term.Nets = append(term.Nets, netip.PrefixFrom(ip, ip.BitLen()))
		}
		d.Terms = append(d.Terms, term)
	}
	for _, k := range s.Selected {
		d.Selectors = append(d.Selectors, advice.Selector(k))
	}
}

// Detail implements Reader.
func (s *Stored) Detail(ctx context.Context, domain string) (Detail, error) {
	out := Detail{}
	err := s.view(ctx, func(v *view) error {
		kept, err := v.tx.OwnDetail(ctx, domain)
		out = detailOf(kept)
		return err
	})
	return out, err
}

func detailOf(d store.OwnDetail) Detail {
	out := Detail{At: d.At, Senders: map[netip.Addr]Judgment{}, Keys: map[string]Key{},
		Names: map[string]From{}}
	for _, s := range d.Senders {
		out.Senders[s.Address] = Judgment{s.SPF, s.Term}
	}
	for _, k := range d.Keys {
		out.Keys[k.Name] = Key{k.State, k.Kind, k.Since}
	}
	for _, n := range d.Names {
		out.Names[n.Name] = From{n.Exists, n.Policy, n.Tag}
	}
	for _, f := range d.Findings {
		out.Findings = append(out.Findings, Finding(f))
	}
	return out
}

// maxMarks is how many changes of records a page marks, the latest.
const maxMarks = 1000

// recordEvents are the changes of the domains' records for mail.
func (v *view) recordEvents(ctx context.Context, f Filter) ([]Event, error) {
	domain := ""
	if len(f.Domains) == 1 {
		domain = f.Domains[0]
	}
	changes, err := v.tx.DNSChanges(ctx, domain, f.From.Time(), maxMarks)
	if err != nil {
		return nil, err
	}
	var out []Event
	for i := range changes {
		c := &changes[i]
		was, is, matters := mailRecord(c)
		day := advice.DayOf(c.At)
		if !matters || day > f.To || f.Domains != nil && !slices.Contains(f.Domains, c.Domain) {
			continue
		}
		e := Event{Domain: c.Domain, At: c.At, Kind: "dns", Text: c.Name + " changed to " + is}
		switch {
		case is == "":
			e.Text = c.Name + " was removed from the DNS"
		case was == "":
			e.Text = c.Name + " was published: " + is
		}
		out = append(out, e)
	}
	return out, nil
}

// mailRecord returns what a change of records makes of the SPF or DMARC record, a key, or the mail
// servers of a domain; other texts that stand beside these do not matter.
func mailRecord(c *store.DNSChange) (was, is string, matters bool) {
	keep := func(string) bool { return true }
	switch {
	case c.Kind == "MX", strings.Contains(c.Name, "._domainkey."):
	case c.Kind != "TXT":
		return "", "", false
	case strings.HasPrefix(c.Name, "_dmarc."):
		keep = func(text string) bool {
			return strings.HasPrefix(strings.ToLower(text), "v=dmarc1")
		}
	default:
		keep = func(text string) bool { return strings.HasPrefix(strings.ToLower(text), "v=spf1") }
	}
	kept := func(list []string) string {
		var out []string
		for _, text := range list {
			if keep(text) {
				out = append(out, text)
			}
		}
		return strings.Join(out, " | ")
	}
	was, is = kept(c.Before), kept(c.Now)
	return was, is, was != is
}

// parent is a name without its first label.
func parent(name string) string {
	for i := range len(name) {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return ""
}

// The words for who writes from a domain, as the store and the form have them.
const (
	usePeople   = "people"
	useMachines = "machines"
)

func useOf(word string) advice.Use {
	switch word {
	case usePeople:
		return advice.UsePeople
	case useMachines:
		return advice.UseMachines
	}
	return advice.UseUnknown
}

// keyEvents are the first uses of keys by this host. That of the keys with which counting began is
// none.
func (v *view) keyEvents(ctx context.Context, f Filter) ([]Event, error) {
	domain := ""
	if len(f.Domains) == 1 {
		domain = f.Domains[0]
	}
	keys, err := v.tx.OwnKeys(ctx, domain)
	if err != nil {
		return nil, err
	}
	var out []Event
	began := map[string]time.Time{}
	for _, k := range keys {
		if began[k.Domain].IsZero() {
			began[k.Domain] = k.First
		}
		day := advice.DayOf(k.First)
		if day < f.From || day > f.To || k.First.Sub(began[k.Domain]) < 24*time.Hour ||
			f.Domains != nil && !slices.Contains(f.Domains, k.Domain) {
			continue
		}
		out = append(out, Event{Domain: k.Domain, At: k.First, Kind: "key",
			Text: "this host signs with a new key: " + k.Selector + "._domainkey." + k.Domain})
	}
	return out, nil
}
