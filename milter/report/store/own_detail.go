package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// OwnDetail holds the DNS data of the addresses, keys and names in the reports on a domain.
// It is large, so it is stored separately from OwnState, and read for one domain at a time.
type OwnDetail struct {
	Senders  []OwnSender  `json:"senders,omitempty"` // those with the most messages
	Keys     []OwnKeySeen `json:"keys,omitempty"`    // of the domain and of others, likewise
	Names    []OwnName    `json:"names,omitempty"`   // in From, below the domain, likewise
	Findings []OwnListed  `json:"findings,omitempty"`
	At       time.Time    `json:"-"` // when the DNS answered
}

// OwnSender is the SPF result of the domain's record for an address.
type OwnSender struct {
	Address netip.Addr `json:"ip"`
	SPF     string     `json:"spf"`            // "pass", "fail", "softfail", …
	Term    string     `json:"term,omitempty"` // that matched
}

// OwnKeySeen is a key that signed mail, as the DNS shows it.
type OwnKeySeen struct {
	Name  string `json:"name"` // of the record
	State string `json:"state"`
	Kind  string `json:"kind,omitempty"` // "RSA 2048", "Ed25519"
	// Since is when the present text was first seen; zero for keys of others
	Since time.Time `json:"-"`
}

// The states of a key.
const (
	KeyThere   = "there"
	KeyMissing = "missing"
	KeyRevoked = "revoked"
	KeyBroken  = "unusable"
	KeyUnknown = "unknown" // the DNS did not answer
)

// OwnName is a name below the domain that mail had in From.
type OwnName struct {
	Name   string `json:"name"`
	Exists string `json:"exists"`        // "yes", "no", or "" if the DNS did not answer
	Policy string `json:"p,omitempty"`   // that holds for it
	Tag    string `json:"tag,omitempty"` // of the record that says so: "p", "sp" or "np"
	At     string `json:"at,omitempty"`  // the domain that publishes the record
}

// OwnListed is a finding of the check of the domain.
type OwnListed struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Record   string `json:"record"`
	Text     string `json:"text"`
}

// OwnDetail returns the latest details of a domain; the zero value before the first check.
func (tx *Tx) OwnDetail(ctx context.Context, domain string) (out OwnDetail, err error) {
	var text string
	var at int64
	err = tx.QueryRowContext(ctx, "SELECT at, detail FROM own_state WHERE domain = $1 AND at > 0",
		domain).Scan(&at, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if text == "" || json.Unmarshal([]byte(text), &out) != nil {
		return OwnDetail{}, nil // of an earlier version
	}
	out.At = time.Unix(at, 0).UTC()
	return out, tx.datedKeys(ctx, domain, out.Keys)
}

// datedKeys fills in since when the texts of keys are as they are.
func (tx *Tx) datedKeys(ctx context.Context, domain string, keys []OwnKeySeen) error {
	rows, err := tx.QueryContext(ctx, "SELECT name, since FROM dns_record WHERE domain = $1 AND "+
		"kind = 'TXT' AND content <> $2", domain, nothing)
	if err != nil {
		return err
	}
	since := map[string]time.Time{}
	err = eachRow(rows, func() error {
		var name string
		var at int64
		err := rows.Scan(&name, &at)
		since[strings.ToLower(name)] = time.Unix(at, 0).UTC()
		return err
	})
	for i := range keys {
		keys[i].Since = since[keys[i].Name]
	}
	return err
}
