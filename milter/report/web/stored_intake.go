package web

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// Rules implements Reader.
func (s *Stored) Rules(ctx context.Context) ([]Rule, error) {
	list, err := s.Store.Verdicts(ctx)
	var out []Rule
	for _, v := range list {
		r := Rule{ID: v.ID, Domain: v.Domain, Source: v.Subject, Addresses: v.Addresses,
			Class: advice.Class(v.Class),
			By:    v.By, At: v.At, Was: advice.Class(v.Was), Undone: v.Undone}
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
		past, err := s.arrivals(ctx, v, today)
		if err != nil {
			return err
		}
		last := past.last
		err = v.each(ctx, "SELECT COUNT(*), COALESCE(MAX(received), 0) FROM in_report WHERE "+
			"received >= $1",
			[]any{begin}, func(rows *sql.Rows) error {
				var latest int64
				err := rows.Scan(&in.Today, &latest)
				last = max(last, latest)
				return err
			})
		if err != nil {
			return err
		}
		in.Last = unix(last)
		past.days(&in, today, now)
		if err := v.counted(ctx, &in, today); err != nil {
			return err
		}
		kinds, err := v.kinds(ctx, begin, begin+2*86400)
		if err != nil {
			return err
		}
		in.Failures, in.TLS = past.kinds["failure"]+kinds["failure"], past.kinds["tls"]+kinds["tls"]
		if err := v.failures(ctx, &in); err != nil {
			return err
		}
		if err := v.decided(ctx, &in); err != nil {
			return err
		}
		return v.strangers(ctx, &in)
	})
	if in.Last.Unix() <= 0 {
		in.Last = time.Time{}
	}
	return in, err
}

// arrivals are counts of the 29 days before today, which do not change any more.
type arrivals struct {
	day   advice.Day // today
	hours map[int64]int64
	last  int64
	kinds map[string]int64
}

// arrivals counts what came before today, once a day: there may be a hundred thousand reports a
// day.
func (s *Stored) arrivals(ctx context.Context, v *view, today advice.Day) (arrivals, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.past.day == today && s.past.hours != nil {
		return s.past, nil
	}
	begin := today.Time().Unix()
	past := arrivals{day: today, hours: map[int64]int64{}}
	err := v.each(ctx, "SELECT received / 3600, COUNT(*), MAX(received) FROM in_report WHERE "+
		"received >= $1 AND received < $2 GROUP BY received / 3600", []any{begin - 29*86400, begin},
		func(rows *sql.Rows) error {
			var hour, n, latest int64
			err := rows.Scan(&hour, &n, &latest)
			past.hours[hour] = n
			past.last = max(past.last, latest)
			return err
		})
	if err != nil {
		return past, err
	}
	if past.kinds, err = v.kinds(ctx, begin-29*86400, begin); err != nil {
		return past, err
	}
	s.past = past
	return past, nil
}

// days fills in the counts of each day, and how many reports are usual by this time of the day: as
// many as on the 14 days before, with a share of the hour that is not over.
func (a arrivals) days(in *Intake, today advice.Day, now time.Time) {
	perDay := map[advice.Day]int64{today: in.Today}
	var earlier int64
	for hour, n := range a.hours {
		d := advice.Day(hour / 24)
		perDay[d] += n
		switch at := int(hour % 24); {
		case d < today-14 || at > now.UTC().Hour():
		case at == now.UTC().Hour():
			earlier += n * int64(now.Minute()) / 60
		default:
			earlier += n
		}
	}
	in.Usual = earlier / 14
	for d := today - 29; d <= today; d++ {
		in.Days = append(in.Days, DayCount{d, perDay[d]})
	}
}

// kinds counts arrivals of each kind in a period.
func (v *view) kinds(ctx context.Context, from, to int64) (map[string]int64, error) {
	out := map[string]int64{}
	err := v.each(ctx, "SELECT kind, COUNT(*) FROM in_raw WHERE received >= $1 AND received < $2 "+
		"GROUP BY kind",
		[]any{from, to}, func(rows *sql.Rows) error {
			var kind string
			var n int64
			err := rows.Scan(&kind, &n)
			out[kind] = n
			return err
		})
	return out, err
}

// counted fills in what arrived today.
func (v *view) counted(ctx context.Context, in *Intake, today advice.Day) error {
	return v.each(ctx, "SELECT what, n FROM in_count WHERE day = $1", []any{int64(today)},
		func(rows *sql.Rows) error {
			var what string
			var n int64
			if err := rows.Scan(&what, &n); err != nil {
				return err
			}
			switch what {
			case store.CountMails:
				in.Mails = n
			case store.CountBytes:
				in.Bytes = n
			case store.CountKnown, store.CountDuplicates:
				in.Duplicates += n
			case store.CountUnread:
				in.UnreadToday = n
			}
			return nil
		})
}

// failures lists what could not be read.
func (v *view) failures(ctx context.Context, in *Intake) error {
	err := v.each(ctx, "SELECT kind, COUNT(*), COUNT(data) FROM in_raw WHERE error <> '' "+
		"GROUP BY kind ORDER BY kind", nil, func(rows *sql.Rows) error {
		var k UnreadKind
		err := rows.Scan(&k.Kind, &k.N, &k.Held)
		in.Unread = append(in.Unread, k)
		return err
	})
	if err != nil {
		return err
	}
	return v.each(ctx, "SELECT id, received, kind, error, trust_domain, name, size, via, "+
		"CASE WHEN data IS NULL THEN 0 ELSE 1 END FROM in_raw "+
		"WHERE error <> '' ORDER BY received DESC LIMIT $1",
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var e Failure
			var at, held int64
			err := rows.Scan(&e.ID, &at, &e.Code, &e.Why, &e.From, &e.Subject, &e.Length, &e.Via,
				&held)
			e.At, e.Held = unix(at), held == 1
			in.Errors = append(in.Errors, e)
			return err
		})
}

// Unread implements Reader.
func (s *Stored) Unread(ctx context.Context, id int64) (Failure, []byte, error) {
	u, err := s.Store.Unread(ctx, id)
	if errors.Is(err, store.ErrNoUnread) {
		return Failure{}, nil, ErrNotFound
	}
	return Failure{ID: u.ID, At: u.Received, Code: u.Kind, Why: u.Error, From: u.TrustDomain,
		Subject: u.Name, Length: u.Size, Via: u.Via, Reports: u.Reports,
		Held: u.Data != nil}, u.Data, err
}

// decided lists reporters that a person decided on.
func (v *view) decided(ctx context.Context, in *Intake) error {
	return v.each(ctx, `SELECT r.key, r.accepted, (SELECT COUNT(*) FROM in_report p WHERE p.reporter = r.id)
		FROM in_reporter r WHERE r.accepted <> 0 ORDER BY r.key LIMIT $1`, []any{int64(listedRows)},
		func(rows *sql.Rows) error {
			var d Decided
			var level int64
			err := rows.Scan(&d.Org, &level, &d.Reports)
			d.Refused = level == 2
			in.Decided = append(in.Decided, d)
			return err
		})
}

// strangers lists reporters that do not count, and domains that are not configured.
func (v *view) strangers(ctx context.Context, in *Intake) error {
	return v.each(ctx, `SELECT r.key, COALESCE(w.trust_domain, ''), d.name, p.configured,
		COUNT(*), MIN(p.received)`+
		` FROM in_report p JOIN in_reporter r ON r.id = p.reporter JOIN in_name d
			ON d.id = p.domain LEFT JOIN in_raw w ON w.id = p.raw
		WHERE p.counted = 0 AND p.variant_of IS NULL AND NOT (r.accepted = 2
		AND p.configured = 1) GROUP BY r.key, w.trust_domain, d.name, p.configured
		ORDER BY MIN(p.received) DESC LIMIT $1`,
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var u Stranger
			var configured, since int64
			if err := rows.Scan(&u.Org, &u.From, &u.Domain, &configured, &u.Reports,
				&since); err != nil {
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
