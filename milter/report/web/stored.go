package web

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// Stored is a Reader over the store. It only reads.
type Stored struct {
	Store    *store.Store
	Names    []string       // configured domains, beside those that reports on them were stored for
	Networks []netip.Prefix // of this host
}

var _ Reader = (*Stored)(nil)

// where collects the conditions of a query with their parameters.
type where struct {
	parts  []string
	values []any
}

func (w *where) add(condition string, value any) {
	w.values = append(w.values, value)
	w.parts = append(w.parts, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(w.values))))
}

// in adds a list of numbers of ours. They stand in the text, since a list may be longer than
// drivers take parameters.
func (w *where) in(column, not string, ids []int64) {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	if len(list) == 0 {
		list = []string{"-1"}
	}
	w.parts = append(w.parts, column+not+" IN ("+strings.Join(list, ",")+")")
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return "1=1"
	}
	return strings.Join(w.parts, " AND ")
}

// view is one read of the store, with the words that it met.
type view struct {
	tx    *store.Tx
	names map[int64]string
	ips   map[int64]netip.Addr
	sets  map[int64]results
}

func (s *Stored) view(ctx context.Context, do func(*view) error) error {
	return s.Store.View(ctx, func(tx *store.Tx) error {
		return do(&view{tx: tx, names: map[int64]string{}, ips: map[int64]netip.Addr{}, sets: map[int64]results{}})
	})
}

// each runs a query and calls scan for each row.
func (v *view) each(ctx context.Context, query string, values []any, scan func(*sql.Rows) error) error {
	rows, err := v.tx.QueryContext(ctx, query, values...)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("web: %w", err)
		}
	}
	return rows.Err()
}

// ids returns the numbers of words in a table.
func (v *view) ids(ctx context.Context, table, column string, words []string) ([]int64, error) {
	var out []int64
	for _, word := range words {
		err := v.each(ctx, "SELECT id FROM "+table+" WHERE "+column+" = $1", []any{word}, func(r *sql.Rows) error {
			var id int64
			out = append(out, 0)
			err := r.Scan(&id)
			out[len(out)-1] = id
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// name returns the word with a number; words are looked up once.
func (v *view) name(ctx context.Context, id int64) (string, error) {
	if n, ok := v.names[id]; ok {
		return n, nil
	}
	var n string
	err := v.tx.QueryRowContext(ctx, "SELECT name FROM in_name WHERE id = $1", id).Scan(&n)
	if err != nil && err != sql.ErrNoRows {
		return "", fmt.Errorf("web: %w", err)
	}
	v.names[id] = n
	return n, nil
}

// ip returns the address with a number. What is no address is the zero one.
func (v *view) ip(ctx context.Context, id int64) (netip.Addr, error) {
	if a, ok := v.ips[id]; ok {
		return a, nil
	}
	var text string
	err := v.tx.QueryRowContext(ctx, "SELECT ip FROM in_source WHERE id = $1", id).Scan(&text)
	if err != nil && err != sql.ErrNoRows {
		return netip.Addr{}, fmt.Errorf("web: %w", err)
	}
	a, _ := netip.ParseAddr(text)
	v.ips[id] = a
	return a, nil
}

// conditions are those of f that columns of a table answer. The columns of records are d (domain),
// day, r (reporter) and s (source).
func (v *view) conditions(ctx context.Context, f Filter, day, domain, reporter, source string) (where, error) {
	var w where
	if f.From != 0 {
		w.add(day+" >= ?", int64(f.From))
	}
	if f.To != 0 {
		w.add(day+" <= ?", int64(f.To))
	}
	if f.Domains != nil {
		ids, err := v.ids(ctx, "in_name", "name", f.Domains)
		if err != nil {
			return w, err
		}
		w.in(domain, "", ids)
	}
	if f.Receiver != "" {
		ids, err := v.ids(ctx, "in_reporter", "key", []string{f.Receiver})
		if err != nil {
			return w, err
		}
		w.in(reporter, "", ids)
	}
	for _, list := range []struct {
		addresses []netip.Addr
		not       string
	}{{f.Addresses, ""}, {f.AllBut, " NOT"}} {
		if list.addresses == nil {
			continue
		}
		var words []string
		for _, a := range list.addresses {
			words = append(words, a.String())
		}
		ids, err := v.ids(ctx, "in_source", "ip", words)
		if err != nil {
			return w, err
		}
		w.in(source, list.not, ids)
	}
	return w, nil
}

// recordConditions are all of f, for in_record as x joined with in_report as p.
func (v *view) recordConditions(ctx context.Context, f Filter) (where, error) {
	w, err := v.conditions(ctx, f, "x.day", "x.domain", "p.reporter", "x.source")
	if err != nil {
		return w, err
	}
	w.parts = append(w.parts, "p.counted = 1")
	for _, word := range []struct{ column, value string }{{"x.header_from", f.HeaderOf}, {"x.envelope_from", f.Envelope}} {
		if word.value == "" {
			continue
		}
		ids, err := v.ids(ctx, "in_name", "name", []string{word.value})
		if err != nil {
			return w, err
		}
		w.in(word.column, "", ids)
	}
	if f.Report != 0 {
		w.add("x.report = ?", f.Report)
	}
	if f.Signer != "" {
		ids, err := v.authsets(ctx, f.Signer, f.Selector)
		if err != nil {
			return w, err
		}
		w.in("x.authset", "", ids)
	}
	return w, nil
}

// results are the DKIM and SPF results of a record, as the store keeps them.
type results struct {
	DKIM []struct{ Domain, Selector, Result string } `json:"dkim"`
	SPF  []struct{ Domain, Scope, Result string }    `json:"spf"`
}

func (r results) signatures() []advice.Signature {
	var out []advice.Signature
	for _, d := range r.DKIM {
		out = append(out, advice.Signature{Domain: d.Domain, Selector: d.Selector, Result: d.Result})
	}
	return out
}

// spf returns the result of MAIL FROM.
func (r results) spf() (domain, result string) {
	for _, s := range r.SPF {
		if s.Scope != "helo" {
			return s.Domain, s.Result
		}
	}
	return "", ""
}

// authsets returns the sets of results in which a signature of signer stands.
func (v *view) authsets(ctx context.Context, signer, selector string) ([]int64, error) {
	quoted, err := json.Marshal(signer)
	if err != nil {
		return nil, err
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(string(quoted)) + "%"
	var out []int64
	err = v.each(ctx, `SELECT id, results FROM in_authset WHERE results LIKE $1 ESCAPE '\'`, []any{pattern}, func(rows *sql.Rows) error {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		var r results
		if json.Unmarshal([]byte(text), &r) != nil {
			return nil
		}
		for _, d := range r.DKIM {
			if d.Domain == signer && (selector == "" || d.Selector == selector) {
				out = append(out, id)
				break
			}
		}
		return nil
	})
	return out, err
}

// keeps reports whether an outcome is one that f selects.
func (f *Filter) keeps(o outcome) bool {
	passed := map[bool]string{true: "pass", false: "fail"}
	switch {
	case f.DKIM != "" && f.DKIM != passed[o.dkim()], f.SPF != "" && f.SPF != passed[o.spf()]:
		return false
	}
	return f.Result == "" || f.Result == o.result() || f.Result == "fail" && !o.pass()
}

// countsOf returns the sums of n messages with an outcome.
func countsOf(o outcome, n int64) Counts {
	c := Counts{Messages: n}
	if o.dkim() {
		c.DKIM = n
	}
	if o.spf() {
		c.SPF = n
	}
	switch o.result() {
	case "pass":
		c.Pass = n
		return c
	case "held":
		c.Held = n
	case "refused":
		c.Refused = n
	default:
		c.Delivered = n
	}
	switch reasons[o.reason()] {
	case "mailing_list":
		c.Listed = n
	case "forwarded":
		c.Forwarded = n
	}
	return c
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
		query := "SELECT " + list + ", SUM(x.messages) FROM " + from + " WHERE " + w.String() + " GROUP BY " + list
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
func (v *view) plan(ctx context.Context, f Filter, by []Dim) (from string, columns []string, w where, err error) {
	records := f.HeaderOf+f.Envelope+f.Signer != "" || f.Report != 0
	source, reporter := f.Addresses != nil || f.AllBut != nil, f.Receiver != ""
	for _, d := range by {
		records = records || d == ByFrom || d == ByReason
		source = source || d == ByAddress
		reporter = reporter || d == ByReceiver
	}
	names := map[Dim]string{ByDomain: "x.domain", ByDay: "x.day", ByAddress: "x.source", ByReceiver: "x.reporter"}
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
			err = v.tx.QueryRowContext(ctx, "SELECT key FROM in_reporter WHERE id = $1", k[i]).Scan(&out.Receiver)
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
		type row struct{ source, from, envelope, authset, outcome, n, last int64 }
		var list []row
		err = v.each(ctx, `SELECT x.source, x.header_from, x.envelope_from, x.authset, x.outcome, SUM(x.messages), MAX(x.day)
			FROM in_record x JOIN in_report p ON p.id = x.report WHERE `+w.String()+`
			GROUP BY x.source, x.header_from, x.envelope_from, x.authset, x.outcome`, w.values, func(rows *sql.Rows) error {
			var r row
			err := rows.Scan(&r.source, &r.from, &r.envelope, &r.authset, &r.outcome, &r.n, &r.last)
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
			id := Identity{AlignedDKIM: o.dkim(), AlignedSPF: o.spf(), Disposition: actions[o.action()], Reason: reasons[o.reason()],
				Last: advice.Day(r.last), Messages: r.n}
			if err := v.identify(ctx, &id, r.source, r.from, r.envelope, r.authset); err != nil {
				return err
			}
			out = append(out, id)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Identity) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), a.Address.Compare(b.Address), cmp.Compare(a.From, b.From),
			cmp.Compare(a.Envelope, b.Envelope), cmp.Compare(a.Disposition, b.Disposition))
	})
	return out, err
}

func (v *view) identify(ctx context.Context, id *Identity, source, from, envelope, authset int64) error {
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

func (v *view) results(ctx context.Context, authset int64) (results, error) {
	if r, ok := v.sets[authset]; ok {
		return r, nil
	}
	var text string
	err := v.tx.QueryRowContext(ctx, "SELECT results FROM in_authset WHERE id = $1", authset).Scan(&text)
	if err == sql.ErrNoRows {
		return results{}, nil
	}
	var r results
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	if err != nil {
		return r, fmt.Errorf("web: results %d: %w", authset, err)
	}
	v.sets[authset] = r
	return r, nil
}

func unix(n int64) time.Time { return time.Unix(n, 0).UTC() }
