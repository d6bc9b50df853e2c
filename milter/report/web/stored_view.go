package web

import (
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
	keys  map[int64]string // of reporters
	ips   map[int64]netip.Addr
	sets  map[int64]results
}

func (s *Stored) view(ctx context.Context, do func(*view) error) error {
	return s.Store.View(ctx, func(tx *store.Tx) error {
		return do(&view{tx: tx, names: map[int64]string{}, keys: map[int64]string{},
			ips: map[int64]netip.Addr{}, sets: map[int64]results{}})
	})
}

// each runs a query and calls scan for each row.
func (v *view) each(ctx context.Context, query string, values []any,
	scan func(*sql.Rows) error) error {
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
		err := v.each(ctx, "SELECT id FROM "+table+" WHERE "+column+" = $1", []any{word},
			func(r *sql.Rows) error {
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

// reporter returns the key of the reporter with a number.
func (v *view) reporter(ctx context.Context, id int64) (string, error) {
	if k, ok := v.keys[id]; ok {
		return k, nil
	}
	var k string
	err := v.tx.QueryRowContext(ctx, "SELECT key FROM in_reporter WHERE id = $1", id).Scan(&k)
	v.keys[id] = k
	return k, err
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
func (v *view) conditions(ctx context.Context, f Filter, day, domain, reporter,
	source string) (where, error) {
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
		if slices.ContainsFunc(list.addresses, func(a netip.Addr) bool { return !a.IsValid() }) {
			more, err := v.unaddressed(ctx, f)
			if err != nil {
				return w, err
			}
			ids = append(ids, more...)
		}
		w.in(source, list.not, ids)
	}
	return w, nil
}

// unaddressed returns the sources of the domains of f of which reports give no address.
func (v *view) unaddressed(ctx context.Context, f Filter) ([]int64, error) {
	w, err := v.conditions(ctx, Filter{From: f.From, To: f.To, Domains: f.Domains}, "x.day",
		"x.domain", "", "")
	if err != nil {
		return nil, err
	}
	var out []int64
	err = v.each(ctx, "SELECT DISTINCT s.id, s.ip FROM in_day_source x JOIN in_source s ON "+
		"s.id = x.source WHERE "+w.String(), w.values, func(rows *sql.Rows) error {
		var id int64
		var ip string
		err := rows.Scan(&id, &ip)
		if _, bad := netip.ParseAddr(ip); bad != nil {
			out = append(out, id)
		}
		return err
	})
	return out, err
}

// recordConditions are all of f, for in_record as x joined with in_report as p.
func (v *view) recordConditions(ctx context.Context, f Filter) (where, error) {
	w, err := v.conditions(ctx, f, "x.day", "x.domain", "p.reporter", "x.source")
	if err != nil {
		return w, err
	}
	w.parts = append(w.parts, "p.counted = 1")
	if f.HeaderOf != "" {
		ids, err := v.ids(ctx, "in_name", "name", []string{f.HeaderOf})
		if err != nil {
			return w, err
		}
		w.in("x.header_from", "", ids)
	}
	if f.Envelope != "" {
		if err := v.envelope(ctx, &w, f.Envelope); err != nil {
			return w, err
		}
	}
	if f.Report != 0 {
		w.add("x.report = ?", f.Report)
	}
	if f.Reason != "" {
		pattern, err := reasonPattern(f.Reason)
		if err != nil {
			return w, err
		}
		w.parts = append(w.parts, anyReason)
		w.add(`x.facts LIKE ? ESCAPE '\'`, pattern)
	}
	if f.Signer != "" {
		ids, err := v.authsets(ctx, f.Signer, func(r results) bool {
			return slices.ContainsFunc(r.signatures(), func(s advice.Signature) bool {
				return s.Domain == f.Signer && (f.Selector == "" || s.Selector == f.Selector) &&
					(!f.NoSelector || s.Selector == "")
			})
		})
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
		out = append(out, advice.Signature{Domain: d.Domain, Selector: d.Selector,
			Result: d.Result})
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

// contains is the pattern of LIKE for texts that have a part, with \ as escape.
func contains(part string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(part) + "%"
}

// envelope adds the condition on the envelope domain. Many receivers leave it out: then it is the
// domain of which SPF was checked.
func (v *view) envelope(ctx context.Context, w *where, domain string) error {
	named, err := v.ids(ctx, "in_name", "name", []string{domain})
	if err != nil {
		return err
	}
	unnamed, err := v.ids(ctx, "in_name", "name", []string{""})
	if err != nil {
		return err
	}
	sets, err := v.authsets(ctx, domain, func(r results) bool {
		checked, _ := r.spf()
		return checked == domain
	})
	if err != nil {
		return err
	}
	var name, none, set where
	name.in("x.envelope_from", "", named)
	none.in("x.envelope_from", "", unnamed)
	set.in("x.authset", "", sets)
	w.parts = append(w.parts, "("+name.String()+" OR "+none.String()+" AND "+set.String()+")")
	return nil
}

// authsets returns the sets of results in which a domain stands, and that are as is says.
func (v *view) authsets(ctx context.Context, domain string, is func(results) bool) ([]int64,
	error) {
	quoted, err := json.Marshal(domain)
	if err != nil {
		return nil, err
	}
	pattern := contains(string(quoted))
	var out []int64
	err = v.each(ctx, `SELECT id, results FROM in_authset WHERE results LIKE $1 ESCAPE '\'`,
		[]any{pattern}, func(rows *sql.Rows) error {
			var id int64
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				return err
			}
			var r results
			if json.Unmarshal([]byte(text), &r) != nil {
				return nil
			}
			if is(r) {
				out = append(out, id)
			}
			return nil
		})
	return out, err
}

func (v *view) results(ctx context.Context, authset int64) (results, error) {
	if r, ok := v.sets[authset]; ok {
		return r, nil
	}
	var text string
	err := v.tx.QueryRowContext(ctx, "SELECT results FROM in_authset WHERE id = $1",
		authset).Scan(&text)
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
