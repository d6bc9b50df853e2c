package web

import (
	"context"
	"database/sql"
	"time"

	"mailseal/milter/report/advice"
)

// Rules implements Reader.
func (s *Stored) Rules(ctx context.Context) ([]Rule, error) {
	list, err := s.Store.Verdicts(ctx)
	var out []Rule
	for _, v := range list {
		r := Rule{ID: v.ID, Domain: v.Domain, Source: v.Subject, Addresses: v.Addresses, Class: advice.Class(v.Class),
			By: v.By, At: v.At, Was: advice.Class(v.Was), Undone: v.Undone}
		if p, ok := v.Prefix(); ok {
			r.Net, r.Source = p, ""
		}
		out = append(out, r)
	}
	return out, err
}

// listed bounds the lists of the page of reports in.
const listedRows = 200

// Intake implements Reader.
func (s *Stored) Intake(ctx context.Context, now time.Time) (Intake, error) {
	var in Intake
	today := advice.DayOf(now)
	begin := today.Time().Unix()
	err := s.view(ctx, func(v *view) error {
		perDay := map[advice.Day]int64{}
		var earlier int64
		err := v.each(ctx, "SELECT received FROM in_report WHERE received >= $1",
			[]any{begin - 29*86400}, func(rows *sql.Rows) error {
				var at int64
				if err := rows.Scan(&at); err != nil {
					return err
				}
				d := advice.DayOf(unix(at))
				perDay[d]++
				if d < today && d >= today-14 && at%86400 <= now.Unix()%86400 {
					earlier++
				}
				in.Last = time.Unix(max(at, in.Last.Unix()), 0).UTC()
				return nil
			})
		if err != nil {
			return err
		}
		in.Today, in.Usual = perDay[today], earlier/14
		for d := today - 29; d <= today; d++ {
			in.Days = append(in.Days, DayCount{d, perDay[d]})
		}
		if err := v.kinds(ctx, &in, begin-29*86400); err != nil {
			return err
		}
		return v.strangers(ctx, &in)
	})
	if in.Last.Unix() <= 0 {
		in.Last = time.Time{}
	}
	return in, err
}

func (v *view) kinds(ctx context.Context, in *Intake, since int64) error {
	err := v.each(ctx, "SELECT kind, COUNT(*) FROM in_raw WHERE received >= $1 GROUP BY kind",
		[]any{since}, func(rows *sql.Rows) error {
			var kind string
			var n int64
			err := rows.Scan(&kind, &n)
			switch kind {
			case "failure":
				in.Failures = n
			case "tls":
				in.TLS = n
			}
			return err
		})
	if err != nil {
		return err
	}
	return v.each(ctx, "SELECT id, received, kind, error, trust_domain, name, size FROM in_raw "+
		"WHERE error <> '' ORDER BY received DESC LIMIT $1",
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var e Failure
			var at int64
			err := rows.Scan(&e.ID, &at, &e.Code, &e.Why, &e.From, &e.Subject, &e.Length)
			e.At = unix(at)
			in.Errors = append(in.Errors, e)
			return err
		})
}

// strangers lists reporters that do not count, and domains that are not configured.
func (v *view) strangers(ctx context.Context, in *Intake) error {
	return v.each(ctx, `SELECT r.key, COALESCE(w.trust_domain, ''), d.name, p.configured, COUNT(*), MIN(p.received)`+
		` FROM in_report p JOIN in_reporter r ON r.id = p.reporter JOIN in_name d ON d.id = p.domain LEFT JOIN in_raw w ON w.id = p.raw
		WHERE p.counted = 0 AND p.variant_of IS NULL GROUP BY r.key, w.trust_domain, d.name, p.configured ORDER BY MIN(p.received) DESC LIMIT $1`,
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var u Stranger
			var configured, since int64
			if err := rows.Scan(&u.Org, &u.From, &u.Domain, &configured, &u.Reports, &since); err != nil {
				return err
			}
			u.Since = unix(since)
			if configured == 0 {
				in.Others = append(in.Others, u)
			} else {
				in.Unverified = append(in.Unverified, u)
			}
			return nil
		})
}
