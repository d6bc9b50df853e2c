package store

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"mailseal/milter/report"
)

// OutPending is a policy and day whose report is not built yet.
type OutPending struct {
	ID       int64         `json:"-"`
	Day      int64         `json:"-"`
	Policy   report.Policy `json:"-"`
	Domain   string        `json:"domain"`
	Rows     int64         `json:"rows"`
	Messages int64         `json:"messages"`
	Folded   int64         `json:"folded"`

	hash string // where ID is 0: of rows that are not put together yet
}

// OutPending lists what is counted of days up to one, oldest first; domain "" for all.
func (s *Store) OutPending(ctx context.Context, last int64, domain string) ([]OutPending, error) {
	list, err := s.outPending(ctx,
		"WHERE day <= $1 AND "+onlyIn("domain", "$2", domain)+" ORDER BY day, domain, hash", last,
		domain)
	if err != nil {
		return nil, err
	}
	parts, err := s.partsPending(ctx, last, domain, math.MaxInt32)
	return append(list, parts...), err
}

// OutLargest lists what is counted of days up to one, the most messages first, and how many
// policies there are in all.
func (s *Store) OutLargest(
	ctx context.Context, last int64, most int,
) (list []OutPending, all int, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		err := tx.QueryRowContext(ctx,
			"SELECT count(*) FROM out_policy WHERE day <= $1", last).Scan(&all)
		if err != nil {
			return err
		}
		n, err := tx.partsCount(ctx, last)
		all += n
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	list, err = s.outPending(ctx,
		"WHERE day <= $1 ORDER BY messages DESC, domain, hash LIMIT $2", last, most)
	if err != nil {
		return nil, 0, err
	}
	parts, err := s.partsPending(ctx, last, "", most)
	list = append(list, parts...)
	slices.SortStableFunc(list, func(a, b OutPending) int {
		return cmp.Compare(b.Messages, a.Messages)
	})
	return list[:min(len(list), most)], all, err
}

// OutReady lists some of what is counted of days up to one and whose sending time has come,
// the oldest day first. The rest comes once these are built.
func (s *Store) OutReady(
	ctx context.Context, last int64, now time.Time, most int,
) ([]OutPending, error) {
	today := Day(now)
	return s.outPending(ctx, `WHERE day <= $1 AND (day < $2 OR day = $2 AND slot <= $3)
		ORDER BY day, slot, id LIMIT $4`, last, today-1, now.Unix()-today*86400, most)
}

func (s *Store) outPending(ctx context.Context, where string, args ...any) (out []OutPending,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx,
			"SELECT id, day, domain, policy, kept, folded, messages FROM out_policy "+where,
			args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p OutPending
			var text string
			err := rows.Scan(&p.ID, &p.Day, &p.Domain, &text, &p.Rows, &p.Folded, &p.Messages)
			if err == nil {
				err = json.Unmarshal([]byte(text), &p.Policy)
			}
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return rows.Err()
	})
	return out, err
}

// OutRows are the rows of a policy and day that were listed, the largest first.
func (s *Store) OutRows(ctx context.Context, p OutPending) (out []report.Counted, err error) {
	if p.hash != "" {
		out, err = s.partRows(ctx, p)
		report.Sort(out)
		return out, err
	}
	err = s.View(ctx, func(tx *Tx) error {
		var stored []byte
		err := tx.QueryRowContext(ctx, "SELECT row_data FROM out_policy WHERE id = $1",
			p.ID).Scan(&stored)
		if err != nil {
			return orNone(err)
		}
		out, err = counted(stored)
		return err
	})
	report.Sort(out)
	return out, err
}

// counted are the rows that a report.RowWriter wrote.
func counted(stored []byte) (out []report.Counted, err error) {
	for r := range report.ReadRows(stored) {
		row, err := report.ParseKey(r.Key, r.N)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// OutReport is a report that was built or withheld.
type OutReport struct {
	ID       string    `json:"id"`
	Day      int64     `json:"-"`
	Date     string    `json:"day"`
	Domain   string    `json:"domain"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Built    time.Time `json:"built"`
	Messages int64     `json:"messages"`
	Rows     int64     `json:"rows"`
	Folded   int64     `json:"folded,omitempty"`
	XML      []byte    `json:"-"` // gzip

	Deliveries []OutDelivery `json:"deliveries,omitempty"`
}

// The states of reports and deliveries.
const (
	Built      = "built"
	Withheld   = "withheld"
	Queued     = "queued"
	HandedOver = "handed over"
	Deferred   = "deferred"
	Failed     = "failed"
	Suppressed = "suppressed"
)

// OutDelivery is one mail with a report to one address.
type OutDelivery struct {
	Report  string    `json:"-"`
	N       int       `json:"n"`
	Address string    `json:"address"`
	Host    string    `json:"-"` // for which mails are counted, see OutHanded
	State   string    `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	Tries   int       `json:"tries"`
	Due     time.Time `json:"due"`
	Changed time.Time `json:"changed"`
	Message []byte    `json:"-"`
}

// OutBuilt stores the reports of a policy and day, in parts, and removes its rows, in one
// transaction. It does not replace reports that exist: they may have been sent. It stores nothing
// if more was counted since p was listed, or if another process has built the reports.
func (s *Store) OutBuilt(ctx context.Context, p OutPending, parts []OutReport) (isBuilt bool,
	err error) {
	if p.hash != "" {
		return false, nil // it is not put together yet
	}
	err = s.Update(ctx, func(tx *Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM out_policy WHERE id = $1 AND messages = $2",
			p.ID, p.Messages)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 && p.ID > 0 {
			return err
		}
		isBuilt = true
		for _, r := range parts {
			done, err := tx.ExecContext(ctx, `INSERT INTO out_report
				(id, day, domain, state, reason, built, messages, row_count, folded, xml)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`,
				r.ID, r.Day, r.Domain, r.State, r.Reason, r.Built.Unix(), r.Messages, r.Rows,
				r.Folded, r.XML)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				continue
			}
			for _, d := range r.Deliveries {
				_, err := tx.ExecContext(ctx, `INSERT INTO out_delivery
					(report, n, address, host, state, reason, tries, due, changed, message)
					VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9)`,
					r.ID, d.N, d.Address, d.Host, d.State, d.Reason, d.Due.Unix(),
					r.Built.Unix(), d.Message)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return isBuilt && err == nil, err
}

// OutReports lists reports with their deliveries, newest first; domain "" for all, id "" for all.
func (s *Store) OutReports(ctx context.Context, domain, id string, most int) (out []OutReport,
	err error) {
	const latest = " ORDER BY day DESC, domain, id"
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT
			id, day, domain, state, reason, built, messages, row_count, folded, xml FROM out_report
			WHERE id IN (SELECT id FROM out_report WHERE `+onlyIn("domain", "$1", domain)+" AND "+
			onlyIn("id", "$2", id)+latest+" LIMIT $3)"+latest, domain, id, most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r OutReport
			var built int64
			err := rows.Scan(&r.ID, &r.Day, &r.Domain, &r.State, &r.Reason, &built,
				&r.Messages, &r.Rows, &r.Folded, &r.XML)
			if err != nil {
				return err
			}
			r.Built, r.Date = time.Unix(built, 0).UTC(), DayStart(r.Day).Format(time.DateOnly)
			out = append(out, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range out {
			if out[i].Deliveries, err = tx.outDeliveries(ctx, maxDeliveries, "report = $1",
				out[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// maxDeliveries is more than one report has.
const maxDeliveries = 100

func (tx *Tx) outDeliveries(ctx context.Context, most int, where string,
	args ...any) (out []OutDelivery, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT report, n, address, host, state, reason, tries, due, changed, message
		FROM out_delivery WHERE `+where+" ORDER BY due, report, n LIMIT "+strconv.Itoa(most), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d OutDelivery
		var due, changed int64
		err := rows.Scan(&d.Report, &d.N, &d.Address, &d.Host, &d.State, &d.Reason, &d.Tries, &due,
			&changed, &d.Message)
		if err != nil {
			return nil, err
		}
		d.Due, d.Changed = time.Unix(due, 0).UTC(), time.Unix(changed, 0).UTC()
		out = append(out, d)
	}
	return out, rows.Err()
}

// OutDue lists the deliveries whose time has come, the oldest first.
func (s *Store) OutDue(ctx context.Context, now time.Time, most int) (out []OutDelivery,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.outDeliveries(ctx, most, "(state = 'queued' OR state = 'deferred') AND due "+
			"<= $1", now.Unix())
		return err
	})
	return out, err
}

// OutHanded counts the deliveries that were handed over since a time: in all, and to one host.
func (s *Store) OutHanded(ctx context.Context, since time.Time, host string) (all, toHost int,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*),
			coalesce(sum(CASE WHEN host = $2 THEN 1 ELSE 0 END), 0) FROM out_delivery
			WHERE state = 'handed over' AND changed >= $1`, since.Unix(), host).Scan(&all, &toHost)
	})
	return all, toHost, err
}
