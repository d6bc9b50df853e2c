package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"time"

	"mailseal/milter/report"
)

// Status is what became of a report.
type Status string

// The statuses.
const (
	Counted    Status = "counted"
	NotCounted Status = "not counted" // kept and shown: untrusted, of a domain that is not ours, or from the future
	Duplicate  Status = "duplicate"
	Variant    Status = "variant" // like one that is there, with other content: kept, not counted
	Dropped    Status = "dropped" // of a domain that is not ours, of which the store has too many: not kept
)

// Bounds of what is kept of domains that are not ours. Anyone can send reports on any number of them.
const (
	maxForeign     = 10_000 // reports; they are removed after Retention.Foreign
	maxForeignRows = 1_000  // rows of one; "mailseal reports reparse" reads all if the domain becomes ours
)

// Head is what is stored of a report beside its rows.
type Head struct {
	*report.Feedback
	Digest     string // of its bytes
	Configured bool   // its policy domain is ours
	Trust      string
}

// future is how far ahead of our clock a period may end.
const future = 48 * time.Hour

// Report stores the head of a report. If the status is Counted, NotCounted or Variant its rows
// follow with Row, and End.
func (in *Ingest) Report(h Head) (Status, error) {
	reporter, accepted, err := in.reporter(h)
	if err != nil {
		return "", err
	}
	key := dedup(h, in.arrival.TrustDomain)
	proven := h.Trust != Unaligned || accepted
	first, sameContent, err := in.known(key, h.Digest, proven)
	if err != nil {
		return "", err
	}
	if sameContent {
		return Duplicate, nil
	}
	if in.foreign = !h.Configured; in.foreign {
		isFull, err := in.binIsFull()
		if isFull || err != nil {
			in.dropped++
			return Dropped, err
		}
	}
	in.kept++
	if proven {
		if err := in.replace(key, h.Digest); err != nil {
			return "", err
		}
	}
	status, state := NotCounted, stateOf(h, in.arrival.Received)
	switch {
	case first.Valid:
		status = Variant
	case state != "future" && h.Configured && proven:
		status = Counted
	}
	in.counts, in.key, in.rows, in.spread = status == Counted, reporter, in.rows[:0], 0
	in.waiting, in.merged = map[rowKey]int{}, 0
	in.begin, in.end = h.Metadata.Begin, h.Metadata.End
	if in.begin.IsZero() {
		in.begin, in.end = in.arrival.Received, in.arrival.Received
	}
	name, err := in.lookup.id(in.ctx, "in_name", "name", text(h.Policy.Domain))
	if err != nil {
		return "", err
	}
	policy, _ := json.Marshal(h.Policy)
	in.noted = noted{h.Notes, h.Refused, h.Cut, h.Metadata.Errors, h.Metadata.Email,
		h.Metadata.Contact, h.Metadata.Org}
	notes, _ := json.Marshal(in.noted)
	err = in.lookup.ask(in.ctx, &in.report, `INSERT INTO in_report (dedup, content, variant_of, raw, reporter, report_id, domain, configured, begins,
		ends, received, trust, counted, state, version, namespace, generator, policy, notes, records, messages)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) RETURNING id`,
		key, h.Digest, first, in.raw, reporter, text(h.Metadata.ReportID), name,
		number(h.Configured), in.begin.Unix(), in.end.Unix(),
		in.arrival.Received.Unix(), h.Trust, number(in.counts), state, text(h.Version),
		text(h.Namespace), text(h.Metadata.Generator),
		text(string(policy)), text(string(notes)), h.Rows, h.Messages)
	return status, err
}

// noted is what the column notes holds.
type noted struct {
	Notes   []report.Note       `json:"notes,omitempty"`
	Refused []report.RefusedRow `json:"refused,omitempty"`
	Cut     string              `json:"cut,omitempty"`
	Errors  []string            `json:"errors,omitempty"`
	Email   string              `json:"email,omitempty"`
	Contact string              `json:"contact,omitempty"`
	Org     string              `json:"org,omitempty"`
}

func stateOf(h Head, now time.Time) string {
	switch {
	case h.Metadata.End.After(now.Add(future)):
		return "future"
	case h.Cut != "" || len(h.Refused) > 0:
		return "partial"
	case h.Messages == 0:
		return "null"
	}
	return "whole"
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func dedup(h Head, mailDomain string) string {
	sum := sha256.Sum256([]byte(h.Key(mailDomain)))
	return hex.EncodeToString(sum[:])
}

// known finds a report with the same key: the first one, and whether one has the same content. A
// report with proof is compared with those alone that have it or count: one without proof, which any
// sender can bring first, must not keep it from counting.
func (in *Ingest) known(key, content string, proven bool) (first sql.NullInt64, same bool, err error) {
	var equal int
	q := "SELECT MIN(id), COALESCE(SUM(CASE WHEN content = $1 THEN 1 ELSE 0 END), 0) FROM in_report WHERE dedup = $2"
	if proven {
		q += " AND (counted = 1 OR trust <> 'unaligned')"
	}
	ready, err := in.lookup.prepared(in.ctx, q)
	if err != nil {
		return first, false, err
	}
	err = ready.QueryRowContext(in.ctx, content, key).Scan(&first, &equal)
	return first, equal > 0, err
}

// reporter returns the id of a reporter, and whether the administrator accepts its reports without
// proof. What it calls itself is taken from reports with proof alone.
func (in *Ingest) reporter(h Head) (id int64, accepted bool, err error) {
	now := in.arrival.Received.Unix()
	var org, email string
	if h.Trust != Unaligned {
		org, email = text(h.Metadata.Org), text(h.Metadata.Email)
	}
	var flag int
	ready, err := in.lookup.prepared(in.ctx, `INSERT INTO in_reporter (key, org, email, first_seen, last_seen)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT (key) DO UPDATE SET last_seen = CASE WHEN excluded.last_seen > in_reporter.last_seen THEN excluded.last_seen
		ELSE in_reporter.last_seen END,
		org = CASE WHEN excluded.org <> '' THEN excluded.org ELSE in_reporter.org END,
		email = CASE WHEN excluded.email <> '' THEN excluded.email ELSE in_reporter.email END
		RETURNING id, accepted`)
	if err != nil {
		return 0, false, err
	}
	key := text(h.Metadata.ReporterKey(in.arrival.TrustDomain))
	err = ready.QueryRowContext(in.ctx, key, org, email, now).Scan(&id, &flag)
	return id, flag == 1, err
}

// binIsFull reports whether the store has as many reports on other domains as it may.
func (in *Ingest) binIsFull() (bool, error) {
	var n int64
	err := in.lookup.ask(in.ctx, &n,
		"SELECT COUNT(*) FROM (SELECT 1 FROM in_report WHERE configured = 0 LIMIT $1) bin", maxForeign)
	return n >= maxForeign, err
}
