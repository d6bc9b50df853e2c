package web

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/report/store"
)

// verifiedOther holds for a report of in_other, as o, that was authenticated or is from a file.
const verifiedOther = "(o.trust_domain <> '' OR EXISTS (SELECT 1 FROM in_raw w WHERE w.id = o.raw " +
	"AND w.trust = '" + store.ByHand + "'))"

// Others implements Reader. A report on a name below a domain of ours is one on that domain.
func (s *Stored) Others(ctx context.Context, kind OtherKind, f Filter, win Window) ([]Other,
	OtherSums, error) {
	var w where
	w.add("o.kind = ?", string(kind))
	w.add("o.begins >= ?", f.From.Time().Unix())
	w.add("o.begins < ?", (f.To + 1).Time().Unix())
	var out []Other
	var sums OtherSums
	err := s.view(ctx, func(v *view) error {
		if f.Domains != nil {
			list, err := s.namesOf(ctx, v, w, f.Domains)
			if err != nil {
				return err
			}
			w.words("o.domain", list)
		}
		if err := v.otherSums(ctx, w, kind, &sums); err != nil {
			return err
		}
		query := "SELECT o.id, o.domain, o.reporter, o.begins, o.received, o.trust_domain, " +
			"CASE WHEN o.trust_domain = '' AND " + verifiedOther + " THEN 1 ELSE 0 END, o.good, " +
			"o.bad, o.content FROM in_other o WHERE " + w.String() +
			" ORDER BY o.begins DESC, o.id DESC"
		if win.Rows > 0 {
			query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
		}
		return v.each(ctx, query, w.values, func(rows *sql.Rows) error {
			var o Other
			var begins, received, file int64
			var content string
			err := rows.Scan(&o.ID, &o.Domain, &o.Reporter, &begins, &received, &o.Proven, &file,
				&o.Good, &o.Bad, &content)
			o.Begin, o.Received, o.File = unix(begins), unix(received), file == 1
			o.read(content)
			out = append(out, o)
			return err
		})
	})
	return out, sums, err
}

// otherSums adds up the reports that w selects. A mail has one TLS report, of which each policy is
// a row.
func (v *view) otherSums(ctx context.Context, w where, kind OtherKind, sums *OtherSums) error {
	count := "COUNT(*)"
	if kind == TLSReports {
		count = "COUNT(DISTINCT raw)"
	}
	return v.each(ctx, "SELECT verified, COUNT(*), "+count+", CAST(SUM(good) AS BIGINT), "+
		"CAST(SUM(bad) AS BIGINT) FROM (SELECT o.raw, o.good, o.bad, CASE WHEN "+verifiedOther+
		" THEN 1 ELSE 0 END AS verified FROM in_other o WHERE "+w.String()+") x GROUP BY verified",
		w.values, func(rows *sql.Rows) error {
			var verified, n int64
			var sum OtherSum
			err := rows.Scan(&verified, &n, &sum.Reports, &sum.Good, &sum.Bad)
			sums.Rows += n
			if verified == 1 {
				sums.Verified = sum
			} else {
				sums.Unverified = sum
			}
			return err
		})
}

// maxOtherNames bounds the names, below the domains that are asked for, of which TLS and failure
// reports are listed: drivers take some 30,000 values.
const maxOtherNames = 20_000

// namesOf returns the names in the reports that w selects which are domains, or below them and
// below no other domain of ours that is nearer.
func (s *Stored) namesOf(ctx context.Context, v *view, w where, domains []string) ([]string,
	error) {
	if len(domains) == 0 {
		return nil, nil
	}
	spans, err := s.spans(ctx, v)
	if err != nil {
		return nil, err
	}
	wanted, ours := map[string]bool{}, map[string]bool{}
	for n := range spans {
		ours[n] = true
	}
	for _, n := range slices.Concat(s.Names, s.Parked, domains) {
		ours[n] = true
	}
	for _, n := range domains {
		wanted[n] = true
	}
	var exact, below []string
	err = v.each(ctx, "SELECT DISTINCT o.domain FROM in_other o WHERE "+w.String(), w.values,
		func(rows *sql.Rows) error {
			var n string
			err := rows.Scan(&n)
			switch {
			case wanted[n]:
				exact = append(exact, n)
			case wanted[nearest(n, ours)]:
				below = append(below, n)
			}
			return err
		})
	list := append(exact, below...)
	return list[:min(len(list), maxOtherNames)], err
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
