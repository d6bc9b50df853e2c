package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report"
)

// Collect puts the parts of the shards of days up to last together, each in a transaction of its
// own. Shards that another host has at the moment are skipped, and one that fails does not keep
// the others. It reports whether there was one.
func (s *Store) Collect(ctx context.Context, last int64, host string, now time.Time) (isOne bool,
	err error) {
	failed := []int64{} // day * shards + shard; nil would be NULL
	for {
		has := len(failed)
		done, oneErr := s.collectOne(ctx, last, host, now, &failed)
		isOne = isOne || done
		err = errors.Join(err, oneErr)
		if !done && len(failed) == has {
			return isOne, err
		}
	}
}

// collectOne puts the parts of one shard together that did not fail yet. If it fails it is added.
func (s *Store) collectOne(
	ctx context.Context, last int64, host string, now time.Time, failed *[]int64,
) (isOne bool, err error) {
	var day int64
	var shard int
	isFound := false
	err = s.Update(ctx, func(tx *Tx) error {
		isOne, isFound = false, false
		err := tx.QueryRowContext(ctx, `SELECT day, shard FROM out_shard WHERE is_open AND day <= $1
			AND day * $2 + shard <> ALL($3::bigint[])
			ORDER BY day, shard LIMIT 1 FOR UPDATE SKIP LOCKED`, last, int64(shards), *failed).Scan(&day, &shard)
		if err != nil {
			return orNone(err)
		}
		isFound = true
		if err := s.collect(ctx, tx, day, shard); err != nil {
			return err
		}
		// In one transaction with what was made of them: a host that dies here leaves them as they
		// were.
		if _, err := tx.ExecContext(ctx, "TRUNCATE "+shardTable(day, shard)); err != nil {
			return err
		}
		isOne = true
		_, err = tx.ExecContext(ctx, `UPDATE out_shard SET is_open = false, host = $3, changed = $4
			WHERE day = $1 AND shard = $2`, day, shard, host, now.Unix())
		return err
	})
	if err != nil {
		if isFound {
			*failed = append(*failed, day*shards+int64(shard))
			err = fmt.Errorf("shard %d of %s: %w", shard, DayStart(day).Format(time.DateOnly), err)
		}
		return false, s.wrap("put the rows of the hosts together", err)
	}
	return isOne, nil
}

// collector puts the parts of a shard together, a policy at a time.
type collector struct {
	folder *folder
	policy outPolicy
	hash   string // "": there is no policy yet
	rows   report.RowWriter
	stored []byte
	unpack *partUnpacker
}

// collect reads the parts on a separate connection, since that of the transaction is
// writing.
func (s *Store) collect(ctx context.Context, tx *Tx, day int64, shard int) error {
	f, err := tx.newFolder(ctx)
	if err != nil {
		return err
	}
	defer f.end()
	rows, err := s.db.QueryContext(ctx, `SELECT encode(policy_hash, 'hex'), key, passed, folded, nets FROM out_part
		WHERE day = $1 AND shard = $2 ORDER BY policy_hash, batch`, day, shard)
	if err != nil {
		return err
	}
	defer rows.Close()
	c := collector{folder: f, policy: outPolicy{day: day}, unpack: &partUnpacker{}}
	for rows.Next() {
		var hash, nets string
		var key []byte
		var passed, folded int64
		if err := rows.Scan(&hash, &key, &passed, &folded, &nets); err != nil {
			return err
		}
		if hash != c.hash {
			if err := c.end(ctx); err != nil {
				return err
			}
			if err := c.begin(ctx, hash); err != nil {
				return err
			}
		}
		if err := c.add(key, passed, folded, nets); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	return c.end(ctx)
}

// begin begins with a policy.
func (c *collector) begin(ctx context.Context, hash string) error {
	day := c.policy.day
	*c = collector{folder: c.folder, policy: outPolicy{day: day}, hash: hash, rows: c.rows,
		stored: c.stored, unpack: c.unpack}
	c.rows.Reset()
	var text string
	err := c.folder.tx.QueryRowContext(ctx, `SELECT policy FROM out_part_policy
		WHERE day = $1 AND hash = decode($2, 'hex')`, day, hash).Scan(&text)
	if err != nil {
		return fmt.Errorf("policy %s of %s: %w", hash, DayStart(day).Format(time.DateOnly), err)
	}
	return json.Unmarshal([]byte(text), &c.policy.policy)
}

// add adds a part.
func (c *collector) add(key []byte, passed, folded int64, nets string) error {
	stored, err := c.unpack.unpack(key)
	if err != nil {
		return err
	}
	list, err := keyCounts(stored)
	if err != nil {
		return err
	}
	c.stored = append(c.stored[:0], c.rows.Bytes...)
	c.policy.folded += folded + merge(&c.rows, c.stored, list, &c.policy.policy)
	c.policy.passed += passed
	for text := range strings.FieldsSeq(nets) {
		p, err := netip.ParsePrefix(text)
		net := allocation(p.Addr())
		if err == nil && len(c.policy.nets) < maxNets && !slices.Contains(c.policy.nets, net) {
			c.policy.nets = append(c.policy.nets, net)
		}
	}
	return nil
}

// end stores what a policy comes to.
func (c *collector) end(ctx context.Context) error {
	if c.hash == "" {
		return nil
	}
	list, err := keyCounts(c.rows.Bytes)
	if err != nil {
		return err
	}
	return c.folder.fold(ctx, &c.policy, list)
}

// keyCounts are the rows that a RowWriter wrote.
func keyCounts(stored []byte) (out []report.KeyCount, err error) {
	keys := make([]byte, 0, 4*len(stored))
	for r := range report.ReadRows(stored) {
		if r.Key == nil {
			return nil, report.ErrRow
		}
		from := len(keys)
		keys = append(keys, r.Key...)
		out = append(out, report.KeyCount{Key: keys[from:len(keys):len(keys)], N: r.N})
	}
	return out, nil
}

// partRows are the rows of a policy that are not put together yet.
func (s *Store) partRows(ctx context.Context, p OutPending) (out []report.Counted, err error) {
	var w report.RowWriter
	var stored []byte
	var unpack partUnpacker
	err = s.View(ctx, func(tx *Tx) error {
		w.Reset()
		rows, err := tx.QueryContext(ctx, `SELECT key FROM out_part
			WHERE day = $1 AND shard = $2 AND policy_hash = decode($3, 'hex') ORDER BY batch`,
			p.Day, shardOf(p.Domain), p.hash)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key []byte
			if err := rows.Scan(&key); err != nil {
				return err
			}
			part, err := unpack.unpack(key)
			if err != nil {
				return err
			}
			list, err := keyCounts(part)
			if err != nil {
				return err
			}
			stored = append(stored[:0], w.Bytes...)
			merge(&w, stored, list, &p.Policy)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return counted(w.Bytes)
}

// partsPending lists what is not put together yet of days up to one; domain "" for all. Its rows
// are those of all batches, of which several may be the same.
func (s *Store) partsPending(ctx context.Context, last int64, domain string,
	most int) (out []OutPending, err error) {
	if !s.IsShared() {
		return nil, nil
	}
	err = s.View(ctx, func(tx *Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx, `SELECT a.day, a.policy, encode(a.policy_hash, 'hex'), p.policy,
				a.rows, a.n, a.folded
			FROM (SELECT day, policy, policy_hash, sum(row_count)::bigint AS rows, sum(n)::bigint AS n,
				sum(folded)::bigint AS folded FROM out_part WHERE day <= $1 AND ($2 = '' OR policy = $2)
				GROUP BY day, policy, policy_hash ORDER BY sum(n) DESC, policy_hash LIMIT $3) a
			JOIN out_part_policy p ON p.day = a.day AND p.hash = a.policy_hash
			ORDER BY a.day, a.policy, a.policy_hash`, last, domain, most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p OutPending
			var text string
			err := rows.Scan(&p.Day, &p.Domain, &p.hash, &text, &p.Rows, &p.Messages, &p.Folded)
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

// partsCount is how many policies are not put together yet.
func (tx *Tx) partsCount(ctx context.Context, last int64) (n int, err error) {
	if tx.driver != database.Postgres {
		return 0, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM
		(SELECT DISTINCT day, policy_hash FROM out_part WHERE day <= $1) a`, last).Scan(&n)
	return n, err
}

// DropDays drops the partitions of days before one whose rows are all put together, and forgets the
// batches of the last days.
func (s *Store) DropDays(ctx context.Context, before int64, now time.Time) error {
	if !s.IsShared() {
		return nil
	}
	days, err := s.partDays(ctx)
	if err != nil {
		return s.wrap("list the partitions of days", err)
	}
	var all []error // one day must not keep the next ones
	for _, day := range days {
		if day >= before {
			continue
		}
		if err := s.dropDay(ctx, day); err != nil {
			all = append(all, s.wrap("drop the partition of "+DayStart(day).Format(time.DateOnly),
				err))
		}
	}
	err = s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM out_batch WHERE taken < $1",
			now.Add(-72*time.Hour).Unix())
		return err
	})
	return errors.Join(append(all, err)...)
}

// partDays lists the days that have a partition.
func (s *Store) partDays(ctx context.Context) (out []int64, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'out_part'::regclass ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		day, err := strconv.ParseInt(strings.TrimPrefix(name, dayTable(0)[:len(dayTable(0))-1]), 10,
			64)
		if err == nil {
			out = append(out, day)
		}
	}
	return out, rows.Err()
}

// dropDay drops the partition of a day, unless it has rows. It asks before it keeps all hosts from
// writing, and again once none can.
func (s *Store) dropDay(ctx context.Context, day int64) error {
	return s.Update(ctx, func(tx *Tx) error {
		if err := tx.lock(ctx, "days"); err != nil {
			return err
		}
		if hasRows, err := tx.hasRows(ctx, day); err != nil || hasRows {
			return err
		}
		for _, q := range []string{
			"SET LOCAL lock_timeout = '5s'", // hosts that write must not wait behind this
			"LOCK TABLE out_part, out_part_policy IN ACCESS EXCLUSIVE MODE",
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		if hasRows, err := tx.hasRows(ctx, day); err != nil || hasRows {
			return err
		}
		for _, q := range []string{
			fmt.Sprintf("DROP TABLE %s, %[1]s_policy", dayTable(day)),
			fmt.Sprintf("DELETE FROM out_shard WHERE day = %d", day),
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// hasRows reports whether a day has rows that are not put together.
func (tx *Tx) hasRows(ctx context.Context, day int64) (has bool, err error) {
	err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s)",
		dayTable(day))).Scan(&has)
	return has, err
}

// postgresOnly is a query of the tables that PostgreSQL alone has.
func (tx *Tx) postgresOnly(query string) string {
	if tx.driver != database.Postgres {
		return ""
	}
	return query
}
