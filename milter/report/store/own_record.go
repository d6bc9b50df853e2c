package store

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
)

// OwnState is the result of comparing the DNS records of a domain of ours with its mail of the last
// 90 days.
type OwnState struct {
	SPF string `json:"spf,omitempty"` // the record; "" for none
	// how it ends: "-all", "~all", "?all", "+all"; "" is unknown
	All      string        `json:"all,omitempty"`
	Terms    []OwnTerm     `json:"terms,omitempty"`    // of the record, in its order
	Selected []OwnSelector `json:"selected,omitempty"` // keys that sign
	Findings []OwnFinding  `json:"findings,omitempty"` // of the check of the domain, each code once
	Checked  bool          `json:"checked,omitempty"`  // they are known
	Worst    string        `json:"worst,omitempty"`    // the worst error or warning, as a sentence
	DMARC    *OwnPolicy    `json:"dmarc,omitempty"`    // nil is unknown
	At       time.Time     `json:"-"`                  // when the DNS answered
	Detail   OwnDetail     `json:"-"`                  // OwnStates leaves it out
}

// OwnPolicy is the DMARC policy that holds for a domain, as the DNS shows it.
type OwnPolicy struct {
	Policy  string `json:"p,omitempty"` // "none", "quarantine" or "reject"; "" for no record
	Testing bool   `json:"t,omitempty"` // with t=y
	// Invalid reports whether there is a record that receivers ignore, and no other.
	Invalid bool   `json:"invalid,omitempty"`
	At      string `json:"at,omitempty"` // the domain whose record it is
}

// OwnFinding is a finding of the check of a domain, with its count.
type OwnFinding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // "error", "warning", "unknown" or "note"
	N        int    `json:"n"`
}

// IsParked reports whether the SPF record says that the domain sends no mail.
func (s *OwnState) IsParked() bool {
	return s.All == "-all" && len(s.Terms) == 0 &&
		strings.EqualFold(strings.Join(strings.Fields(s.SPF), " "), "v=spf1 -all")
}

// OwnTerm is a term of an SPF record with the mail that it let in.
type OwnTerm struct {
	Text string `json:"text"`
	// with an envelope of the domain, of addresses that it matched
	Messages int64 `json:"messages"`
	// it matches an address of this host, or may match anything
	OwnHost bool `json:"own,omitempty"`
	// what it would match sends with other envelopes alone
	Foreign bool `json:"foreign,omitempty"`
	// addresses that pass with it and not without it
	Alone []netip.Addr `json:"alone,omitempty"`
}

// OwnSelector is a key that mail was signed with lately.
type OwnSelector struct {
	Name     string `json:"name"` // of the record
	Messages int64  `json:"messages"`
	Missing  bool   `json:"missing,omitempty"`
}

// SetOwnState stores the result for a domain.
func (s *Store) SetOwnState(ctx context.Context, domain string, state *OwnState,
	now time.Time) error {
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	detail, err := json.Marshal(state.Detail)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO own_state (domain, tried, at, state, detail)
			VALUES ($1, $2, $2, $3, $4)
			ON CONFLICT (domain) DO UPDATE SET tried = excluded.tried, at = excluded.at, state = excluded.state,
			detail = excluded.detail`, domain, now.Unix(), text(string(content)), text(string(detail)))
		return err
	})
}

// OwnStates returns the latest result of each domain.
func (tx *Tx) OwnStates(ctx context.Context) (map[string]OwnState, error) {
	rows, err := tx.QueryContext(ctx, "SELECT domain, at, state FROM own_state WHERE at > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]OwnState{}
	for rows.Next() {
		var domain, text string
		var at int64
		var state OwnState
		if err := rows.Scan(&domain, &at, &text); err != nil {
			return nil, err
		}
		if json.Unmarshal([]byte(text), &state) == nil {
			state.At = time.Unix(at, 0).UTC()
			out[domain] = state
		}
	}
	return out, rows.Err()
}
