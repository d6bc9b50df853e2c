package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Relation has the facts about a domain for the relation gate.
type Relation struct {
	WroteTo    bool  // one of our users wrote there in the last 90 days
	PassDays   int64 // days with mail that passed
	PassSpan   int64 // days between the first and the last of them
	FailDays   int64 // days with mail that failed
	FailedNets int64 // client networks of it, at most 2 are counted
}

// Remembered is for how many days relations are kept.
const Remembered = 90

// history is on which days mail of a domain passed and failed, and the last networks of the latter.
type history struct {
	passed, failed map[int64]bool
	nets           map[string]int64 // network, day
}

// parseHistory reads what String writes. Words that it does not know are skipped.
func parseHistory(text string) history {
	h := history{map[int64]bool{}, map[int64]bool{}, map[string]int64{}}
	for word := range strings.FieldsSeq(text) {
		net, number, hasNet := strings.Cut(word[1:], "@")
		if !hasNet {
			number = net
		}
		day, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil:
		case word[0] == 'p':
			h.passed[day] = true
		case word[0] == 'f':
			h.failed[day] = true
		case word[0] == 'n' && hasNet:
			h.net(net, day)
		}
	}
	return h
}

// net keeps a network of failing mail. The two that were seen last are enough. One that was stored
// while smaller networks counted is widened.
func (h history) net(net string, day int64) {
	if p, err := netip.ParsePrefix(net); err == nil {
		net = allocation(p.Addr()).String()
	}
	h.nets[net] = max(h.nets[net], day)
	if len(h.nets) > maxNets {
		oldest := slices.MinFunc(slices.Sorted(maps.Keys(h.nets)), func(a, b string) int {
			return cmp.Compare(h.nets[a], h.nets[b])
		})
		delete(h.nets, oldest)
	}
}

// text is a history from a day on, as it is stored.
func (h history) text(from int64) string {
	var words []string
	for _, of := range []struct {
		letter string
		days   map[int64]bool
	}{{"p", h.passed}, {"f", h.failed}} {
		for _, day := range slices.Sorted(maps.Keys(of.days)) {
			if day >= from {
				words = append(words, of.letter+strconv.FormatInt(day, 10))
			}
		}
	}
	for _, net := range slices.Sorted(maps.Keys(h.nets)) {
		if h.nets[net] >= from {
			words = append(words, fmt.Sprintf("n%s@%d", net, h.nets[net]))
		}
	}
	return strings.Join(words, " ")
}

// relation sums a history up as it was on a day.
func (h history) relation(day int64) (r Relation) {
	isIn := func(d int64) bool { return d > day-Remembered && d <= day }
	var first, last int64
	for d := range h.passed {
		if !isIn(d) {
			continue
		}
		if r.PassDays == 0 {
			first, last = d, d
		}
		first, last = min(first, d), max(last, d)
		r.PassDays++
	}
	r.PassSpan = last - first
	for d := range h.failed {
		if isIn(d) {
			r.FailDays++
		}
	}
	for _, d := range h.nets {
		if d > day-Remembered {
			r.FailedNets++
		}
	}
	return r
}

// updateRelation stores the facts about a domain that follow from a day's mail.
func (tx *Tx) updateRelation(ctx context.Context, p *outPolicy) error {
	domain := p.policy.Domain
	var was string
	var last int64
	err := tx.QueryRowContext(ctx,
		"SELECT days, last FROM out_relation WHERE domain = $1"+tx.forUpdate(),
		domain).Scan(&was, &last)
	if orNone(err) != nil {
		return err
	}
	h := parseHistory(was)
	if p.passed > 0 {
		h.passed[p.day] = true
	}
	for _, net := range p.nets {
		h.failed[p.day] = true
		h.net(net.String(), p.day)
	}
	last = max(last, p.day)
	is := h.text(last - Remembered)
	if is == was {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO out_relation (domain, last, days) VALUES ($1, $2, $3)
		ON CONFLICT (domain) DO UPDATE SET last = excluded.last, days = excluded.days`, domain, last, is)
	return err
}

// forUpdate has a SELECT keep the row from other writers until the transaction ends. SQLite has one
// writer anyway.
func (tx *Tx) forUpdate() string {
	if tx.driver == "postgres" {
		return " FOR UPDATE"
	}
	return ""
}

// OutRelation returns the facts about a domain on a day, and changes nothing.
func (s *Store) OutRelation(ctx context.Context, domain string, day int64) (r Relation, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		r, err = tx.relation(ctx, domain, day)
		return err
	})
	return r, err
}

func (tx *Tx) relation(ctx context.Context, domain string, day int64) (r Relation, err error) {
	var days string
	err = tx.QueryRowContext(ctx,
		"SELECT days FROM out_relation WHERE domain = $1", domain).Scan(&days)
	if orNone(err) != nil {
		return r, err
	}
	r = parseHistory(days).relation(day)
	// The key is made when the first domain is kept: before that there is no key.
	var key string
	err = tx.QueryRowContext(ctx, "SELECT value FROM out_secret WHERE name = 'friends'").Scan(&key)
	if err != nil {
		return r, orNone(err)
	}
	var one int
	err = tx.QueryRowContext(ctx, "SELECT 1 FROM out_friend WHERE hash = $1 AND day > $2",
		contactHash(key, domain), day-Remembered).Scan(&one)
	r.WroteTo = err == nil
	return r, orNone(err)
}

// orNone takes it for no error that a query found nothing.
func orNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// foldContacts keeps the domains that our users wrote to.
func (tx *Tx) foldContacts(ctx context.Context, friends map[string]int64) error {
	if len(friends) == 0 {
		return nil
	}
	key, err := tx.outSecret(ctx, "friends")
	if err != nil {
		return err
	}
	put, err := tx.PrepareContext(ctx, `INSERT INTO out_friend (hash, day) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET day = excluded.day WHERE excluded.day > out_friend.day`)
	if err != nil {
		return err
	}
	defer put.Close()
	for domain, day := range friends {
		if _, err := put.ExecContext(ctx, contactHash(key, domain), day); err != nil {
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

func contactHash(key, domain string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(strings.ToLower(domain)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
