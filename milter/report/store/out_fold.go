package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"hash/fnv"
	"time"

	"mailseal/milter/report"
)

// errFolded ends a transaction in which a segment is found that is in the store already.
var errFolded = errors.New("a segment is in the store already")

// OutFolded returns those of some segments that are in the store already: their files were left
// when a process died after the commit.
func (s *Store) OutFolded(ctx context.Context, segments []string) (folded []string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		for _, name := range segments {
			var one int
			err := tx.QueryRowContext(ctx, "SELECT 1 FROM out_segment WHERE name = $1",
				name).Scan(&one)
			if err == nil {
				folded = append(folded, name)
			} else if orNone(err) != nil {
				return err
			}
		}
		return nil
	})
	return folded, err
}

// Fold adds a batch to the rows of its days, once: if one of the segments that it was made of is in
// the store already, nothing changes. It reports whether they were new.
func (s *Store) Fold(
	ctx context.Context, segments []string, b *OutBatch, now time.Time,
) (isNew bool, err error) {
	var shared []part
	if s.IsShared() {
		if shared, err = b.parts(); err == nil {
			err = s.makeDays(ctx, shared)
		}
		if err != nil {
			return false, err
		}
	}
	err = s.Update(ctx, func(tx *Tx) error {
		for _, name := range segments {
			done, err := tx.ExecContext(ctx,
				"INSERT INTO out_segment (name, folded) VALUES ($1, $2) ON CONFLICT (name) DO "+
					"NOTHING",
				name, now.Unix())
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				return errors.Join(err, errFolded)
			}
		}
		rows := tx.foldRows
		if s.IsShared() {
			rows = func(ctx context.Context, _ *OutBatch) error {
				return errors.Join(tx.foldParts(ctx, s.host, segments[0], shared, now),
					tx.lock(ctx, "friends"))
			}
		}
		return errors.Join(rows(ctx, b), tx.foldContacts(ctx, b.friends),
			tx.foldFailures(ctx, b, now), tx.foldOwn(ctx, &b.own, now))
	})
	if errors.Is(err, errFolded) {
		return false, nil
	}
	return err == nil, err
}

// folder writes the rows of policies in one transaction.
type folder struct {
	tx                         *Tx
	find, last, insert, update *sql.Stmt
	rows                       report.RowWriter
}

// foldRows adds the rows of a batch to those of their policies and days.
func (tx *Tx) foldRows(ctx context.Context, b *OutBatch) (err error) {
	f, err := tx.newFolder(ctx)
	if err != nil {
		return err
	}
	defer f.end()
	return b.each(func(p *outPolicy, rows []report.KeyCount) error { return f.fold(ctx, p, rows) })
}

// newFolder prepares the statements of a folder, which end with it.
func (tx *Tx) newFolder(ctx context.Context) (f *folder, err error) {
	f = &folder{tx: tx}
	for _, q := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&f.find, `SELECT id, row_data, passed, nets, policy FROM out_policy
			WHERE day = $1 AND hash = $2` + tx.forUpdate()},
		{&f.last, `SELECT count(*), coalesce(max(hash), '') FROM out_policy
			WHERE day = $1 AND slot = $2 AND domain = $3`},
		{&f.insert, `INSERT INTO out_policy (day, domain, hash, policy, slot) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (day, hash) DO NOTHING`},
		{&f.update, `UPDATE out_policy SET row_data = $2, kept = $3, folded = folded + $4,
			messages = messages + $5, passed = passed + $6, nets = $7 WHERE id = $1`},
	} {
		if *q.to, err = tx.PrepareContext(ctx, q.text); err != nil {
			f.end()
			return nil, err
		}
	}
	return f, nil
}

func (f *folder) end() {
	for _, s := range []*sql.Stmt{f.find, f.last, f.insert, f.update} {
		if s != nil {
			_ = s.Close() // the transaction ends it in any case
		}
	}
}

// maxPolicies limits the policies of a domain that are distinguished on a day: each makes a
// report. A domain may publish another record for each message; mail under further policies
// is counted under one of those that it has.
const maxPolicies = 5

// kept is what a policy has already.
type kept struct {
	id           int64
	rows         []byte
	passed, nets int64
	other        *report.Policy // which it is, where it is another one; nil: the one asked for
}

// fold adds rows to those of one policy and day.
func (f *folder) fold(ctx context.Context, p *outPolicy, rows []report.KeyCount) error {
	has, err := f.have(ctx, p)
	if err != nil {
		return err
	}
	if has.other != nil {
		rows = rowsUnder(rows, has.other)
	}
	folded := p.folded + merge(&f.rows, has.rows, rows, &p.policy)
	var messages int64
	for _, r := range rows {
		messages += r.N
	}
	nets := max(has.nets, int64(len(p.nets)))
	if has.passed == 0 && p.passed > 0 || len(p.nets) > 0 && has.nets < maxNets {
		if err := f.tx.updateRelation(ctx, p); err != nil {
			return err
		}
	}
	_, err = f.update.ExecContext(ctx,
		has.id, f.rows.Bytes, f.rows.Rows, folded, messages, p.passed, nets)
	return err
}

// have returns what is kept of a policy and day, which it makes room for.
func (f *folder) have(ctx context.Context, p *outPolicy) (k kept, err error) {
	own := policyHash(&p.policy)
	hash := own
	for {
		var text string
		err = f.find.QueryRowContext(ctx, p.day, hash).Scan(&k.id, &k.rows, &k.passed, &k.nets,
			&text)
		if err == nil && hash != own {
			k.other = &report.Policy{}
			err = json.Unmarshal([]byte(text), k.other)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return k, err
		}
		domain := p.policy.Domain
		var n int
		var another string
		err := f.last.QueryRowContext(ctx, p.day, nightSecond(domain), domain).Scan(&n, &another)
		if err != nil {
			return k, err
		}
		if n >= maxPolicies {
			hash = another
			continue
		}
		record, err := json.Marshal(p.policy)
		if err != nil {
			return k, err
		}
		_, err = f.insert.ExecContext(ctx, p.day, domain, hash, string(record), nightSecond(domain))
		if err != nil {
			return k, err
		}
	}
}

// The hours in which reports are built and sent, after the day that they are about.
const (
	windowStart = 20 * time.Minute
	window      = 5*time.Hour + 40*time.Minute
)

// nightSecond is when in the night the reports of a domain are built, in seconds: each domain has
// its own time, the same every day.
func nightSecond(domain string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(domain))
	return int64(windowStart/time.Second) + int64(h.Sum64()%uint64(window/time.Second))
}

// Slot is when the report of a domain for a day is built.
func Slot(domain string, day int64) time.Time {
	return DayStart(day + 1).Add(time.Duration(nightSecond(domain)) * time.Second)
}
