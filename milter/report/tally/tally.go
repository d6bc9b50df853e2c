// Package tally sums the rows of aggregate reports: per domain, and per source of mail in it, as
// milter/report/advice wants them. Numbers are messages, never reports or rows.
package tally

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
)

// Tally is the sum of reports.
type Tally struct {
	Reports   int
	Begin     time.Time // the first second that was reported on
	End       time.Time
	Receivers map[string]int64 // messages by name of the reporter
	Parked    []string         // domains that send no mail
	domains   map[string]*Domain
	sources   int
}

// Domain is the sum of one policy domain.
type Domain struct {
	Name      string
	Policy    report.PolicyPublished // of the latest report
	Messages  int64
	Pass      int64
	Delivered int64 // failed, and neither quarantined nor rejected, as far as that was reported
	Held      int64
	Refused   int64
	Reports   int
	Silent    int // reports that say that nothing came; not those of which no row could be read
	Receivers map[string]int64
	latest    time.Time
	sources   map[string]*source
	all       *Tally
}

// Source is one origin of mail.
type Source struct {
	advice.Source
	Why   string // it is of its class
	Cause advice.Cause
}

// Known has the facts about an address that are not in reports.
type Known struct {
	Reverse string       // its confirmed name
	Network bool         // it is of the networks of this host
	Class   advice.Class // that a person gave it; "" for none
}

// Bounds of a tally: a sender of forged mail can use any number of addresses, names and selectors.
const (
	maxSources = 20_000 // addresses of a tally; further ones are one source
	maxNames   = 50     // names of each kind of a source; further ones are not told apart
)

// further is the name of the source of all addresses above maxSources.
const further = "further addresses"

// source collects the data of a Source.
type source struct {
	advice.Source
	receivers, failing                   counts
	signers, envelopes, good, bad, froms counts
	days                                 []advice.Day
}

// counts are messages by name. Most sources have one or two names of each kind.
type counts []struct {
	name string
	n    int64
}

func (c *counts) add(name string, n int64) {
	for i := range *c {
		if (*c)[i].name == name {
			(*c)[i].n += n
			return
		}
	}
	if len(*c) < maxNames {
		*c = append(*c, struct {
			name string
			n    int64
		}{name, n})
	}
}

// most returns the name with the highest count, the first by name of equal ones.
func (c counts) most() string {
	best := -1
	for i := range c {
		if best < 0 || c[i].n > c[best].n || c[i].n == c[best].n && c[i].name < c[best].name {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return c[best].name
}

// New returns an empty tally.
func New() *Tally { return &Tally{Receivers: map[string]int64{}, domains: map[string]*Domain{}} }

// Report adds the head of a report. Its rows follow with Add.
func (t *Tally) Report(f *report.Feedback) {
	t.Reports++
	if b := f.Metadata.Begin; !b.IsZero() && (t.Begin.IsZero() || b.Before(t.Begin)) {
		t.Begin = b
	}
	if e := f.Metadata.End; e.After(t.End) {
		t.End = e
	}
	t.Receivers[f.Metadata.Org] += f.Messages
	d := t.domain(f.Policy.Domain)
	d.Reports++
	d.Receivers[f.Metadata.Org] += f.Messages
	if f.Messages == 0 && f.Cut == "" && len(f.Refused) == 0 {
		d.Silent++
	}
	if !f.Metadata.End.Before(d.latest) {
		d.latest, d.Policy = f.Metadata.End, f.Policy
	}
}

func (t *Tally) domain(name string) *Domain {
	d := t.domains[name]
	if d == nil {
		d = &Domain{Name: name, Receivers: map[string]int64{}, sources: map[string]*source{},
			all: t}
		t.domains[name] = d
	}
	return d
}

// Add adds a row of a report.
func (t *Tally) Add(f *report.Feedback, row *report.Row) {
	d := t.domain(f.Policy.Domain)
	d.Messages += row.Count
	switch {
	case row.Pass():
		d.Pass += row.Count
	case row.Action() == report.Quarantined:
		d.Held += row.Count
	case row.Action() == report.Rejected:
		d.Refused += row.Count
	default:
		d.Delivered += row.Count
	}
	if row.Count > 0 {
		d.source(row).add(f, row)
	}
}

// Domains returns the domains, those with the most failures first.
func (t *Tally) Domains() []*Domain {
	return slices.SortedFunc(maps.Values(t.domains), func(a, b *Domain) int {
		return cmp.Or(cmp.Compare(b.Fail(), a.Fail()), cmp.Compare(b.Messages, a.Messages),
			strings.Compare(a.Name, b.Name))
	})
}

// Fail is how many messages failed DMARC.
func (d *Domain) Fail() int64 { return d.Messages - d.Pass }

// Sources returns the sources with class and cause, those with the most messages first. know says
// what is known about an address; it may be nil.
func (d *Domain) Sources(know func(domain string, address netip.Addr) Known) []Source {
	all := make([]advice.Source, 0, len(d.sources))
	for _, s := range d.sources {
		if know != nil && len(s.Addresses) == 1 {
			k := know(d.Name, s.Addresses[0])
			s.Network, s.Class, s.Judged = k.Network, k.Class, k.Class != ""
			if s.ReverseNames = nil; k.Reverse != "" {
				s.ReverseNames = []string{k.Reverse}
			}
		}
		all = append(all, s.finish())
	}
	context := advice.Context{Domain: d.Name, OwnSelectors: advice.OwnSelectors(all),
		Parked: slices.Contains(d.all.Parked, d.Name)}
	out := make([]Source, 0, len(all))
	for i := range all {
		s := Source{Source: all[i], Why: "an administrator set it"}
		if s.Class == "" {
			s.Class, s.Why = advice.Classify(&s.Source, context)
		}
		s.Cause = advice.Diagnose(&s.Source, d.Name)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), strings.Compare(a.Name, b.Name))
	})
	return out
}
