package web

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
)

// Others implements Reader.
func (s *Stored) Others(ctx context.Context, kind OtherKind, f Filter, win Window) ([]Other,
	OtherSums, error) {
	var w where
	w.add("kind = ?", string(kind))
	w.add("begins >= ?", f.From.Time().Unix())
	w.add("begins < ?", (f.To + 1).Time().Unix())
	if f.Domains != nil {
		w.words("domain", f.Domains)
	}
	var out []Other
	var sums OtherSums
	err := s.view(ctx, func(v *view) error {
		err := v.tx.QueryRowContext(ctx, "SELECT COUNT(*), CAST(COALESCE(SUM(good), 0) AS BIGINT), "+
			"CAST(COALESCE(SUM(bad), 0) AS BIGINT) FROM in_other WHERE "+w.String(),
			w.values...).Scan(&sums.Reports, &sums.Good, &sums.Bad)
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
		query := "SELECT id, domain, reporter, begins, received, trust_domain, good, bad, content " +
			"FROM in_other WHERE " + w.String() + " ORDER BY begins DESC, id DESC"
		if win.Rows > 0 {
			query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
		}
		return v.each(ctx, query, w.values, func(rows *sql.Rows) error {
			var o Other
			var begins, received int64
			var content string
			err := rows.Scan(&o.ID, &o.Domain, &o.Reporter, &begins, &received, &o.Proven, &o.Good,
				&o.Bad, &content)
			o.Begin, o.Received = unix(begins), unix(received)
			o.read(content)
			out = append(out, o)
			return err
		})
	})
	return out, sums, err
}

// read fills in what the content of a report says. What cannot be read is left out.
func (o *Other) read(content string) {
	var x struct {
		Type     string
		Failures []struct {
			Result, Reason string
			Host           string `json:"receiving-mx-hostname"`
			Sessions       int64
		}
		Source, From string
		Failed       string `json:"auth-failure"`
		Delivery     string `json:"delivery-result"`
		MailFrom     string `json:"original-mail-from"`
	}
	if json.Unmarshal([]byte(content), &x) != nil {
		return
	}
	o.Policy, o.Source, o.From = x.Type, x.Source, x.From
	o.Failed, o.Result, o.MailFrom = x.Failed, x.Delivery, x.MailFrom
	for _, f := range x.Failures {
		result := strings.TrimSuffix(f.Result+": "+f.Reason, ": ")
		o.Failures = append(o.Failures, TLSFailure{result, f.Host, f.Sessions})
	}
}

// words adds a list of texts. Drivers take some ten thousands.
func (w *where) words(column string, list []string) {
	marks := make([]string, len(list))
	for i, word := range list {
		w.values = append(w.values, word)
		marks[i] = fmt.Sprint("$", len(w.values))
	}
	if len(marks) == 0 {
		marks = []string{"''"}
	}
	w.parts = append(w.parts, column+" IN ("+strings.Join(marks, ",")+")")
}
