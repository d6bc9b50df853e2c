package web

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/report/advice"
)

// published is a policy as reports name it.
type published struct{ Domain, P, SP, NP, ADKIM, ASPF, Testing string }

// step returns the step of the policy. An unknown word is None, which protects nothing.
func (p published) step() advice.Step {
	testing := p.Testing == "y"
	switch p.P {
	case "quarantine":
		if testing {
			return advice.QuarantineTest
		}
		return advice.Quarantine
	case "reject":
		if testing {
			return advice.RejectTest
		}
		return advice.Reject
	}
	return advice.None
}

// text is the record as far as reports tell it; they do not tell rua.
func (p published) text() string {
	out := "v=DMARC1; p=" + cmp.Or(p.P, "none")
	for _, tag := range []struct{ name, value, usual string }{{"sp", p.SP, p.P},
		{"np", p.NP, cmp.Or(p.SP, p.P)}, {"adkim", p.ADKIM, "r"},
		{"aspf", p.ASPF, "r"}, {"t", p.Testing, "n"}} {
		if tag.value != "" && tag.value != tag.usual {
			out += "; " + tag.name + "=" + tag.value
		}
	}
	return out
}

// span is a time in which reports named a policy.
type span struct {
	Policy      published
	Begin, Last int64
}

// policies returns the policies of domains, nil for all, in the order in which reports first named
// them.
func (v *view) policies(ctx context.Context, domains []string) (map[string][]span, error) {
	out := map[string][]span{}
	type row struct {
		domain, begin, last int64
		text                string
	}
	var list []row
	w, err := v.conditions(ctx, Filter{Domains: domains}, "", "domain", "", "")
	if err != nil {
		return nil, err
	}
	err = v.each(ctx, "SELECT domain, policy, MIN(begins), MAX(begins) FROM in_report WHERE "+
		"configured = 1 AND counted = 1 AND "+w.String()+
		" GROUP BY domain, policy ORDER BY MIN(begins)", w.values, func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.domain, &r.text, &r.begin, &r.last)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		n, err := v.name(ctx, r.domain)
		if err != nil {
			return nil, err
		}
		var p published
		if json.Unmarshal([]byte(r.text), &p) != nil {
			continue
		}
		spans := out[n]
		if k := len(spans) - 1; k >= 0 && spans[k].Policy.text() == p.text() {
			spans[k].Last = max(spans[k].Last, r.last)
			continue
		}
		out[n] = append(spans, span{p, r.begin, r.last})
	}
	return out, nil
}

// Domains implements Reader.
func (s *Stored) Domains(ctx context.Context) ([]Domain, error) {
	var out []Domain
	err := s.view(ctx, func(v *view) error {
		spans, err := s.spans(ctx, v)
		if err != nil {
			return err
		}
		names := slices.Concat(s.Names, s.Parked)
		for n := range spans {
			names = append(names, n)
		}
		slices.Sort(names)
		parked := slices.Sorted(slices.Values(s.Parked))
		for _, n := range slices.Compact(names) {
			d := domainOf(n, spans[n])
			_, d.Parked = slices.BinarySearch(parked, n)
			out = append(out, d)
		}
		return v.ownMail(ctx, s.today(), out)
	})
	return out, err
}

func domainOf(n string, spans []span) Domain {
	d := Domain{Name: n}
	if len(spans) == 0 {
		return d
	}
	now := spans[0]
	for _, x := range spans {
		if x.Last >= now.Last {
			now = x
		}
	}
	for _, x := range spans {
		if x.Begin < now.Begin {
			step := x.Policy.step()
			d.Was = &step
		}
	}
	d.Last = advice.DayOf(unix(now.Last))
	d.Known, d.First = true, advice.DayOf(unix(spans[0].Begin))
	d.Policy = advice.Policy{Step: now.Policy.step(), Since: advice.DayOf(unix(now.Begin)),
		Text:  now.Policy.text(),
		ADKIM: cmp.Or(now.Policy.ADKIM, "r"), ASPF: cmp.Or(now.Policy.ASPF, "r"),
		SP: now.Policy.SP, NP: now.Policy.NP}
	return d
}

// Events implements Reader: the changes of policies that reports show.
func (s *Stored) Events(ctx context.Context, f Filter) ([]Event, error) {
	var out []Event
	err := s.view(ctx, func(v *view) error {
		spans, err := s.spans(ctx, v)
		if err != nil {
			return err
		}
		for n, list := range spans {
			if f.Domains != nil && !slices.Contains(f.Domains, n) {
				continue
			}
			for i := 1; i < len(list); i++ {
				at := unix(list[i].Begin)
				if day := advice.DayOf(at); day < f.From || day > f.To {
					continue
				}
				out = append(out, Event{Domain: n, At: at, Kind: "policy",
					Text: "policy changed from " + list[i-1].Policy.step().String() + " to " +
						list[i].Policy.step().String()})
			}
		}
		keys, err := v.keyEvents(ctx, f)
		if err != nil {
			return err
		}
		records, err := v.recordEvents(ctx, f)
		out = slices.Concat(out, keys, records)
		return err
	})
	slices.SortFunc(out, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Domain, b.Domain))
	})
	return out, err
}

// Sources implements Reader.
func (s *Stored) Sources(ctx context.Context, f Filter) ([]Address, error) {
	var out []Address
	err := s.view(ctx, func(v *view) error {
		w, err := v.conditions(ctx, Filter{From: f.From, To: f.To, Domains: f.Domains,
			Addresses: f.Addresses, AllBut: f.AllBut},
			"x.day", "x.domain", "", "x.source")
		if err != nil {
			return err
		}
		type row struct {
			domain, first, last int64
			asn                 int64
			ip, ptr, op, place  string
			days                string
		}
		var list []row
		err = v.each(ctx, `SELECT x.domain, s.ip, s.ptr, s.asn, s.asn_name, s.country,
			MIN(x.day), MAX(x.day), STRING_AGG(x.day || ':' || x.messages, ' ')
			FROM in_day_source x JOIN in_source s ON s.id = x.source
			WHERE `+w.String()+` GROUP BY x.domain, s.ip, s.ptr, s.asn, s.asn_name, s.country
				ORDER BY x.domain, s.ip`, w.values, func(rows *sql.Rows) error {
			var r row
			err := rows.Scan(&r.domain, &r.ip, &r.ptr, &r.asn, &r.op, &r.place, &r.first, &r.last,
				&r.days)
			list = append(list, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range list {
			a := Address{Reverse: r.ptr, First: advice.Day(r.first), Last: advice.Day(r.last),
				ASN: r.asn, Operator: r.op, Country: r.place, Days: daySums(r.days)}
			a.IP, _ = netip.ParseAddr(r.ip)
			if a.Domain, err = v.name(ctx, r.domain); err != nil {
				return err
			}
			a.Network = slices.ContainsFunc(s.Networks,
				func(p netip.Prefix) bool { return p.Contains(a.IP) })
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

// daySums reads "20423:17 20424:3", as Sources has the database put it together: one row for each
// day of an address would take longer to read than the sums do.
func daySums(text string) []DaySum {
	var out []DaySum
	for part := range strings.SplitSeq(text, " ") {
		day, n, _ := strings.Cut(part, ":")
		d, err := strconv.ParseInt(day, 10, 64)
		count, err2 := strconv.ParseInt(n, 10, 64)
		if err == nil && err2 == nil {
			out = append(out, DaySum{advice.Day(d), count})
		}
	}
	return byDay(out)
}

// byDay sorts the sums, and adds up those of a day.
func byDay(list []DaySum) []DaySum {
	slices.SortFunc(list, func(a, b DaySum) int { return cmp.Compare(a.Day, b.Day) })
	out := list[:0]
	for _, d := range list {
		if n := len(out); n > 0 && out[n-1].Day == d.Day {
			out[n-1].Messages += d.Messages
			continue
		}
		out = append(out, d)
	}
	return out
}
