package web

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// Stored is a Reader over the store. It only reads.
type Stored struct {
	Store *store.Store
	// configured domains, beside those that reports on them were stored for
	Names    []string
	Parked   []string         // those that send no mail, as the operator says
	Networks []netip.Prefix   // of this host
	Now      func() time.Time // nil: the host's clock
	Sending  *Sending         // nil: the page of reports that go out is not shown

	mu       sync.Mutex
	mark     Mark // of policies
	policies map[string][]span
	behind   []string // domains whose policies are to be read again
	past     arrivals
}

var _ Reader = (*Stored)(nil)

// keeps reports whether an outcome is one that f selects.
func (f *Filter) keeps(o outcome) bool {
	passed := map[bool]string{true: "pass", false: "fail"}
	switch {
	case f.DKIM != "" && f.DKIM != passed[o.dkim()], f.SPF != "" && f.SPF != passed[o.spf()]:
		return false
	}
	return f.Result == "" || f.Result == o.result() || f.Result == "fail" && !o.pass()
}

// Sums implements Reader. It reads a rollup where one has the dimensions, else the records.
func (s *Stored) Sums(ctx context.Context, f Filter, by ...Dim) ([]Sum, error) {
	var out []Sum
	err := s.view(ctx, func(v *view) error {
		from, columns, w, err := v.plan(ctx, f, by)
		if err != nil {
			return err
		}
		list := strings.Join(columns, ", ")
		query := "SELECT " + list + ", SUM(x.messages) FROM " + from + " WHERE " + w.String() +
			" GROUP BY " + list
		type key [6]int64
		sums := map[key]*Counts{}
		var order []key
		err = v.each(ctx, query, w.values, func(rows *sql.Rows) error {
			var k key
			var o, n int64
			into := make([]any, 0, len(columns)+1)
			for i := range by {
				into = append(into, &k[i])
			}
			if err := rows.Scan(append(into, &o, &n)...); err != nil {
				return err
			}
			if !f.keeps(outcome(o)) {
				return nil
			}
			if sums[k] == nil {
				sums[k] = &Counts{}
				order = append(order, k)
			}
			sums[k].Add(countsOf(outcome(o), n))
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range order {
			sum, err := v.sum(ctx, by, k[:])
			if err != nil {
				return err
			}
			sum.Counts = *sums[k]
			out = append(out, sum)
		}
		return nil
	})
	return out, err
}

// plan chooses the table that is read.
func (v *view) plan(ctx context.Context, f Filter, by []Dim) (from string, columns []string,
	w where, err error) {
	records := f.HeaderOf+f.Envelope+f.Signer+f.Reason != "" || f.Report != 0
	source, reporter := f.Addresses != nil || f.AllBut != nil, f.Receiver != ""
	for _, d := range by {
		records = records || d == ByFrom || d == ByReason
		source = source || d == ByAddress
		reporter = reporter || d == ByReceiver
	}
	names := map[Dim]string{ByDomain: "x.domain", ByDay: "x.day", ByAddress: "x.source",
		ByReceiver: "x.reporter"}
	switch {
	case records || source && reporter:
		from = "in_record x JOIN in_report p ON p.id = x.report"
		names[ByReceiver], names[ByFrom], names[ByReason] = "p.reporter", "x.header_from", "0"
		w, err = v.recordConditions(ctx, f)
	case source:
		from = "in_day_source x"
		w, err = v.conditions(ctx, f, "x.day", "x.domain", "", "x.source")
	default:
		from = "in_day_reporter x"
		w, err = v.conditions(ctx, f, "x.day", "x.domain", "x.reporter", "")
	}
	for _, d := range by {
		columns = append(columns, names[d])
	}
	return from, append(columns, "x.outcome"), w, err
}

// sum turns the numbers of a group into words.
func (v *view) sum(ctx context.Context, by []Dim, k []int64) (out Sum, err error) {
	for i, d := range by {
		switch d {
		case ByDomain:
			out.Domain, err = v.name(ctx, k[i])
		case ByFrom:
			out.From, err = v.name(ctx, k[i])
		case ByDay:
			out.Day = advice.Day(k[i])
		case ByAddress:
			out.Address, err = v.ip(ctx, k[i])
		case ByReceiver:
			out.Receiver, err = v.reporter(ctx, k[i])
		}
		if err != nil {
			return out, fmt.Errorf("web: %w", err)
		}
	}
	return out, nil
}

// Identities implements Reader.
func (s *Stored) Identities(ctx context.Context, f Filter) ([]Identity, error) {
	var out []Identity
	err := s.view(ctx, func(v *view) error {
		w, err := v.recordConditions(ctx, f)
		if err != nil {
			return err
		}
		type row struct {
			source, from, envelope, authset, outcome, n, last int64

			reporters []int64
		}
		var list []row
		// The addresses are joined to the groups: looked up one by one, they would take longer than
		// these.
		err = v.each(ctx, `SELECT g.*, s.ip FROM (SELECT x.source, x.header_from, x.envelope_from, x.authset,
			x.outcome, SUM(x.messages), MAX(x.day), STRING_AGG(CAST(p.reporter AS TEXT), ' ')
			FROM in_record x JOIN in_report p ON p.id = x.report
			WHERE `+w.String()+` GROUP BY x.source, x.header_from, x.envelope_from, x.authset, x.outcome) AS g
			JOIN in_source s ON s.id = g.source`, w.values, func(rows *sql.Rows) error {
			var r row
			var ip, reporters string
			err := rows.Scan(&r.source, &r.from, &r.envelope, &r.authset, &r.outcome, &r.n, &r.last,
				&reporters, &ip)
			r.reporters = distinct(reporters)
			if _, has := v.ips[r.source]; !has {
				v.ips[r.source], _ = netip.ParseAddr(ip)
			}
			list = append(list, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range list {
			o := outcome(r.outcome)
			if !f.keeps(o) {
				continue
			}
			id := Identity{AlignedDKIM: o.dkim(), AlignedSPF: o.spf(),
				Disposition: actions[o.action()], Reason: reasons[o.reason()],
				Last: advice.Day(r.last), Messages: r.n}
			for _, n := range r.reporters {
				receiver, err := v.reporter(ctx, n)
				if err != nil {
					return err
				}
				if !slices.Contains(id.Receivers, receiver) {
					id.Receivers = append(id.Receivers, receiver)
				}
			}
			slices.Sort(id.Receivers)
			if err := v.identify(ctx, &id, r.source, r.from, r.envelope, r.authset); err != nil {
				return err
			}
			out = append(out, id)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Identity) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), a.Address.Compare(b.Address),
			cmp.Compare(a.From, b.From),
			cmp.Compare(a.Envelope, b.Envelope), cmp.Compare(a.Disposition, b.Disposition))
	})
	return out, err
}

func (v *view) identify(ctx context.Context, id *Identity, source, from, envelope,
	authset int64) error {
	var err error
	if id.Address, err = v.ip(ctx, source); err != nil {
		return err
	}
	if id.From, err = v.name(ctx, from); err != nil {
		return err
	}
	if id.Envelope, err = v.name(ctx, envelope); err != nil {
		return err
	}
	r, err := v.results(ctx, authset)
	id.DKIM = r.signatures()
	domain, result := r.spf()
	id.Envelope, id.SPF = cmp.Or(id.Envelope, domain), result
	return err
}

// distinct returns the numbers in a text, each once.
func distinct(text string) []int64 {
	var out []int64
	last := ""
	for part := range strings.SplitSeq(text, " ") {
		if part == last {
			continue
		}
		last = part
		n, err := strconv.ParseInt(part, 10, 64)
		if err == nil && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
