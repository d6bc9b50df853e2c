package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"mailseal/keys/database"
	"mailseal/milter/report"
)

// On PostgreSQL several hosts count at the same time. Each appends what its segments come to as a
// batch of parts, one for the rows of each policy, and no host changes what another one wrote. A
// batch is stored together with the names of its segments, so that it is stored once. When a day is
// over, Collect puts the parts of all hosts together, a shard at a time: any host may do it, and
// one that dies leaves the shard as it was.

// shards is how many shards a day has. One is put together at a time.
const shards = 16

// shardOf is where the policies of a domain belong.
func shardOf(domain string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(domain)))
	return int(h.Sum32() % shards)
}

// part is the rows of a policy in a batch.
type part struct {
	day    int64
	shard  int
	policy *report.Policy
	hash   string
	key    []byte
	nets   []string
	n      int64 // messages
	passed int64
	folded int64
	rows   int64
}

// parts are those of a batch, in an order that is the same on all hosts: none waits for one that
// waits for it.
func (b *OutBatch) parts() ([]part, error) {
	var out []part
	var w report.RowWriter
	pack := newPartPacker()
	err := b.each(func(p *outPolicy, rows []report.KeyCount) error {
		x := part{day: p.day, shard: shardOf(p.policy.Domain), policy: &p.policy,
			hash:   policyHash(&p.policy),
			passed: p.passed}
		x.folded = p.folded + merge(&w, nil, rows, &p.policy)
		key, err := pack.pack(w.Bytes)
		if err != nil {
			return err
		}
		x.key, x.rows = key, w.Rows
		for _, r := range rows {
			x.n += r.N
		}
		for _, net := range p.nets {
			x.nets = append(x.nets, net.String())
		}
		out = append(out, x)
		return nil
	})
	slices.SortFunc(out, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.shard, b.shard),
			strings.Compare(a.hash, b.hash))
	})
	return out, err
}

// foldParts appends a batch.
func (tx *Tx) foldParts(ctx context.Context, host, name string, parts []part, now time.Time) error {
	if len(parts) == 0 {
		return nil
	}
	var batch int64
	err := tx.QueryRowContext(ctx,
		`INSERT INTO out_batch (host, batch, taken) VALUES ($1, $2, $3) RETURNING id`,
		host, name, now.Unix()).Scan(&batch)
	if err != nil {
		return err
	}
	for i := range parts {
		if i == 0 || parts[i].day != parts[i-1].day || parts[i].shard != parts[i-1].shard {
			if err := tx.openShard(ctx, parts[i].day, parts[i].shard); err != nil {
				return err
			}
		}
	}
	if err := tx.putPolicies(ctx, parts); err != nil {
		return err
	}
	return tx.copyParts(ctx, host, batch, parts)
}

// openShard keeps Collect from a shard until the transaction ends, and has it look again after it.
func (tx *Tx) openShard(ctx context.Context, day int64, shard int) error {
	_, err := tx.ExecContext(ctx,
		"INSERT INTO out_shard (day, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING", day, shard)
	if err != nil {
		return err
	}
	// What is locked behind the savepoint is unlocked before the row is changed: two hosts that
	// both had it locked would wait for each other.
	if _, err := tx.ExecContext(ctx, "SAVEPOINT shard"); err != nil {
		return err
	}
	var isOpen bool
	err = tx.QueryRowContext(ctx,
		"SELECT is_open FROM out_shard WHERE day = $1 AND shard = $2 FOR SHARE", day,
		shard).Scan(&isOpen)
	if err != nil || isOpen {
		return err
	}
	// This host was away when the day was put together.
	_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT shard")
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE out_shard SET is_open = true WHERE day = $1 AND "+
			"shard = $2", day, shard)
	}
	return err
}

// putPolicies stores the policies of parts that their days do not have yet.
func (tx *Tx) putPolicies(ctx context.Context, parts []part) error {
	days, hashes, texts := make([]int64, len(parts)), make([]string, len(parts)),
		make([]string, len(parts))
	for i := range parts {
		text, err := json.Marshal(parts[i].policy)
		if err != nil {
			return err
		}
		days[i], hashes[i], texts[i] = parts[i].day, parts[i].hash, string(text)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO out_part_policy (day, hash, policy)
		SELECT day, decode(hash, 'hex'), policy FROM unnest($1::bigint[], $2::text[], $3::text[])
		AS t (day, hash, policy) ON CONFLICT DO NOTHING`, days, hashes, texts)
	return err
}

// copyParts appends parts to their days.
func (tx *Tx) copyParts(ctx context.Context, host string, batch int64, parts []part) error {
	columns := []string{"day", "batch", "n", "passed", "folded", "row_count", "shard", "host",
		"policy",
		"policy_hash", "nets", "key"}
	rows := pgx.CopyFromSlice(len(parts), func(i int) ([]any, error) {
		p := &parts[i]
		hash, err := hex.DecodeString(p.hash)
		return []any{p.day, batch, p.n, p.passed, p.folded, p.rows, p.shard, host, p.policy.Domain,
			hash, strings.Join(p.nets, " "), p.key}, err
	})
	return tx.conn.Raw(func(c any) error {
		pg, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the store of reports: %T is not a connection to PostgreSQL", c)
		}
		_, err := pg.Conn().CopyFrom(ctx, pgx.Identifier{"out_part"}, columns, rows)
		return err
	})
}

// makeDays makes the partitions of the days of parts.
func (s *Store) makeDays(ctx context.Context, parts []part) error {
	for i := range parts {
		if i > 0 && parts[i].day == parts[i-1].day {
			continue
		}
		if err := s.makeDay(ctx, parts[i].day); err != nil {
			return s.wrap("make the partition of a day", err)
		}
	}
	return nil
}

func (s *Store) makeDay(ctx context.Context, day int64) error {
	var isThere bool
	err := s.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL",
		dayTable(day)).Scan(&isThere)
	if err != nil || isThere {
		return err
	}
	return s.Update(ctx, func(tx *Tx) error {
		if err := tx.lock(ctx, "days"); err != nil {
			return err
		}
		queries := []string{
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF out_part FOR VALUES IN (%d) "+
				"PARTITION BY LIST (shard)", dayTable(day), day),
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s_policy PARTITION OF out_part_policy FOR "+
				"VALUES IN (%d)",
				dayTable(day), day),
		}
		for shard := range shards {
			queries = append(queries, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF %s "+
				"FOR VALUES IN (%d)",
				shardTable(day, shard), dayTable(day), shard))
		}
		for _, q := range queries {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// lock has one host at a time do what is called so, until the transaction ends. With SQLite there
// is one host.
func (tx *Tx) lock(ctx context.Context, what string) error {
	if tx.driver != database.Postgres {
		return nil
	}
	space, key := leaseKey(what)
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1, $2)", space, key)
	return err
}

func dayTable(day int64) string { return fmt.Sprintf("out_part_d%d", day) }

func shardTable(day int64, shard int) string { return fmt.Sprintf("%s_s%d", dayTable(day), shard) }
