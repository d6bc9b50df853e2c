package store

import (
	"context"
	"time"
)

// What the store counts of arrivals, for each UTC day on which they came.
const (
	CountMails      = "mails"      // mails and files, those that were there already included
	CountBytes      = "bytes"      // of them, before compression
	CountKnown      = "known"      // of them: the same bytes were in the store already
	CountUnread     = "unread"     // of them: something could not be read
	CountReports    = "reports"    // aggregate reports that were stored
	CountMessages   = "messages"   // in them
	CountDuplicates = "duplicates" // aggregate reports that other mail had brought already
	CountDropped    = "dropped"    // aggregate reports that were not stored, by a limit
)

// CountWords are all of these.
var CountWords = []string{CountMails, CountBytes, CountKnown, CountUnread, CountReports,
	CountMessages, CountDuplicates, CountDropped}

// totals is, in place of a day, of the counts since the store counts: since it was made, or since
// migration 00126 if it is older. They never shrink.
const totals = 0

// countKey is the key of a count.
type countKey struct {
	day  int64
	what string
}

// count counts something of the mail at hand. What is read again was counted when it arrived.
func (in *Ingest) count(what string, n int64) {
	if in.sums != nil && !in.again && n > 0 {
		in.sums.counts[countKey{day(in.arrival.Received), what}] += n
		in.sums.counts[countKey{totals, what}] += n
	}
}

// countStatus counts what became of an aggregate report.
func (in *Ingest) countStatus(status Status, messages int64) {
	switch {
	case status == Duplicate:
		in.count(CountDuplicates, 1)
	case status.Kept():
		in.count(CountReports, 1)
		in.count(CountMessages, messages)
	default:
		in.count(CountDropped, 1)
	}
}

// Totals returns what arrived since the store counts it, by word: since it was made, or since the
// first start of a version that counts if it is older.
func (s *Store) Totals(ctx context.Context) (map[string]int64, error) {
	all, err := s.countsOf(ctx, "day = $1", totals)
	return all[totals], err
}

// Counts returns what arrived from one UTC day on, by day and word.
func (s *Store) Counts(ctx context.Context, since time.Time) (map[int64]map[string]int64, error) {
	return s.countsOf(ctx, "day >= $1", day(since))
}

func (s *Store) countsOf(ctx context.Context, where string,
	value int64) (map[int64]map[string]int64, error) {
	out := map[int64]map[string]int64{}
	err := s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT day, what, n FROM in_count WHERE "+where, value)
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var d, n int64
			var what string
			err := rows.Scan(&d, &what, &n)
			if out[d] == nil {
				out[d] = map[string]int64{}
			}
			out[d][what] = n
			return err
		})
	})
	return out, err
}
