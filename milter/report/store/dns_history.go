package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// DNSRecord is the answer of the DNS for one name and type.
type DNSRecord struct {
	Name, Kind string
	Values     []string
}

// DNSChange is a record that changed.
type DNSChange struct {
	Domain string    `json:"domain"`
	Name   string    `json:"name"`
	Kind   string    `json:"type"`
	Before []string  `json:"before,omitempty"`
	Now    []string  `json:"now,omitempty"`
	At     time.Time `json:"seen"` // when it was seen; it may have changed since the check before
}

// Bounds of what is kept of a domain: its owner chooses the records.
const (
	maxDNSRecords = 500 // names and types
	maxDNSChanges = 500 // changes, the newest
	maxDNSContent = 16 << 10
)

// Names that hold nothing are what reports say, which may be forged: they go again, so that there
// is room for those of the owner.
const (
	nothing     = "[]"                // the content of such a name
	nothingKept = 30 * 24 * time.Hour // since it was seen so, where it is not asked for any more
)

// DNSTurn is a domain whose records must be checked, and the time of the last check.
type DNSTurn struct {
	Domain  string
	checked int64 // Unix time; 0 for never
	isKnown bool
}

// IsDue reports whether the domain was not checked since a time.
func (t DNSTurn) IsDue(since time.Time) bool { return !t.isKnown || t.checked <= since.Unix() }

// DueDomains returns at most n domains of a list that were not checked since a time, the one that
// waits longest first. ClaimTurn takes them one by one: other processes may have the same list.
func (s *Store) DueDomains(ctx context.Context, names []string, since time.Time, n int) ([]DNSTurn,
	error) {
	checked := map[string]int64{}
	err := s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT domain, checked FROM dns_domain")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var at int64
			if err := rows.Scan(&name, &at); err != nil {
				return err
			}
			checked[name] = at
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	var due []DNSTurn
	for _, name := range names {
		at, isKnown := checked[name]
		if turn := (DNSTurn{name, at, isKnown}); turn.IsDue(since) {
			due = append(due, turn)
		}
	}
	slices.SortStableFunc(due, func(a, b DNSTurn) int { return cmp.Compare(a.checked, b.checked) })
	return due[:min(n, len(due))], nil
}

// ClaimTurn notes that a domain is checked now, so that no other process does, and reports whether
// none was faster.
func (s *Store) ClaimTurn(ctx context.Context, turn DNSTurn, now time.Time) (claimed bool,
	err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		text := "UPDATE dns_domain SET checked = $2 WHERE domain = $1 AND checked = $3"
		args := []any{turn.Domain, now.Unix(), turn.checked}
		if !turn.isKnown {
			text = "INSERT INTO dns_domain (domain, checked, known) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"
			args = args[:2]
		}
		done, err := tx.ExecContext(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		claimed = n > 0
		return err
	})
	return claimed && err == nil, err
}

// ClaimDomain returns the domain of a list that was not checked for longest, if that was before a
// time, and notes that it is checked now, so that no other process does; "" where none is due.
func (s *Store) ClaimDomain(ctx context.Context, names []string, before,
	now time.Time) (claimed string, err error) {
	due, err := s.DueDomains(ctx, names, before, 1)
	if err != nil || len(due) == 0 {
		return "", err
	}
	ok, err := s.ClaimTurn(ctx, due[0], now)
	if err != nil || !ok {
		return "", err
	}
	return due[0].Domain, nil
}

// CompareDNS stores the DNS records of a domain, and returns those that changed. The first
// answer for a name, even one without records, is stored but not counted as a change. Names
// that were not queried this time are unchanged.
func (s *Store) CompareDNS(ctx context.Context, domain string, records []DNSRecord,
	now time.Time) (out []DNSChange, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		out = nil
		was, err := tx.dnsRecords(ctx, domain)
		if err != nil {
			return err
		}
		if err := tx.makeDNSRoom(ctx, domain, was, records, now); err != nil {
			return err
		}
		for _, r := range records {
			key, content := [2]string{r.Name, r.Kind}, contentOf(r.Values)
			row, has := was[key]
			old := row.content
			if old == content && has || !has && len(was) >= maxDNSRecords ||
				len(content) > maxDNSContent {
				continue
			}
			was[key] = dnsRow{content, now.Unix()}
			const put = `INSERT INTO dns_record (domain, name, kind, content, since) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (domain, name, kind) DO UPDATE SET content = excluded.content, since = excluded.since`
			if _, err := tx.ExecContext(ctx, put, domain, text(r.Name), r.Kind, content,
				now.Unix()); err != nil {
				return err
			}
			if !has { // nothing is known of what it was
				continue
			}
			const add = "INSERT INTO dns_change (domain, name, kind, was, content, changed) " +
				"VALUES ($1, $2, $3, $4, $5, $6)"
			if _, err := tx.ExecContext(ctx, add, domain, text(r.Name), r.Kind, old, content,
				now.Unix()); err != nil {
				return err
			}
			out = append(out, DNSChange{domain, r.Name, r.Kind, valuesOf(old), valuesOf(content),
				now.UTC()})
		}
		return tx.dnsBound(ctx, domain)
	})
	return out, err
}

// makeDNSRoom drops names that hold nothing and are not among the records that were asked for:
// those that are too old, and the oldest as far as new names need their room.
func (tx *Tx) makeDNSRoom(ctx context.Context, domain string, was map[[2]string]dnsRow,
	asked []DNSRecord,
	now time.Time) error {
	isAsked, fresh := map[[2]string]bool{}, 0
	for _, r := range asked {
		key := [2]string{r.Name, r.Kind}
		if _, has := was[key]; !has && !isAsked[key] {
			fresh++
		}
		isAsked[key] = true
	}
	var idle [][2]string
	for key, row := range was {
		if row.content == nothing && !isAsked[key] {
			idle = append(idle, key)
		}
	}
	slices.SortFunc(idle, func(a, b [2]string) int {
		return cmp.Compare(was[a].since, was[b].since)
	})
	for _, key := range idle {
		isOld := was[key].since < now.Add(-nothingKept).Unix()
		if !isOld && len(was)+fresh <= maxDNSRecords {
			break
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM dns_record WHERE domain = $1 AND name = $2 "+
			"AND kind = $3",
			domain, key[0], key[1]); err != nil {
			return err
		}
		delete(was, key)
	}
	return nil
}

// dnsBound notes that there is something to compare with, and drops the oldest changes.
func (tx *Tx) dnsBound(ctx context.Context, domain string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE dns_domain SET known = 1 WHERE domain = $1",
		domain); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM dns_change WHERE domain = $1 AND id NOT IN
		(SELECT id FROM dns_change WHERE domain = $1 ORDER BY changed DESC, id DESC LIMIT $2)`, domain, maxDNSChanges)
	return err
}

// dnsRow is the stored state of a name and type.
type dnsRow struct {
	content string
	since   int64 // when it was first seen, in seconds of Unix
}

func (tx *Tx) dnsRecords(ctx context.Context, domain string) (map[[2]string]dnsRow, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, kind, content, since FROM dns_record WHERE "+
		"domain = $1", domain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[[2]string]dnsRow{}
	for rows.Next() {
		var name, kind string
		var row dnsRow
		if err := rows.Scan(&name, &kind, &row.content, &row.since); err != nil {
			return nil, err
		}
		out[[2]string{name, kind}] = row
	}
	return out, rows.Err()
}

// DNSChanges returns what changed since a time, the latest first, at most limit; of one domain, or
// of all for "".
func (s *Store) DNSChanges(ctx context.Context, domain string, since time.Time,
	limit int) (out []DNSChange, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.DNSChanges(ctx, domain, since, limit)
		return err
	})
	return out, err
}

// DNSChanges is Store.DNSChanges in a transaction.
func (tx *Tx) DNSChanges(ctx context.Context, domain string, since time.Time,
	limit int) (out []DNSChange, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT domain, name, kind, was, content, changed FROM dns_change
		WHERE changed >= $1 AND %s ORDER BY changed DESC, id DESC LIMIT %d`, onlyIn("domain", "$2", domain), limit),
		since.Unix(), domain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c DNSChange
		var was, is string
		var at int64
		if err := rows.Scan(&c.Domain, &c.Name, &c.Kind, &was, &is, &at); err != nil {
			return nil, err
		}
		c.Before, c.Now, c.At = valuesOf(was), valuesOf(is), time.Unix(at, 0).UTC()
		out = append(out, c)
	}
	return out, rows.Err()
}

// ExpireDNS drops changes before a time, and domains that were not checked since.
func (s *Store) ExpireDNS(ctx context.Context, before time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		for _, q := range []string{
			"DELETE FROM dns_change WHERE changed < $1",
			"DELETE FROM dns_record WHERE domain IN (SELECT domain FROM dns_domain WHERE checked " +
				"< $1)",
			"DELETE FROM dns_domain WHERE checked < $1",
		} {
			if _, err := tx.ExecContext(ctx, q, before.Unix()); err != nil {
				return err
			}
		}
		return nil
	})
}

// contentOf is a set of values in a form that can be compared: name servers change their order.
func contentOf(values []string) string {
	sorted := []string{}
	for _, v := range values {
		sorted = append(sorted, text(v))
	}
	slices.Sort(sorted)
	out, _ := json.Marshal(sorted) // strings always marshal
	return string(out)
}

func valuesOf(content string) (out []string) {
	_ = json.Unmarshal([]byte(content), &out) // contentOf wrote it
	return out
}
