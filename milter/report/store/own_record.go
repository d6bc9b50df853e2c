package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"time"
)

// OwnState is what the DNS said of a domain of ours, held against the mail of the last 90 days.
type OwnState struct {
	SPF      string        `json:"spf,omitempty"`      // the record; "" for none
	All      string        `json:"all,omitempty"`      // how it ends: "-all", "~all", "?all", "+all"; "" is unknown
	Terms    []OwnTerm     `json:"terms,omitempty"`    // of the record, in its order
	Selected []OwnSelector `json:"selected,omitempty"` // keys that sign
}

// OwnTerm is a term of an SPF record with the mail that it let in.
type OwnTerm struct {
	Text     string       `json:"text"`
	Messages int64        `json:"messages"`          // with an envelope of the domain, of addresses that it matched
	OwnHost  bool         `json:"own,omitempty"`     // it matches an address of this host, or may match anything
	Foreign  bool         `json:"foreign,omitempty"` // what it would match sends with other envelopes alone
	Alone    []netip.Addr `json:"alone,omitempty"`   // addresses that pass with it and not without it
}

// OwnSelector is a key that mail was signed with lately.
type OwnSelector struct {
	Name     string `json:"name"` // of the record
	Messages int64  `json:"messages"`
	Missing  bool   `json:"missing,omitempty"`
}

// OwnDue returns which of some domains were not asked about since a time, those that waited longest
// first.
func (s *Store) OwnDue(ctx context.Context, domains []string, since time.Time, most int) (due []string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		due = nil
		rows, err := tx.QueryContext(ctx, "SELECT domain, tried FROM own_state ORDER BY tried")
		if err != nil {
			return err
		}
		defer rows.Close()
		known, ours := map[string]bool{}, map[string]bool{}
		for _, d := range domains {
			ours[d] = true
		}
		var old []string
		for rows.Next() {
			var domain string
			var tried int64
			if err := rows.Scan(&domain, &tried); err != nil {
				return err
			}
			known[domain] = true
			if ours[domain] && tried < since.Unix() {
				old = append(old, domain)
			}
		}
		for _, d := range domains {
			if !known[d] {
				due = append(due, d)
			}
		}
		due = append(due, old...)
		due = due[:min(len(due), most)]
		return rows.Err()
	})
	return due, err
}

// SetOwnState stores what the DNS said of a domain, and each record of it that differs from before;
// nil says that it did not answer.
func (s *Store) SetOwnState(ctx context.Context, domain string, state *OwnState,
	records map[string]string, now time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		if state == nil {
			_, err := tx.ExecContext(ctx, `INSERT INTO own_state (domain, tried, at, state) VALUES ($1, $2, 0, '{}')
				ON CONFLICT (domain) DO UPDATE SET tried = excluded.tried`, domain, now.Unix())
			return err
		}
		text, err := json.Marshal(state)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO own_state (domain, tried, at, state) VALUES ($1, $2, $2, $3)
			ON CONFLICT (domain) DO UPDATE SET tried = excluded.tried, at = excluded.at, state = excluded.state`,
			domain, now.Unix(), string(text))
		if err != nil {
			return err
		}
		for name, value := range records {
			if err := tx.ownRecord(ctx, domain, name, value, now); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM own_record WHERE domain = $1 AND at < $2", domain,
			now.AddDate(0, 0, -ownFor).Unix())
		return err
	})
}

func (tx *Tx) ownRecord(ctx context.Context, domain, name, value string, now time.Time) error {
	var last string
	err := tx.QueryRowContext(ctx, "SELECT value FROM own_record WHERE domain = $1 AND name = $2 "+
		"ORDER BY id DESC LIMIT 1",
		domain, name).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil && last == value {
		return nil
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO own_record (domain, name, value, at) VALUES ($1, $2, $3, $4)",
		domain, name, value, now.Unix())
	return err
}

// OwnStates returns what the DNS said when it answered last, by domain.
func (tx *Tx) OwnStates(ctx context.Context) (map[string]OwnState, error) {
	rows, err := tx.QueryContext(ctx, "SELECT domain, state FROM own_state WHERE at > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]OwnState{}
	for rows.Next() {
		var domain, text string
		var state OwnState
		if err := rows.Scan(&domain, &text); err != nil {
			return nil, err
		}
		if json.Unmarshal([]byte(text), &state) == nil {
			out[domain] = state
		}
	}
	return out, rows.Err()
}

// OwnChange is a change of a record; both texts are "" for no record.
type OwnChange struct {
	Domain, Name, Was, Is string
	At                    time.Time
}

// OwnChanges returns the changes of records since a time, the oldest first. What was there when a
// name was asked for first is none.
func (tx *Tx) OwnChanges(ctx context.Context, since time.Time) ([]OwnChange, error) {
	rows, err := tx.QueryContext(ctx, "SELECT domain, name, value, at FROM own_record ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	type key struct{ domain, name string }
	before := map[key]string{}
	var out []OwnChange
	for rows.Next() {
		var c OwnChange
		var at int64
		if err := rows.Scan(&c.Domain, &c.Name, &c.Is, &at); err != nil {
			return nil, err
		}
		k := key{c.Domain, c.Name}
		was, has := before[k]
		before[k] = c.Is
		if c.Was, c.At = was, time.Unix(at, 0).UTC(); has && !c.At.Before(since) {
			out = append(out, c)
		}
	}
	return out, rows.Err()
}
