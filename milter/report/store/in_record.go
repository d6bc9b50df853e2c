package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"mailseal/milter/report"
)

// maxSpread bounds the rows that one report is spread over its days with: a small file can have
// many records of a long period. What is beyond, and every report that does not count, is on the
// first day.
const maxSpread = 100_000

// columns are those of in_record, in the order of Row, and the place of the messages among them.
const (
	columns        = 11
	messagesColumn = 5
)

// batch is how many rows wait before they go into the store.
const batch = 256

// facts has the rare properties of a row.
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

// rowKey is all of a row but its messages and its number.
type rowKey struct {
	day     int64
	ids     [5]int64
	outcome Outcome
	rare    string
}

// Row stores a row of the report that was begun, as mail of domain. A report over several days is
// spread over them. Some reporters write one row for each message: rows that say the same are added
// up, as far as they are in one batch.
func (in *Ingest) Row(domain string, r *report.Row) error {
	if r.N > in.firstRows {
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
	isMerged := true
	for day, n := range days {
		key := rowKey{day, ids, NewOutcome(r), rare}
		if in.counts {
			if err := in.sums.add(in.ctx, ids[0], day, in.key, ids[1], key.outcome, n); err != nil {
				return err
			}
		}
		if at, ok := in.waiting[key]; ok {
			in.rows[at] = in.rows[at].(int64) + n
			continue
		}
		isMerged = false
		in.waiting[key] = len(in.rows) + messagesColumn
		in.rows = append(in.rows, in.report, r.N, day, ids[0], ids[1], n, int64(key.outcome),
			ids[2], ids[3], ids[4], rare)
	}
	if isMerged {
		in.merged++
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
	err := in.lookup.insert(in.ctx, "INSERT INTO in_record (report, n, day, domain, source, "+
		"messages, outcome, header_from, envelope_from, authset, facts)", "", columns, in.rows)
	in.rows = in.rows[:0]
	clear(in.waiting)
	return err
}

// End stores the remaining rows of the report.
func (in *Ingest) End() error {
	if err := in.flush(); err != nil {
		return err
	}
	return in.noteMerged()
}

// noteMerged adds a note to the report in hand if some of its rows are kept as one.
func (in *Ingest) noteMerged() error {
	if in.merged == 0 {
		return nil
	}
	in.noted.Notes = append(in.noted.Notes, report.Note{Code: "merged", Count: in.merged,
		Text: fmt.Sprintf("%d rows were added to others that differ only in their count",
			in.merged)})
	notes, err := json.Marshal(in.noted)
	if err != nil {
		return err
	}
	_, err = in.tx.ExecContext(in.ctx, "UPDATE in_report SET notes = $1 WHERE id = $2",
		text(string(notes)), in.report)
	return err
}
