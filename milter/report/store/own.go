package store

import (
	"context"
	"fmt"
	"time"

	"mailseal/milter/report"
)

// ownFor is how long counts of own mail are kept, in days; advice looks at 90.
const ownFor = 400

// own is what one segment says of mail that this host sent.
type own struct {
	days      map[ownDay]ownCount
	selectors map[ownKey]ownSpan
}

type ownDay struct {
	domain string
	day    int64
}

type ownCount struct{ messages, replies, lists int64 }

type ownKey struct{ domain, selector string }

// ownSpan is when a key signed first and last, in seconds since 1970.
type ownSpan struct{ first, last int64 }

func newOwn() own {
	return own{days: map[ownDay]ownCount{}, selectors: map[ownKey]ownSpan{}}
}

// Sent counts a message of ours.
func (b *OutBatch) Sent(s *report.Sent) {
	at := s.Time.Unix()
	k := ownKey{s.Domain, s.Selector}
	span, has := b.own.selectors[k]
	if !has {
		span = ownSpan{at, at}
	}
	b.own.selectors[k] = ownSpan{min(span.first, at), max(span.last, at)}
	d := ownDay{s.Domain, Day(s.Time)}
	c := b.own.days[d]
	if s.Counted {
		c.messages++
		if s.Reply {
			c.replies++
		}
		if s.ToList {
			c.lists++
		}
		b.own.days[d] = c
	}
}

// foldOwn adds the counts of own mail in a segment.
func (tx *Tx) foldOwn(ctx context.Context, o *own, now time.Time) error {
	for d, c := range o.days {
		_, err := tx.ExecContext(ctx, `INSERT INTO own_day (domain, day, messages, replies,
			lists) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (domain, day) DO UPDATE SET messages = own_day.messages + excluded.messages,
			replies = own_day.replies + excluded.replies, lists = own_day.lists + excluded.lists`,
			d.domain, d.day, c.messages, c.replies, c.lists)
		if err != nil {
			return err
		}
	}
	for k, s := range o.selectors {
		_, err := tx.ExecContext(ctx, `INSERT INTO own_selector (domain, selector, first_at,
			last_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (domain, selector) DO UPDATE SET
			first_at = CASE WHEN excluded.first_at < own_selector.first_at THEN excluded.first_at
			ELSE own_selector.first_at END,
			last_at = CASE WHEN excluded.last_at > own_selector.last_at THEN excluded.last_at
			ELSE own_selector.last_at END`,
			k.domain, k.selector, s.first, s.last)
		if err != nil {
			return err
		}
	}
	if len(o.days) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM own_day WHERE day < $1",
		Day(now)-ownFor); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM own_selector WHERE last_at < $1",
		now.AddDate(0, 0, -ownFor).Unix())
	return err
}

// OwnMail counts the mail that this host sent for a domain in a period.
type OwnMail struct {
	Messages int64
	Replies  int64 // that answer other mail, as people do
	Lists    int64 // to mailing lists
}

// OwnMail returns by domain what this host sent from a day on.
func (tx *Tx) OwnMail(ctx context.Context, from int64) (map[string]OwnMail, error) {
	rows, err := tx.QueryContext(ctx,
		"SELECT domain, SUM(messages), SUM(replies), SUM(lists) FROM own_day WHERE day >= $1 "+
			"GROUP BY domain", from)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]OwnMail{}
	for rows.Next() {
		var name string
		var m OwnMail
		if err := rows.Scan(&name, &m.Messages, &m.Replies, &m.Lists); err != nil {
			return nil, err
		}
		out[name] = m
	}
	return out, rows.Err()
}

// OwnKey is a key that this host signed with.
type OwnKey struct {
	Domain, Selector string
	First, Last      time.Time
}

// OwnKeys returns the keys that this host signed with, by domain and time of first use: those of
// one domain, or of all if it is empty.
func (tx *Tx) OwnKeys(ctx context.Context, domain string) ([]OwnKey, error) {
	rows, err := tx.QueryContext(ctx, `SELECT domain, selector, first_at, last_at FROM own_selector
		WHERE `+onlyIn("domain", "$1", domain)+" ORDER BY domain, first_at, selector", domain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []OwnKey
	for rows.Next() {
		var k OwnKey
		var first, last int64
		if err := rows.Scan(&k.Domain, &k.Selector, &first, &last); err != nil {
			return nil, err
		}
		k.First, k.Last = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC()
		out = append(out, k)
	}
	return out, rows.Err()
}

// Use is an administrator's answer about who writes mail from a domain.
type Use struct {
	Domain, Word, By string // Word is "people" or "machines"
	At               time.Time
}

// maxUses is how many domains may have an answer.
const maxUses = 100_000

// SetUse stores who writes mail from a domain; an empty word removes the answer.
func (s *Store) SetUse(ctx context.Context, u Use) error {
	return s.Update(ctx, func(tx *Tx) error {
		if u.Word == "" {
			_, err := tx.ExecContext(ctx, "DELETE FROM own_use WHERE domain = $1", u.Domain)
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM own_use").Scan(&n); err != nil {
			return err
		}
		if n >= maxUses {
			return fmt.Errorf("the store of reports: the limit of %d answers about domains is reached", n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO own_use (domain, use_word, made, made_by) VALUES ($1, $2, $3, $4)
			ON CONFLICT (domain) DO UPDATE
			SET use_word = excluded.use_word, made = excluded.made, made_by = excluded.made_by`,
			u.Domain, u.Word, u.At.Unix(), u.By)
		return err
	})
}

// Uses returns the administrators' statements on the use of domains, by domain.
func (tx *Tx) Uses(ctx context.Context) (map[string]Use, error) {
	rows, err := tx.QueryContext(ctx, "SELECT domain, use_word, made, made_by FROM own_use")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]Use{}
	for rows.Next() {
		var u Use
		var made int64
		if err := rows.Scan(&u.Domain, &u.Word, &made, &u.By); err != nil {
			return nil, err
		}
		u.At = time.Unix(made, 0).UTC()
		out[u.Domain] = u
	}
	return out, rows.Err()
}
