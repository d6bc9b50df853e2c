package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Filter chooses reports and their rows. Zero values choose all.
type Filter struct {
	Domain   string // policy domain of reports, owner of rows
	Reporter string // key
	Since    time.Time
	Until    time.Time
	Top      int // of reports; 0: all
}

// ReportLine is a report in a list.
type ReportLine struct {
	ID       int64                  `json:"id"`
	Reporter string                 `json:"reporter"`
	Org      string                 `json:"org"`
	ReportID string                 `json:"report_id"`
	Domain   string                 `json:"domain"`
	Begin    time.Time              `json:"begin"`
	End      time.Time              `json:"end"`
	Received time.Time              `json:"received"`
	Trust    string                 `json:"trust"`
	Counted  bool                   `json:"counted"`
	Ours     bool                   `json:"configured"`
	State    string                 `json:"state"`
	Refused  bool                   `json:"refused,omitempty"` // you refused the reporter
	Variant  int64                  `json:"variant_of,omitempty"`
	Records  int64                  `json:"records"`
	Messages int64                  `json:"messages"`
	Policy   report.PolicyPublished `json:"-"`
	Notes    []string               `json:"notes,omitempty"`
	File     string                 `json:"file"`
}

// Reports returns the reports that a filter chooses, the latest first.
func (s *Store) Reports(ctx context.Context, f Filter) (out []ReportLine, err error) {
	w := where{}
	w.add("d.name = ", f.Domain)
	w.add("o.key = ", f.Reporter)
	w.period("p.ends >= ", f.Since)
	w.period("p.begins < ", f.Until)
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.reports(ctx, w, f.Top)
		return err
	})
	return out, err
}

// ErrNone reports that nothing in the store has the number that was asked for.
var ErrNone = errors.New("there is no report with this number; \"mailseal reports received\" " +
	"lists the numbers")

// Report returns one report, with its rows.
func (s *Store) Report(ctx context.Context, id int64) (line ReportLine, rows []RecordLine,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		w := where{}
		w.number("p.id = ", id)
		found, err := tx.reports(ctx, w, 1)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNone
		}
		line = found[0]
		rows, err = tx.records(ctx, id)
		return err
	})
	return line, rows, err
}

func (tx *Tx) reports(ctx context.Context, w where, limit int) (out []ReportLine, err error) {
	q := `SELECT p.id, o.key, COALESCE(NULLIF(o.org, ''), o.key), p.report_id, d.name, p.begins,
		p.ends, p.received, p.trust, p.counted, p.configured, p.state,
		CASE WHEN o.accepted = 2 THEN 1
		ELSE 0 END, COALESCE(p.variant_of, 0), p.records, p.messages, p.policy, p.notes, COALESCE(r.name, '')
		FROM in_report p JOIN in_reporter o ON o.id = p.reporter JOIN in_name d
		ON d.id = p.domain LEFT JOIN in_raw r ON r.id = p.raw` +
		w.String() + " ORDER BY p.begins DESC, p.id DESC"
	if limit > 0 {
		q += fmt.Sprint(" LIMIT ", limit)
	}
	rows, err := tx.QueryContext(ctx, q, w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l ReportLine
		var begins, ends, received int64
		var policy, notes string
		err := rows.Scan(&l.ID, &l.Reporter, &l.Org, &l.ReportID, &l.Domain, &begins, &ends,
			&received, &l.Trust, &l.Counted, &l.Ours,
			&l.State, &l.Refused, &l.Variant, &l.Records, &l.Messages, &policy, &notes, &l.File)
		if err != nil {
			return nil, err
		}
		l.Begin, l.End, l.Received = time.Unix(begins, 0).UTC(), time.Unix(ends, 0).UTC(),
			time.Unix(received, 0).UTC()
		json.Unmarshal([]byte(policy), &l.Policy)
		l.Notes = shownNotes(notes)
		out = append(out, l)
	}
	return out, rows.Err()
}

// shownNotes makes lines of the column notes.
func shownNotes(text string) (out []string) {
	var n noted
	json.Unmarshal([]byte(text), &n)
	if n.Cut != "" {
		out = append(out, n.Cut)
	}
	for _, r := range n.Refused {
		out = append(out, fmt.Sprintf("row %d in line %d: %s", r.N, r.Line, r.Why))
	}
	for _, note := range n.Notes {
		out = append(out, note.String())
	}
	for _, e := range n.Errors {
		out = append(out, "error text of the reporter: "+e)
	}
	return out
}

// RecordLine is a row of a report as it is stored: the days of one row are summed.
type RecordLine struct {
	N            int64           `json:"row"`
	Domain       string          `json:"domain"`
	Source       string          `json:"source"`
	Messages     int64           `json:"messages"`
	Pass         bool            `json:"pass"`
	DKIM         bool            `json:"dkim"`
	SPF          bool            `json:"spf"`
	Disposition  string          `json:"disposition"`
	HeaderFrom   string          `json:"header_from"`
	EnvelopeFrom string          `json:"envelope_from,omitempty"`
	Results      json.RawMessage `json:"results"`
	Facts        json.RawMessage `json:"facts,omitempty"`
	outcome      Outcome
}

// Row returns the row as it was in the report.
func (l *RecordLine) Row() (*report.Row, error) {
	row := &report.Row{
		N: int(l.N), Source: l.Source, Count: l.Messages, HeaderFrom: l.HeaderFrom,
		EnvelopeFrom: l.EnvelopeFrom,
	}
	return row, restore(row, l.outcome, resultSets{}, string(l.Results), string(l.Facts))
}

func (tx *Tx) records(ctx context.Context, id int64) (out []RecordLine, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT r.n, d.name, s.ip, SUM(r.messages), r.outcome,
		h.name, e.name, a.results, r.facts
		FROM in_record r JOIN in_name d ON d.id = r.domain JOIN in_source s ON s.id = r.source
		JOIN in_name h ON h.id = r.header_from
		JOIN in_name e ON e.id = r.envelope_from JOIN in_authset a ON a.id = r.authset WHERE r.report = $1
		GROUP BY r.n, d.name, s.ip, r.outcome, h.name, e.name, a.results, r.facts ORDER BY r.n`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l RecordLine
		var o Outcome
		var results, facts string
		if err := rows.Scan(&l.N, &l.Domain, &l.Source, &l.Messages, &o, &l.HeaderFrom,
			&l.EnvelopeFrom, &results, &facts); err != nil {
			return nil, err
		}
		l.outcome = o
		l.Pass, l.DKIM, l.SPF, l.Disposition = o.Pass(), o.DKIM(), o.SPF(), actionWord(o.Action())
		l.Results = json.RawMessage(results)
		if facts != "" {
			l.Facts = json.RawMessage(facts)
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

func actionWord(a report.Action) string {
	return map[report.Action]string{report.Delivered: "none", report.Quarantined: "quarantine",
		report.Rejected: "reject"}[a]
}

// Sum is a number of messages by result.
type Sum struct {
	Messages  int64 `json:"messages"`
	Pass      int64 `json:"pass"`
	DKIM      int64 `json:"dkim"`
	SPF       int64 `json:"spf"`
	Delivered int64 `json:"delivered"` // failed, and neither quarantined nor rejected
	Held      int64 `json:"quarantined"`
	Refused   int64 `json:"rejected"`
}

func (s *Sum) add(o Outcome, n int64) {
	s.Messages += n
	if o.DKIM() {
		s.DKIM += n
	}
	if o.SPF() {
		s.SPF += n
	}
	switch {
	case o.Pass():
		s.Pass += n
	case o.Action() == report.Quarantined:
		s.Held += n
	case o.Action() == report.Rejected:
		s.Refused += n
	default:
		s.Delivered += n
	}
}

// Line is a line of the rollups: sums of a domain, a reporter, or a source.
type Line struct {
	Domain string    `json:"domain,omitempty"` // of a source
	Name   string    `json:"name"`
	First  time.Time `json:"first"` // day
	Last   time.Time `json:"last"`
	Sum
}

// Domains sums the rollups by domain, those with the most messages first.
func (s *Store) Domains(ctx context.Context, f Filter) ([]Line, error) {
	return s.sums(ctx, "in_day_reporter t JOIN in_name k ON k.id = t.domain", "k.name", f)
}

// Reporters sums the rollups of a domain, or of all, by reporter.
func (s *Store) Reporters(ctx context.Context, f Filter) ([]Line, error) {
	return s.sums(ctx, "in_day_reporter t JOIN in_reporter k ON k.id = t.reporter JOIN in_name d "+
		"ON d.id = t.domain",
		"k.key", f)
}

// Sources sums the rollups of a domain, or of all, by domain and source.
func (s *Store) Sources(ctx context.Context, f Filter) ([]Line, error) {
	return s.sums(ctx, "in_day_source t JOIN in_source k ON k.id = t.source JOIN in_name d ON "+
		"d.id = t.domain",
		"d.name, k.ip", f)
}

func (s *Store) sums(ctx context.Context, from, name string, f Filter) (out []Line, err error) {
	w := where{}
	if strings.Contains(from, "in_name d") {
		w.add("d.name = ", f.Domain)
	} else {
		w.add("k.name = ", f.Domain)
	}
	w.day("t.day >= ", f.Since)
	w.day("t.day < ", f.Until)
	columns := name
	if !strings.Contains(name, ",") {
		columns = "'', " + name
	}
	q := "SELECT " + columns + ", t.outcome, SUM(t.messages), MIN(t.day), MAX(t.day) FROM " + from +
		w.String() +
		" GROUP BY " + name + ", t.outcome ORDER BY " + name
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, q, w.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scanLine(rows, &out); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return out, err
}

// scanLine adds a row of the sums to the line that it belongs to, which is the last one or a new
// one.
func scanLine(rows *sql.Rows, out *[]Line) error {
	var domain, name string
	var o Outcome
	var n, first, last int64
	if err := rows.Scan(&domain, &name, &o, &n, &first, &last); err != nil {
		return err
	}
	if k := len(*out); k == 0 || (*out)[k-1].Name != name || (*out)[k-1].Domain != domain {
		*out = append(*out, Line{Domain: domain, Name: name, First: dayTime(first),
			Last: dayTime(last)})
	}
	l := &(*out)[len(*out)-1]
	if d := dayTime(first); d.Before(l.First) {
		l.First = d
	}
	if d := dayTime(last); d.After(l.Last) {
		l.Last = d
	}
	l.add(o, n)
	return nil
}

func dayTime(d int64) time.Time { return time.Unix(d*86400, 0).UTC() }

// where collects conditions.
type where struct {
	terms []string
	args  []any
}

func (w *where) push(term string, arg any) {
	w.args = append(w.args, arg)
	w.terms = append(w.terms, fmt.Sprint(term, "$", len(w.args)))
}

func (w *where) add(term, value string) {
	if value != "" {
		w.push(term, value)
	}
}

func (w *where) number(term string, n int64) { w.push(term, n) }

func (w *where) period(term string, t time.Time) {
	if !t.IsZero() {
		w.push(term, t.Unix())
	}
}

func (w *where) day(term string, t time.Time) {
	if !t.IsZero() {
		w.push(term, day(t))
	}
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}
