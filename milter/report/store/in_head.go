package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"time"

	"mailseal/milter/report"
)

// Status is the result of storing a report.
type Status string

// The statuses.
const (
	Counted Status = "counted"
	// kept and shown: untrusted, of a domain that is not ours, or from the future
	NotCounted Status = "not counted"
	Duplicate  Status = "duplicate"
	Variant    Status = "variant" // like one that is there, with other content: kept, not counted
	Dropped    Status = "dropped" // does not count, and the store has too many such: not kept
	Refused    Status = "refused" // the same for a reporter that the administrator refuses
)

// Kept reports whether the rows of a report follow.
func (s Status) Kept() bool { return s == Counted || s == NotCounted || s == Variant }

// Bounds of what is kept of reports that do not count. Anyone can send any number of them.
const (
	// reports on domains that are not ours; they are removed after Retention.Foreign
	maxForeign = 10_000
	// rows of one; "mailseal reports reparse" reads all if the domain becomes ours
	maxForeignRows = 1_000
	maxUnproven    = 10_000    // reports on our domains that are not authenticated
	maxUnprovenAll = 1_000_000 // rows of all of these
	maxRefused     = 10_000    // reports of a reporter that the administrator refuses
	maxRefusedAll  = 1_000_000 // rows of all of these

	// MaxUnprovenRows is how many rows are kept of one report without proof, or of a reporter that
	// is refused. If its reporter is accepted it counts once "mailseal reports reparse" has read
	// all.
	MaxUnprovenRows = 10_000
)

// maxMessages is how many messages a report can have that counts. No receiver sees more of one
// domain.
const maxMessages = 10_000_000_000

// Head is the stored data of a report, without its rows.
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
	status, err := in.head(h)
	if err == nil {
		in.countStatus(status, h.Messages)
	}
	return status, err
}

func (in *Ingest) head(h Head) (Status, error) {
	reporterKey := text(h.Metadata.ReporterKey(in.arrival.TrustDomain))
	level, err := in.level(reporterKey)
	if err != nil {
		return "", err
	}
	key := dedup(h, in.arrival.TrustDomain)
	proven := level == always || level == byProof && h.Trust != Unaligned
	first, isCounted, sameContent, err := in.known(key, h.Digest, proven)
	if err != nil {
		return "", err
	}
	if sameContent {
		return Duplicate, nil
	}
	in.foreign, in.firstRows = !h.Configured, math.MaxInt
	switch {
	case in.foreign:
		in.firstRows = maxForeignRows
	case !proven:
		in.firstRows = MaxUnprovenRows
	}
	in.left = max(h.Rows-in.firstRows, 0)
	if status, err := in.bin(h, reporterKey, level); status != "" || err != nil {
		return status, err
	}
	in.kept++
	in.vouched = in.vouched || proven && h.Configured
	reporter, err := in.reporter(reporterKey, h)
	if err != nil {
		return "", err
	}
	if proven {
		if err := in.replace(key, h.Digest); err != nil {
			return "", err
		}
	}
	status, state := NotCounted, stateOf(h, in.arrival.Received)
	switch {
	case !isCounted && state != "future" && state != "implausible" && h.Configured && proven:
		status = Counted
	case first.Valid:
		status = Variant
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
	err = in.lookup.ask(in.ctx, &in.report, `INSERT INTO in_report (dedup, content, variant_of,
		raw, reporter, report_id, domain, configured, begins,
		ends, received, trust, counted, state, version, namespace, generator, policy, notes, records, messages)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
		$19, $20, $21) RETURNING id`,
		key, h.Digest, variantOf(first, status), in.raw, reporter, text(h.Metadata.ReportID), name,
		number(h.Configured), in.begin.Unix(), in.end.Unix(),
		in.arrival.Received.Unix(), h.Trust, number(in.counts), state, text(h.Version),
		text(h.Namespace), text(h.Metadata.Generator),
		text(string(policy)), text(string(notes)), h.Rows, h.Messages)
	if err == nil && first.Valid && status == Counted {
		err = in.lookup.exec(in.ctx, `UPDATE in_report SET variant_of = $1
			WHERE dedup = $2 AND id <> $3 AND trust <> 'unaligned'`, in.report, key, in.report)
	}
	return status, err
}

// variantOf returns what a report is a variant of: nothing if it counts.
func variantOf(first sql.NullInt64, s Status) sql.NullInt64 {
	if s == Counted {
		return sql.NullInt64{}
	}
	return first
}

// noted is the content of the column notes.
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
	case h.Messages > maxMessages:
		return "implausible"
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

// known finds a report with the same key: the one that counts, or else the first one, and whether
// one has the same content. One that is read again may find those alone that came after it. A
// report with proof is compared with those alone that have it or count: one without proof, which
// any sender can bring first, must not keep it from counting.
func (in *Ingest) known(key, content string, proven bool) (first sql.NullInt64, isCounted,
	same bool, err error) {
	var counted sql.NullInt64
	var equal int
	q := "SELECT MIN(CASE WHEN counted = 1 THEN id END), MIN(id), COALESCE(SUM(CASE WHEN content " +
		"= $1 THEN 1 ELSE 0 END), 0) FROM in_report WHERE dedup = $2"
	if proven {
		q += " AND (counted = 1 OR trust <> 'unaligned')"
	}
	ready, err := in.lookup.prepared(in.ctx, q)
	if err != nil {
		return first, false, false, err
	}
	err = ready.QueryRowContext(in.ctx, content, key).Scan(&counted, &first, &equal)
	if counted.Valid {
		first = counted
	}
	return first, counted.Valid, equal > 0, err
}

// level returns the administrator's verdict on a reporter.
func (in *Ingest) level(key string) (int, error) {
	var level int64
	err := in.lookup.ask(in.ctx, &level, "SELECT accepted FROM in_reporter WHERE key = $1", key)
	if errors.Is(err, sql.ErrNoRows) {
		return byProof, nil
	}
	return int(level), err
}

// reporter returns the id of a reporter. What it calls itself is taken from reports with proof
// alone.
func (in *Ingest) reporter(key string, h Head) (id int64, err error) {
	var org, email string
	if h.Trust != Unaligned {
		org, email = text(report.PlausibleName(h.Metadata.Org, key)), text(h.Metadata.Email)
	}
	return id, in.lookup.ask(in.ctx, &id, `INSERT INTO in_reporter (key, org, email, first_seen, last_seen)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT (key) DO UPDATE SET
		last_seen = CASE WHEN excluded.last_seen > in_reporter.last_seen THEN excluded.last_seen
		ELSE in_reporter.last_seen END,
		org = CASE WHEN excluded.org <> '' THEN excluded.org ELSE in_reporter.org END,
		email = CASE WHEN excluded.email <> '' THEN excluded.email ELSE in_reporter.email END
		RETURNING id`, key, org, email, in.arrival.Received.Unix())
}

// LeftOut returns how many rows of the report in hand are not kept.
func (in *Ingest) LeftOut() int { return in.left }

// bin returns Dropped or Refused for a report that does not count if the store has as many such as
// it may: on other domains, on ours without proof, of a reporter that is refused. It returns "" for
// one that is kept.
func (in *Ingest) bin(h Head, reporter string, level int) (Status, error) {
	full, isFull, err := Dropped, false, error(nil)
	rows := min(h.Rows, in.firstRows)
	switch {
	case in.foreign:
		var n int64
		err = in.lookup.ask(in.ctx, &n,
			"SELECT COUNT(*) FROM (SELECT 1 FROM in_report WHERE configured = 0 LIMIT $1) bin",
			maxForeign)
		isFull = n >= maxForeign
	case level == never:
		full = Refused
		isFull, err = in.isFull("reporter = (SELECT id FROM in_reporter WHERE key = $3)",
			maxRefused, maxRefusedAll-rows, reporter)
	case h.Trust == Unaligned && level != always:
		isFull, err = in.isFull("trust = 'unaligned'", maxUnproven, maxUnprovenAll-rows)
	}
	if !isFull || err != nil {
		return "", err
	}
	in.dropped++
	// What the administrator refuses may count later: the mail is kept as it came for "reports
	// reparse".
	in.returns = in.returns || full == Refused
	return full, nil
}

// isFull reports whether the reports on our domains that do not count, and for which a condition
// holds, are most, or have more rows than mostRows.
func (in *Ingest) isFull(condition string, most, mostRows int, args ...any) (bool, error) {
	ready, err := in.lookup.prepared(in.ctx, `SELECT COUNT(*),
		CAST(COALESCE(SUM(CASE WHEN records > $2 THEN $2 ELSE records END), 0) AS BIGINT) FROM
		(SELECT records FROM in_report WHERE counted = 0 AND configured = 1 AND `+condition+` LIMIT $1) bin`)
	if err != nil {
		return false, err
	}
	var n, rows int64
	err = ready.QueryRowContext(in.ctx, append([]any{most, MaxUnprovenRows}, args...)...).Scan(&n,
		&rows)
	return n >= int64(most) || rows > int64(mostRows), err
}
