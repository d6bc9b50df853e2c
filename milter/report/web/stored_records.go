package web

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
)

// rare are the facts of a record that few have.
type rare struct {
	DKIM, SPF, Disposition string
	Reasons                []Reason
}

// Records implements Reader.
func (s *Stored) Records(ctx context.Context, f Filter, win Window) ([]Record, error) {
	var out []Record
	err := s.view(ctx, func(v *view) error {
		var err error
		out, err = v.records(ctx, f, win)
		return err
	})
	return out, err
}

func (v *view) records(ctx context.Context, f Filter, win Window) ([]Record, error) {
	w, err := v.recordConditions(ctx, f)
	if err != nil {
		return nil, err
	}
	if f.Report != 0 { // the records of one report are shown whether they count or not
		w.parts = slices.DeleteFunc(w.parts, func(p string) bool { return p == "p.counted = 1" })
	}
	w.outcomes(f)
	if win.Rows == 0 || f.Report != 0 || f.Addresses != nil {
		list, err := v.recordRows(ctx, w, win)
		if err != nil {
			return nil, err
		}
		return v.recordsOf(ctx, list)
	}
	// A page of a long list: day by day, so that the newest are found without sorting all of them.
	days, err := v.daysWith(ctx, f)
	if err != nil {
		return nil, err
	}
	var list []recordRow
	for _, day := range days {
		missing := win.Offset + win.Rows - len(list)
		if missing <= 0 {
			break
		}
		one := where{parts: slices.Clone(w.parts), values: slices.Clone(w.values)}
		one.add("x.day = ?", day)
		rows, err := v.recordRows(ctx, one, Window{Rows: missing})
		if err != nil {
			return nil, err
		}
		list = append(list, rows...)
	}
	return v.recordsOf(ctx, list[min(win.Offset, len(list)):])
}

// daysWith returns the days on which f selects something as far as the sums tell, newest first.
func (v *view) daysWith(ctx context.Context, f Filter) ([]int64, error) {
	w, err := v.conditions(ctx, Filter{From: f.From, To: f.To, Domains: f.Domains,
		Receiver: f.Receiver},
		"x.day", "x.domain", "x.reporter", "")
	if err != nil {
		return nil, err
	}
	w.outcomes(f)
	var out []int64
	err = v.each(ctx, "SELECT DISTINCT x.day FROM in_day_reporter x WHERE "+w.String()+
		" ORDER BY x.day DESC", w.values, func(rows *sql.Rows) error {
		var day int64
		err := rows.Scan(&day)
		out = append(out, day)
		return err
	})
	return out, err
}

// recordRow is a row of in_record with the numbers of words.
type recordRow struct {
	r                                               Record
	domain, source, from, envelope, authset, result int64
	facts                                           string
}

// recordRows returns rows, newest first.
func (v *view) recordRows(ctx context.Context, w where, win Window) ([]recordRow, error) {
	query := `SELECT x.report, x.n, x.day, x.domain, r.key, x.source, x.messages, x.outcome,
		x.header_from, x.envelope_from, x.authset, x.facts
		FROM in_record x JOIN in_report p ON p.id = x.report JOIN in_reporter r ON r.id = p.reporter
		WHERE ` + w.String() + ` ORDER BY x.day DESC, x.report DESC, x.n`
	if win.Rows > 0 {
		query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
	}
	var list []recordRow
	err := v.each(ctx, query, w.values, func(rows *sql.Rows) error {
		var r recordRow
		err := rows.Scan(&r.r.Report, &r.r.N, &r.r.Day, &r.domain, &r.r.Receiver, &r.source,
			&r.r.Count, &r.result, &r.from, &r.envelope, &r.authset, &r.facts)
		list = append(list, r)
		return err
	})
	return list, err
}

// recordsOf turns the numbers of rows into words.
func (v *view) recordsOf(ctx context.Context, list []recordRow) ([]Record, error) {
	var err error
	var out []Record
	for _, r := range list {
		if r.r.Domain, err = v.name(ctx, r.domain); err != nil {
			return nil, err
		}
		o := outcome(r.result)
		var id Identity
		if err := v.identify(ctx, &id, r.source, r.from, r.envelope, r.authset); err != nil {
			return nil, err
		}
		r.r.Address, r.r.From, r.r.Envelope, r.r.SPFResult, r.r.Signatures = id.Address, id.From,
			id.Envelope, id.SPF, id.DKIM
		var facts rare
		if r.facts != "" {
			_ = json.Unmarshal([]byte(r.facts), &facts) // what is rare may be missing
		}
		passed := map[bool]string{true: "pass", false: "fail"}
		r.r.DKIM, r.r.SPF = cmp.Or(facts.DKIM, passed[o.dkim()]), cmp.Or(facts.SPF, passed[o.spf()])
		r.r.Disposition, r.r.Reasons = cmp.Or(facts.Disposition, actions[o.action()]), facts.Reasons
		if len(r.r.Reasons) == 0 && o.reason() != 0 {
			r.r.Reasons = []Reason{{Type: reasons[o.reason()]}}
		}
		out = append(out, r.r)
	}
	return out, nil
}

// outcomes adds the outcomes that f selects, of the 64 that there are.
func (w *where) outcomes(f Filter) {
	var list []int64
	for o := range outcome(64) {
		if f.keeps(o) {
			list = append(list, int64(o))
		}
	}
	if len(list) < 64 {
		w.in("x.outcome", "", list)
	}
}
