package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Arrival is a mail or a file that came in.
type Arrival struct {
	Received    time.Time
	Via         string // "lmtp", "pipe", "import", "upload"
	Name        string // of the file, or the Message-ID
	Trust       string // Aligned, Unaligned, ByHand
	TrustDomain string // that the mail was authenticated for; "" for none
	Data        []byte
}

// What is known about where a report comes from.
const (
	Aligned   = "aligned"   // the mail was authenticated for the domain of the reporter
	Unaligned = "unaligned" // it was not: anyone may have written the report
	ByHand    = "file"      // the administrator brought it
)

// Ingest is the transaction that stores what one mail holds.
type Ingest struct {
	ctx     context.Context
	tx      *Tx
	lookup  *lookup
	arrival *Arrival
	raw     int64
	report  int64
	begin   time.Time
	end     time.Time
	rows    []any
	spread  int // rows of the report in hand that were spread over its days
	counts  bool
	key     int64 // of the reporter

	foreign bool // the report in hand is of a domain that is not ours
	kept    int  // reports of this mail
	dropped int
}

// Ingest stores a mail or file, and the reports that do finds in it, in one transaction: all of it
// is on the disk when Ingest returns nil, or none of it. isNew is false, and do is not called, for
// bytes that are in the store already.
func (s *Store) Ingest(ctx context.Context, a *Arrival, do func(*Ingest) error) (isNew bool, err error) {
	in := &Ingest{ctx: ctx, arrival: a}
	err = s.Update(ctx, func(tx *Tx) error {
		in.tx, in.lookup = tx, s.lookup(tx)
		isNew, err = in.keep()
		if err != nil || !isNew {
			return err
		}
		return do(in)
	})
	if err != nil {
		return false, s.wrap("store a report", err)
	}
	in.lookup.commit()
	return isNew, nil
}

// keep stores the raw bytes.
func (in *Ingest) keep() (bool, error) {
	sum := sha256.Sum256(in.arrival.Data)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(in.arrival.Data)
	z.Close()
	a := in.arrival
	err := in.tx.QueryRowContext(in.ctx, `INSERT INTO in_raw (digest, received, via, name, kind, trust, trust_domain, size, data)
		VALUES ($1, $2, $3, $4, '', $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING RETURNING id`,
		hex.EncodeToString(sum[:]), a.Received.Unix(), a.Via, text(a.Name), a.Trust,
		text(a.TrustDomain), len(a.Data), packed.Bytes()).Scan(&in.raw)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// text makes a stranger's text fit for PostgreSQL, which has no NUL.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
}

// binIsFull reports whether the store has as many reports on other domains as it may.
func (in *Ingest) binIsFull() (bool, error) {
	var n int
	err := in.tx.QueryRowContext(in.ctx,
		"SELECT COUNT(*) FROM (SELECT 1 FROM in_report WHERE configured = 0 LIMIT $1) bin", maxForeign).Scan(&n)
	return n >= maxForeign, err
}

// Finish says what the mail was, and why it could not be read, if so. A mail of which all reports
// were dropped is not kept.
func (in *Ingest) Finish(kind, problem string) error {
	if in.dropped > 0 && in.kept == 0 {
		if _, err := in.tx.ExecContext(in.ctx, "UPDATE in_raw SET data = NULL WHERE id = $1", in.raw); err != nil {
			return err
		}
	}
	_, err := in.tx.ExecContext(in.ctx, "UPDATE in_raw SET kind = $1, error = $2 WHERE id = $3",
		kind, text(problem), in.raw)
	return err
}

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
	in.begin, in.end = h.Metadata.Begin, h.Metadata.End
	if in.begin.IsZero() {
		in.begin, in.end = in.arrival.Received, in.arrival.Received
	}
	name, err := in.lookup.id(in.ctx, "in_name", "name", text(h.Policy.Domain))
	if err != nil {
		return "", err
	}
	policy, _ := json.Marshal(h.Policy)
	notes, _ := json.Marshal(noted{h.Notes, h.Refused, h.Cut, h.Metadata.Errors, h.Metadata.Email,
		h.Metadata.Contact, h.Metadata.Org})
	err = in.tx.QueryRowContext(in.ctx, `INSERT INTO in_report (dedup, content, variant_of, raw, reporter, report_id, domain, configured, begins,
		ends, received, trust, counted, state, version, namespace, generator, policy, notes, records, messages)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) RETURNING id`,
		key, h.Digest, first, in.raw, reporter, text(h.Metadata.ReportID), name,
		number(h.Configured), in.begin.Unix(), in.end.Unix(),
		in.arrival.Received.Unix(), h.Trust, number(in.counts), state, text(h.Version),
		text(h.Namespace), text(h.Metadata.Generator),
		text(string(policy)), text(string(notes)), h.Rows, h.Messages).Scan(&in.report)
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

// maxSpread bounds the rows that one report is spread over its days with: a small file can have many
// records of a long period. What is beyond, and every report that does not count, stands on the
// first day.
const maxSpread = 100_000

// known finds a report with the same key: the first one, and whether one has the same content. A
// report with proof is compared with those alone that have it or count: one without proof, which any
// sender can bring first, must not keep it from counting.
func (in *Ingest) known(key, content string, proven bool) (first sql.NullInt64, same bool, err error) {
	var equal int
	q := "SELECT MIN(id), COALESCE(SUM(CASE WHEN content = $1 THEN 1 ELSE 0 END), 0) FROM in_report WHERE dedup = $2"
	if proven {
		q += " AND (counted = 1 OR trust <> 'unaligned')"
	}
	err = in.tx.QueryRowContext(in.ctx, q, content, key).Scan(&first, &equal)
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
	err = in.tx.QueryRowContext(in.ctx, `INSERT INTO in_reporter (key, org, email, first_seen, last_seen) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (key) DO UPDATE SET last_seen = CASE WHEN excluded.last_seen > in_reporter.last_seen THEN excluded.last_seen
		ELSE in_reporter.last_seen END,
		org = CASE WHEN excluded.org <> '' THEN excluded.org ELSE in_reporter.org END,
		email = CASE WHEN excluded.email <> '' THEN excluded.email ELSE in_reporter.email END
		RETURNING id, accepted`,
		text(h.Metadata.ReporterKey(in.arrival.TrustDomain)), org, email, now).Scan(&id, &flag)
	return id, flag == 1, err
}

// columns are those of in_record, in the order of Row.
const columns = 11

// batch is how many rows go into the store with one statement.
const batch = 200

// facts is what is rare about a row.
type facts struct {
	DKIM        string            `json:"dkim,omitempty"`
	SPF         string            `json:"spf,omitempty"`
	Disposition string            `json:"disposition,omitempty"`
	Derived     bool              `json:"derived,omitempty"`
	To          string            `json:"envelope_to,omitempty"`
	Reasons     []report.Override `json:"reasons,omitempty"`
}

func factsOf(r *report.Row) string {
	f := facts{Derived: r.Derived, To: r.EnvelopeTo, Reasons: r.Reasons}
	if r.DKIM != "pass" && r.DKIM != "fail" {
		f.DKIM = r.DKIM
	}
	if r.SPF != "pass" && r.SPF != "fail" {
		f.SPF = r.SPF
	}
	switch r.Disposition {
	case "none", "quarantine", "reject":
	default:
		f.Disposition = r.Disposition
	}
	out, err := json.Marshal(f)
	if err != nil || string(out) == "{}" {
		return ""
	}
	return text(string(out))
}

// Row stores a row of the report that was begun, as mail of domain. A report over several days is
// spread over them.
func (in *Ingest) Row(domain string, r *report.Row) error {
	if in.foreign && r.N > maxForeignRows {
		return nil
	}
	var ids [5]int64
	for i, word := range []struct{ table, column, word string }{
		{"in_name", "name", domain},
		{"in_source", "ip", r.Source},
		{"in_name", "name", r.HeaderFrom},
		{"in_name", "name", r.EnvelopeFrom},
	} {
		id, err := in.lookup.id(in.ctx, word.table, word.column, text(word.word))
		if err != nil {
			return err
		}
		ids[i] = id
	}
	var err error
	if ids[4], err = in.authset(r); err != nil {
		return err
	}
	rare := factsOf(r)
	days := map[int64]int64{day(in.begin): r.Count}
	if in.counts && in.spread < maxSpread {
		days = spread(r.Count, in.begin, in.end)
		in.spread += len(days)
	}
	for day, n := range days {
		in.rows = append(in.rows, in.report, r.N, day, ids[0], ids[1], n, int64(NewOutcome(r)),
			ids[2], ids[3], ids[4], rare)
	}
	if len(in.rows) >= batch*columns {
		return in.flush()
	}
	return nil
}

// authset returns the id of a set of results.
func (in *Ingest) authset(r *report.Row) (int64, error) {
	results, err := json.Marshal(struct {
		DKIM []report.SignatureResult `json:"dkim,omitempty"`
		SPF  []report.SPFResult       `json:"spf,omitempty"`
	}{r.Signatures, r.SPFResults})
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(results)
	hash := hex.EncodeToString(sum[:16])
	if id, ok := in.lookup.find("in_authset", hash); ok {
		return id, nil
	}
	var id int64
	err = in.lookup.ask(in.ctx, &id, `INSERT INTO in_authset (hash, results) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING id`, hash, text(string(results)))
	if err != nil {
		return 0, err
	}
	in.lookup.keep("in_authset", hash, id)
	return id, nil
}

// flush writes the rows that wait.
func (in *Ingest) flush() error {
	if len(in.rows) == 0 {
		return nil
	}
	var q strings.Builder
	q.WriteString("INSERT INTO in_record (report, n, day, domain, source, messages, outcome, " +
		"header_from, envelope_from, authset, facts) VALUES ")
	for i := range in.rows {
		switch {
		case i == 0:
			q.WriteString("(")
		case i%columns == 0:
			q.WriteString("), (")
		default:
			q.WriteString(", ")
		}
		fmt.Fprintf(&q, "$%d", i+1)
	}
	q.WriteString(")")
	_, err := in.tx.ExecContext(in.ctx, q.String(), in.rows...)
	in.rows = in.rows[:0]
	return err
}

// End stores what is left of the report's rows, and adds them to the rollups if it counts.
func (in *Ingest) End() error {
	if err := in.flush(); err != nil {
		return err
	}
	if !in.counts {
		return nil
	}
	return in.tx.roll(in.ctx, in.report, +1)
}

// roll adds the rows of a report to the rollups, or takes them out again.
func (tx *Tx) roll(ctx context.Context, id int64, sign int) error {
	for _, q := range []string{
		`INSERT INTO in_day_reporter (domain, day, reporter, outcome, messages)
			SELECT r.domain, r.day, p.reporter, r.outcome, $1 * SUM(r.messages) FROM in_record r JOIN in_report p ON p.id = r.report
			WHERE r.report = $2 AND r.messages > 0 GROUP BY r.domain, r.day, p.reporter, r.outcome
			ON CONFLICT (domain, day, reporter, outcome) DO UPDATE SET messages = in_day_reporter.messages + excluded.messages`,
		`INSERT INTO in_day_source (domain, day, source, outcome, messages)
			SELECT domain, day, source, outcome, $1 * SUM(messages) FROM in_record
			WHERE report = $2 AND messages > 0 GROUP BY domain, day, source, outcome
			ON CONFLICT (domain, day, source, outcome) DO UPDATE SET messages = in_day_source.messages + excluded.messages`,
	} {
		if _, err := tx.ExecContext(ctx, q, sign, id); err != nil {
			return err
		}
	}
	if sign > 0 {
		return nil
	}
	for _, q := range []string{"DELETE FROM in_day_reporter WHERE messages = 0",
		"DELETE FROM in_day_source WHERE messages = 0"} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
