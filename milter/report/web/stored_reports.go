package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

const reportFields = `p.id, r.key, COALESCE(NULLIF(r.org, ''), r.key), r.email, p.report_id, d.name,
	p.begins, p.ends, p.received, p.counted, p.trust, p.version, p.namespace,
	p.generator, p.policy, p.notes, p.records, p.messages`

const reportTables = ` FROM in_report p JOIN in_reporter r ON r.id = p.reporter JOIN in_name d ON d.id = p.domain `

// formatOf names the format of a report: that of RFC 9990 by its namespace, older ones by the
// version that they give.
func formatOf(version, namespace string) string {
	switch namespace {
	case "urn:ietf:params:xml:ns:dmarc-2.0":
		return "RFC 9990"
	case "", "http://dmarc.org/dmarc-xml/0.1":
		return cmp.Or(version, "none given")
	}
	return strings.TrimSpace(version + " " + namespace)
}

func scanReport(rows interface{ Scan(...any) error }) (Report, error) {
	var r Report
	var begin, end, received, counted int64
	var version, namespace, policy, notes string
	err := rows.Scan(&r.ID, &r.Receiver, &r.Org, &r.Email, &r.ReportID, &r.Domain, &begin, &end,
		&received, &counted, &r.Trust, &version, &namespace,
		&r.Generator, &policy, &notes, &r.Records, &r.Messages)
	r.Begin, r.End, r.Received, r.Trusted = unix(begin), unix(end), unix(received), counted == 1
	r.Format = formatOf(version, namespace)
	var p published
	if json.Unmarshal([]byte(policy), &p) == nil {
		r.Policy = p.text()
	}
	r.Notes = notesOf(notes)
	return r, err
}

// notesOf returns what was odd about a report.
func notesOf(text string) []Note {
	var x struct {
		Notes   []struct{ Code, Text string }
		Refused []struct {
			Row, Line int
			Why       string
		}
		Cut    string
		Errors []string
	}
	if text == "" || json.Unmarshal([]byte(text), &x) != nil {
		return nil
	}
	var out []Note
	for _, n := range x.Notes {
		out = append(out, Note{Code: n.Code, Title: "counted", Text: n.Text})
	}
	for _, n := range x.Refused {
		out = append(out, Note{Code: fmt.Sprintf("row %d", n.Row), Title: "not counted",
			Text: fmt.Sprintf("line %d: %s", n.Line, n.Why)})
	}
	if x.Cut != "" {
		out = append(out, Note{Code: "cut", Title: "ends early", Text: x.Cut})
	}
	for _, e := range x.Errors {
		out = append(out, Note{Code: "error", Title: "error text of the reporter", Text: e})
	}
	return out
}

// Reports implements Reader.
func (s *Stored) Reports(ctx context.Context, f Filter, win Window) ([]Report, int64, error) {
	var out []Report
	var n int64
	err := s.view(ctx, func(v *view) error {
		w, err := v.reportConditions(ctx, f)
		if err != nil {
			return err
		}
		if err := v.tx.QueryRowContext(ctx, "SELECT COUNT(*)"+reportTables+"WHERE "+w.String(),
			w.values...).Scan(&n); err != nil {
			return fmt.Errorf("web: %w", err)
		}
		query := "SELECT " + reportFields + reportTables + "WHERE " + w.String() +
			" ORDER BY p.received DESC, p.id DESC"
		if win.Rows > 0 {
			query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
		}
		err = v.each(ctx, query, w.values, func(rows *sql.Rows) error {
			r, err := scanReport(rows)
			out = append(out, r)
			return err
		})
		if err != nil {
			return err
		}
		return v.passes(ctx, out)
	})
	return out, n, err
}

func (v *view) reportConditions(ctx context.Context, f Filter) (where, error) {
	w, err := v.conditions(ctx, Filter{Domains: f.Domains, Receiver: f.Receiver}, "", "p.domain",
		"p.reporter", "")
	if err == nil && (f.Addresses != nil || f.AllBut != nil) {
		err = v.withSource(ctx, f, &w)
	}
	if f.From != 0 {
		w.add("p.begins >= ?", f.From.Time().Unix())
	}
	if f.To != 0 {
		w.add("p.begins < ?", (f.To + 1).Time().Unix())
	}
	return w, err
}

// withSource adds the condition that a report has a record of the sources of f. An index by domain,
// source and day finds them.
func (v *view) withSource(ctx context.Context, f Filter, w *where) error {
	records, err := v.conditions(ctx, Filter{Domains: f.Domains, Addresses: f.Addresses,
		AllBut: f.AllBut}, "", "x.domain", "", "x.source")
	if err != nil {
		return err
	}
	w.parts = append(w.parts, "p.id IN (SELECT x.report FROM in_record x WHERE "+
		records.String()+")")
	return nil
}

// passes counts what passed of each report.
func (v *view) passes(ctx context.Context, reports []Report) error {
	for i := range reports {
		err := v.tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(messages), 0) FROM in_record WHERE "+
			"report = $1 AND outcome % 4 <> 0", reports[i].ID).
			Scan(&reports[i].Pass)
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
	}
	return nil
}

// Report implements Reader.
func (s *Stored) Report(ctx context.Context, id int64) (Report, []Record, error) {
	var out Report
	var records []Record
	err := s.view(ctx, func(v *view) error {
		var err error
		out, err = scanReport(v.tx.QueryRowContext(ctx, "SELECT "+reportFields+reportTables+
			"WHERE p.id = $1", id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
		list := []Report{out}
		if err := v.passes(ctx, list); err != nil {
			return err
		}
		out = list[0]
		records, err = v.records(ctx, Filter{Report: id}, Window{})
		slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.N, b.N) })
		return err
	})
	return out, records, err
}

// rawBound is how much of a report is unpacked; intake refuses more.
const rawBound = 64 << 20

// Raw implements Reader.
func (s *Stored) Raw(ctx context.Context, id int64) ([]byte, error) {
	var packed []byte
	err := s.view(ctx, func(v *view) error {
		err := v.tx.QueryRowContext(ctx, "SELECT w.data FROM in_report p JOIN in_raw w ON w.id = "+
			"p.raw WHERE p.id = $1", id).Scan(&packed)
		if errors.Is(err, sql.ErrNoRows) || err == nil && packed == nil {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("web: report %d as received: %w", id, err)
	}
	return io.ReadAll(io.LimitReader(z, rawBound))
}

// Receivers implements Reader.
func (s *Stored) Receivers(ctx context.Context, f Filter) ([]Reporter, error) {
	var out []Reporter
	err := s.view(ctx, func(v *view) error {
		w, err := v.reportConditions(ctx, f)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, "p.configured = 1")
		days := map[[2]string]map[advice.Day]bool{}
		at := map[[2]string]int{}
		return v.each(ctx, "SELECT d.name, r.key, p.begins, p.ends, p.received, p.counted, "+
			"p.messages, p.version, p.namespace"+reportTables+
			"WHERE "+w.String()+" ORDER BY p.begins", w.values, func(rows *sql.Rows) error {
			var p Reporter
			var begin, end, received, counted int64
			var version, namespace string
			if err := rows.Scan(&p.Domain, &p.Receiver, &begin, &end, &received, &counted,
				&p.Messages, &version, &namespace); err != nil {
				return err
			}
			k := [2]string{p.Domain, p.Receiver}
			i, has := at[k]
			if !has {
				i = len(out)
				at[k], days[k] = i, map[advice.Day]bool{}
				out = append(out, Reporter{Domain: p.Domain, Receiver: p.Receiver,
					First: advice.DayOf(unix(begin))})
			}
			days[k][advice.DayOf(unix(begin))] = true
			x := &out[i]
			x.Days = len(days[k])
			if counted == 1 {
				x.Messages += p.Messages
			}
			x.Last, x.LastReceived, x.Trusted = advice.DayOf(unix(begin)), unix(received),
				counted == 1
			x.Delay, x.Format = unix(received).Sub(unix(end)),
				formatOf(version, namespace)
			return nil
		})
	})
	slices.SortFunc(out, func(a, b Reporter) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver),
			cmp.Compare(a.Domain, b.Domain))
	})
	return out, err
}
