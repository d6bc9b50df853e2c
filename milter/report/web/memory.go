package web

import (
	"cmp"
	"context"
	"iter"
	"net/netip"
	"slices"
	"sync"

	"mailseal/milter/report/advice"
)

// Memory is a Reader of records in memory: for tests, and the reference that a database is compared
// with.
type Memory struct {
	DomainList   []Domain
	RecordList   []Record
	ReportList   []Report
	Reverse      map[netip.Addr]string
	Places       map[netip.Addr]Address // their networks and countries
	Networks     []netip.Prefix
	RuleList     []Rule
	EventList    []Event
	OtherList    map[OtherKind][]Other
	Details      map[string]Detail
	IntakeState  Intake
	OutgoingPage *Outgoing
	RawXML       map[int64][]byte
	RawMail      map[int64][]byte // of Intake.Errors
	Previews     map[string][]Preview

	once     sync.Once
	byDomain map[string][]*Record
	byReport map[int64][]*Record
}

// selected yields the records that f selects.
func (m *Memory) selected(f *Filter) iter.Seq[*Record] {
	m.once.Do(func() {
		m.byDomain, m.byReport = map[string][]*Record{}, map[int64][]*Record{}
		for i := range m.RecordList {
			r := &m.RecordList[i]
			m.byDomain[r.Domain] = append(m.byDomain[r.Domain], r)
			m.byReport[r.Report] = append(m.byReport[r.Report], r)
		}
	})
	return func(yield func(*Record) bool) {
		lists := [][]*Record{m.byReport[f.Report]}
		if f.Report == 0 {
			lists = nil
			for domain, list := range m.byDomain {
				if f.Domains == nil || slices.Contains(f.Domains, domain) {
					lists = append(lists, list)
				}
			}
		}
		for _, list := range lists {
			for _, r := range list {
				if f.Matches(r) && !yield(r) {
					return
				}
			}
		}
	}
}

var _ Reader = (*Memory)(nil)

// Domains implements Reader.
func (m *Memory) Domains(context.Context) ([]Domain, error) { return m.DomainList, nil }

// Matches reports whether a record is one that f selects.
func (f *Filter) Matches(r *Record) bool {
	fits := func(want, got string) bool { return want == "" || want == got }
	switch {
	case f.From != 0 && r.Day < f.From, f.To != 0 && r.Day > f.To:
	case f.Domains != nil && !slices.Contains(f.Domains, r.Domain):
	case f.Addresses != nil && !slices.Contains(f.Addresses, r.Address):
	case slices.Contains(f.AllBut, r.Address):
	case !fits(f.Receiver, r.Receiver), !fits(f.HeaderOf, r.From),
		!fits(f.Envelope, cmp.Or(r.Envelope, r.SPFDomain)):
	case !fits(f.DKIM, r.DKIM), !fits(f.SPF, r.SPF):
	case f.Report != 0 && f.Report != r.Report:
	case f.Reason != "" && !slices.ContainsFunc(r.Reasons, func(x Reason) bool {
		return x.Type == f.Reason
	}):
	case f.Signer != "" && !slices.ContainsFunc(r.Signatures, func(s advice.Signature) bool {
		return s.Domain == f.Signer && fits(f.Selector, s.Selector) &&
			(!f.NoSelector || s.Selector == "")
	}):
	default:
		return f.Result == "" || f.Result == becameOf(r) || f.Result == "fail" && !r.Pass()
	}
	return false
}

// becameOf says what became of the record's messages: pass, or what the receiver did to those that
// failed.
func becameOf(r *Record) string {
	switch {
	case r.Pass():
		return "pass"
	case r.Disposition == "quarantine":
		return "held"
	case r.Disposition == "reject":
		return "refused"
	}
	return "delivered"
}

// counts returns the sums of one record. A mailing list counts before other reasons.
func counts(r *Record) Counts {
	reason := ""
	for _, x := range r.Reasons {
		switch x.Type {
		case "mailing_list":
			reason = "mailing_list"
		case "forwarded", "trusted_forwarder":
			reason = cmp.Or(reason, "forwarded")
		}
	}
	return sumsOf(r.Count, r.DKIM == "pass", r.SPF == "pass", becameOf(r), reason)
}

// Sums implements Reader.
func (m *Memory) Sums(_ context.Context, f Filter, by ...Dim) ([]Sum, error) {
	groups := map[Sum]*Counts{}
	for r := range m.selected(&f) {
		var k Sum
		for _, d := range by {
			switch d {
			case ByDomain:
				k.Domain = r.Domain
			case ByReceiver:
				k.Receiver = r.Receiver
			case ByDay:
				k.Day = r.Day
			case ByAddress:
				k.Address = r.Address
			case ByFrom:
				k.From = r.From
			case ByReason:
				if len(r.Reasons) > 0 {
					k.Reason = r.Reasons[0].Type
				}
			}
		}
		if groups[k] == nil {
			groups[k] = &Counts{}
		}
		groups[k].Add(counts(r))
	}
	var out []Sum
	for k, c := range groups {
		k.Counts = *c
		out = append(out, k)
	}
	return out, nil
}

// Reasons implements Reader.
func (m *Memory) Reasons(_ context.Context, f Filter) ([]Sum, error) {
	sums := reasonSums{}
	for r := range m.selected(&f) {
		sums.add(r.Receiver, r.Reasons, counts(r))
	}
	return sums.sorted(), nil
}

// Identities implements Reader.
func (m *Memory) Identities(_ context.Context, f Filter) ([]Identity, error) {
	type key struct {
		address                           netip.Addr
		from, envelope, spf, disp, reason string
		dkim                              string
		alignedDKIM, alignedSPF           bool
	}
	groups := map[key]*Identity{}
	for r := range m.selected(&f) {
		k := key{address: r.Address, from: r.From, envelope: r.Envelope, spf: r.SPFResult,
			disp:        r.Disposition,
			alignedDKIM: r.DKIM == "pass", alignedSPF: r.SPF == "pass"}
		for _, s := range r.Signatures {
			k.dkim += s.Domain + "/" + s.Selector + "/" + s.Result + " "
		}
		if len(r.Reasons) > 0 {
			k.reason = r.Reasons[0].Type
		}
		id := groups[k]
		if id == nil {
			id = &Identity{Address: k.address, From: k.from, Envelope: k.envelope, SPF: k.spf,
				DKIM:        r.Signatures,
				AlignedDKIM: k.alignedDKIM, AlignedSPF: k.alignedSPF, Disposition: k.disp,
				Reason: k.reason}
			groups[k] = id
		}
		id.Messages += r.Count
		id.Last = max(id.Last, r.Day)
		if !slices.Contains(id.Receivers, r.Receiver) {
			id.Receivers = append(id.Receivers, r.Receiver)
		}
	}
	var out []Identity
	for _, id := range groups {
		slices.Sort(id.Receivers)
		out = append(out, *id)
	}
	slices.SortFunc(out, func(a, b Identity) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), a.Address.Compare(b.Address),
			cmp.Compare(a.From, b.From),
			cmp.Compare(a.Envelope, b.Envelope), cmp.Compare(a.Disposition, b.Disposition))
	})
	return out, nil
}

// Sources implements Reader.
func (m *Memory) Sources(_ context.Context, f Filter) ([]Address, error) {
	type key struct {
		domain string
		ip     netip.Addr
	}
	found := map[key]*Address{}
	for r := range m.selected(&f) {
		k := key{r.Domain, r.Address}
		a := found[k]
		if a == nil {
			at := m.Places[r.Address]
			a = &Address{Domain: r.Domain, IP: r.Address, Reverse: m.Reverse[r.Address],
				First: r.Day, Last: r.Day, ASN: at.ASN, Operator: at.Operator, Country: at.Country}
			for _, n := range m.Networks {
				a.Network = a.Network || n.Contains(r.Address)
			}
			found[k] = a
		}
		a.First, a.Last = min(a.First, r.Day), max(a.Last, r.Day)
		a.Days = append(a.Days, DaySum{r.Day, r.Count})
	}
	var out []Address
	for _, a := range found {
		a.Days = byDay(a.Days)
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b Address) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), a.IP.Compare(b.IP))
	})
	return out, nil
}

// Records implements Reader.
func (m *Memory) Records(_ context.Context, f Filter, w Window) ([]Record, error) {
	var out []Record
	for r := range m.selected(&f) {
		out = append(out, *r)
	}
	slices.SortStableFunc(out, func(a, b Record) int {
		return cmp.Or(cmp.Compare(b.Day, a.Day), cmp.Compare(b.Report, a.Report),
			cmp.Compare(a.N, b.N))
	})
	return cut(out, w), nil
}

func cut[T any](list []T, w Window) []T {
	list = list[min(w.Offset, len(list)):]
	if w.Rows > 0 && len(list) > w.Rows {
		list = list[:w.Rows]
	}
	return list
}

// Reports implements Reader.
func (m *Memory) Reports(_ context.Context, f Filter, w Window) ([]Report, int64, error) {
	var out []Report
	with := m.withSource(f)
	for _, r := range m.ReportList {
		day := advice.DayOf(r.Begin)
		switch {
		case f.From != 0 && day < f.From, f.To != 0 && day > f.To:
		case f.Domains != nil && !slices.Contains(f.Domains, r.Domain):
		case f.Receiver != "" && f.Receiver != r.Receiver:
		case with != nil && !with[r.ID]:
		default:
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Report) int { return b.Received.Compare(a.Received) })
	return cut(out, w), int64(len(out)), nil
}

// Report implements Reader.
func (m *Memory) Report(ctx context.Context, id int64) (Report, []Record, error) {
	i := slices.IndexFunc(m.ReportList, func(r Report) bool { return r.ID == id })
	if i < 0 {
		return Report{}, nil, ErrNotFound
	}
	records, err := m.Records(ctx, Filter{Report: id}, Window{})
	return m.ReportList[i], records, err
}

// Raw implements Reader.
func (m *Memory) Raw(_ context.Context, id int64) ([]byte, error) {
	if raw, ok := m.RawXML[id]; ok {
		return raw, nil
	}
	return nil, ErrNotFound
}

// Receivers implements Reader.
func (m *Memory) Receivers(_ context.Context, f Filter) ([]Reporter, error) {
	type key struct{ domain, receiver string }
	found := map[key]*Reporter{}
	days := map[key]map[advice.Day]bool{}
	for _, r := range m.ReportList {
		day := advice.DayOf(r.Begin)
		if f.Domains != nil && !slices.Contains(f.Domains, r.Domain) || f.Receiver != "" &&
			f.Receiver != r.Receiver ||
			f.From != 0 && day < f.From || f.To != 0 && day > f.To {
			continue
		}
		k := key{r.Domain, r.Receiver}
		p := found[k]
		if p == nil {
			p = &Reporter{Domain: r.Domain, Receiver: r.Receiver, First: day}
			found[k], days[k] = p, map[advice.Day]bool{}
		}
		p.Messages += r.Messages
		days[k][day] = true
		p.First = min(p.First, day)
		if day >= p.Last {
			p.Last, p.LastReceived, p.Format, p.Trusted = day, r.Received, r.Format, r.Trusted
			p.Delay = r.Received.Sub(r.End)
		}
	}
	var out []Reporter
	for k, p := range found {
		p.Days = len(days[k])
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Reporter) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver),
			cmp.Compare(a.Domain, b.Domain))
	})
	return out, nil
}

// Rules implements Reader.
func (m *Memory) Rules(context.Context) ([]Rule, error) { return m.RuleList, nil }

// Others implements Reader.
func (m *Memory) Others(_ context.Context, kind OtherKind, f Filter, w Window) ([]Other, OtherSums,
	error) {
	var out []Other
	var sums OtherSums
	ours := map[string]bool{}
	for i := range m.DomainList {
		ours[m.DomainList[i].Name] = true
	}
	for _, o := range m.OtherList[kind] {
		day := advice.DayOf(o.Begin)
		if f.Domains != nil && !slices.Contains(f.Domains, nearest(o.Domain, ours)) ||
			day < f.From || day > f.To {
			continue
		}
		out = append(out, o)
		sum := &sums.Unverified
		if o.verified() {
			sum = &sums.Verified
		}
		sums.Rows++
		sum.Reports++
		sum.Good += o.Good
		sum.Bad += o.Bad
	}
	slices.SortStableFunc(out, func(a, b Other) int { return b.Begin.Compare(a.Begin) })
	return cut(out, w), sums, nil
}

// Detail implements Reader.
func (m *Memory) Detail(_ context.Context, domain string) (Detail, error) {
	return m.Details[domain], nil
}

// Events implements Reader.
func (m *Memory) Events(_ context.Context, f Filter) ([]Event, error) {
	var out []Event
	for _, e := range m.EventList {
		day := advice.DayOf(e.At)
		if (f.Domains == nil || slices.Contains(f.Domains, e.Domain)) && day >= f.From &&
			day <= f.To {
			out = append(out, e)
		}
	}
	return out, nil
}
