package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Bounds of the rows of one policy and day.
const (
	// outDetailed is how many rows keep what senders can make up; rows beyond are folded by client.
	// It leaves room for the folded ones in a report of report.MaxRows.
	outDetailed = 5_000

	// outRows is how many rows there may be in all: clients are folded to their networks beyond.
	outRows = report.MaxRows
)

// OutBatch is what one segment comes to, counted in memory.
type OutBatch struct {
	policies map[string]*outCount
	friends  map[string]int64           // domain, day
	seen     map[string]map[outSeen]int // domain
	failures map[string]*outFailing
	own      own
	near     int // of failures: kinds whose host is related to the domain by name
	strange  int // and others
}

type outSeen struct {
	day int64
	net string
}

// outCount are the rows of one policy and day.
type outCount struct {
	day    int64
	policy report.Policy
	rows   map[string]int64 // report.Evaluation.Key
	folded int64            // messages
}

// NewOutBatch returns an empty batch.
func NewOutBatch() *OutBatch {
	return &OutBatch{
		policies: map[string]*outCount{},
		friends:  map[string]int64{},
		seen:     map[string]map[outSeen]int{},
		failures: map[string]*outFailing{},
		own:      newOwn(),
	}
}

// Day is the number of a UTC day since 1 January 1970.
func Day(t time.Time) int64 { return t.Unix() / 86400 }

// DayStart is when a day begins.
func DayStart(day int64) time.Time { return time.Unix(day*86400, 0).UTC() }

// Add counts a message.
func (b *OutBatch) Add(e *report.Evaluation) {
	day := Day(e.Time)
	hash := policyHash(&e.Policy)
	key := fmt.Sprint(day, " ", hash)
	c := b.policies[key]
	if c == nil {
		c = &outCount{day: day, policy: e.Policy, rows: map[string]int64{}}
		b.policies[key] = c
	}
	c.add(e.Key(), e, 1, len(c.rows))
	b.see(e, day)
}

// add counts a row. With many rows there already it folds a new one: what senders can make up goes
// first, then the client's address within its network.
func (c *outCount) add(key string, e *report.Evaluation, n int64, have int) {
	if _, known := c.rows[key]; known || have < outDetailed {
		c.rows[key] += n
		return
	}
	c.folded += n
	folded := e.Folded()
	folded.HeaderFrom = c.policy.Domain
	key = folded.Key()
	if _, known := c.rows[key]; !known && have >= outRows-1000 {
		folded.Client = network(folded.Client).Addr()
		key = folded.Key()
	}
	c.rows[key] += n
}

// network is what counts as one client network: /24, or /64 of IPv6.
func network(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// see keeps that a domain's mail passed or failed on a day. Of failing mail few networks are kept:
// two are enough.
func (b *OutBatch) see(e *report.Evaluation, day int64) {
	domain := e.Policy.Domain
	of := b.seen[domain]
	if of == nil {
		of = map[outSeen]int{}
		b.seen[domain] = of
	}
	s := outSeen{day: day}
	if !e.Passes() {
		s.net = network(e.Client).String()
		if len(of) > 8 {
			return
		}
	}
	of[s]++
}

// Wrote counts a domain that one of our users wrote to.
func (b *OutBatch) Wrote(domain string, at time.Time) {
	b.friends[domain] = max(b.friends[domain], Day(at))
}

func policyHash(p *report.Policy) string {
	sum := sha256.Sum256([]byte(p.Domain + "\x00" + p.Text + "\x00" + p.Discovery))
	return hex.EncodeToString(sum[:16])
}

// Fold adds a batch to the rows of its days, once: a segment that was folded before changes
// nothing. It reports whether it was new.
func (s *Store) Fold(ctx context.Context, segment string, b *OutBatch, now time.Time) (isNew bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		isNew = false
		done, err := tx.ExecContext(ctx,
			"INSERT INTO out_segment (name, folded) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", segment, now.Unix())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		isNew = true
		for _, c := range b.policies {
			if err := tx.foldPolicy(ctx, c); err != nil {
				return err
			}
		}
		return errors.Join(tx.foldRelations(ctx, b), tx.foldFailures(ctx, b, now), tx.foldOwn(ctx, &b.own, now))
	})
	return isNew, err
}

func (tx *Tx) foldPolicy(ctx context.Context, c *outCount) error {
	text, err := json.Marshal(c.policy)
	if err != nil {
		return err
	}
	var id, kept int64
	err = tx.QueryRowContext(ctx, `INSERT INTO out_policy (day, domain, hash, policy) VALUES ($1, $2, $3, $4)
		ON CONFLICT (day, hash) DO UPDATE SET domain = excluded.domain RETURNING id, kept`,
		c.day, c.policy.Domain, policyHash(&c.policy), string(text)).Scan(&id, &kept)
	if err != nil {
		return err
	}
	if kept+int64(len(c.rows)) > outDetailed {
		if err := tx.refold(ctx, c, id, int(kept)); err != nil {
			return err
		}
	}
	put, err := tx.PrepareContext(ctx, `INSERT INTO out_row (policy, hash, row_text, n) VALUES ($1, $2, $3, $4)
		ON CONFLICT (policy, hash) DO UPDATE SET n = out_row.n + excluded.n`)
	if err != nil {
		return err
	}
	defer put.Close()
	for key, n := range c.rows {
		if _, err := put.ExecContext(ctx, id, rowHash(key), key, n); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE out_policy SET folded = folded + $2,
		kept = (SELECT count(*) FROM out_row WHERE policy = $1) WHERE id = $1`, id, c.folded)
	return err
}

// refold folds the rows of a batch that the store has no room for beside those that it has.
func (tx *Tx) refold(ctx context.Context, c *outCount, id int64, kept int) error {
	known, err := tx.PrepareContext(ctx, "SELECT 1 FROM out_row WHERE policy = $1 AND hash = $2")
	if err != nil {
		return err
	}
	defer known.Close()
	all := c.rows
	c.rows = map[string]int64{}
	keys := make([]string, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		var one int
		err := known.QueryRowContext(ctx, id, rowHash(key)).Scan(&one)
		if err == nil {
			c.rows[key] += all[key]
			continue
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		row, err := report.ParseKey(key, all[key])
		if err != nil {
			return err
		}
		row.Policy = c.policy
		c.add(key, &row.Evaluation, row.Count, kept+len(c.rows))
	}
	return nil
}

func rowHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:12])
}

func (tx *Tx) foldRelations(ctx context.Context, b *OutBatch) error {
	for domain, of := range b.seen {
		for s := range of {
			_, err := tx.ExecContext(ctx,
				"INSERT INTO out_seen (domain, day, net) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
				domain, s.day, s.net)
			if err != nil {
				return err
			}
		}
	}
	if len(b.friends) == 0 {
		return nil
	}
	key, err := tx.outSecret(ctx, "friends")
	if err != nil {
		return err
	}
	for domain, day := range b.friends {
		_, err := tx.ExecContext(ctx, `INSERT INTO out_friend (hash, day) VALUES ($1, $2)
			ON CONFLICT (hash) DO UPDATE SET
			day = CASE WHEN excluded.day > out_friend.day THEN excluded.day ELSE out_friend.day END`,
			friendHash(key, domain), day)
		if err != nil {
			return err
		}
	}
	return nil
}

// outSecret is a key of the store, which it makes when it is asked for first: "friends", under
// which domains are kept that our users write to, or "verp", of the senders of reports.
func (tx *Tx) outSecret(ctx context.Context, name string) (string, error) {
	var fresh [32]byte
	if _, err := rand.Read(fresh[:]); err != nil {
		return "", err
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO out_secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
		name, hex.EncodeToString(fresh[:]))
	if err != nil {
		return "", err
	}
	var key string
	err = tx.QueryRowContext(ctx, "SELECT value FROM out_secret WHERE name = $1", name).Scan(&key)
	return key, err
}

func friendHash(key, domain string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(strings.ToLower(domain)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
