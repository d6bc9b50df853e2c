package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// sums are what a transaction adds to the rollups: many rows, and reports of one day, add to the
// same ones.
type sums struct {
	words      *lookup
	byReporter map[sumKey]int64
	bySource   map[sumKey]int64
	counts     map[countKey]int64 // of arrivals
}

// sumKey is the key of a rollup. other is a reporter or a source.
type sumKey struct {
	domain, day, other int64
	outcome            Outcome
}

// maxSums bounds the sums of one kind that wait, of some 60 bytes each. The next one has them
// written.
const maxSums = 50_000

func newSums(words *lookup) *sums {
	return &sums{words: words, byReporter: map[sumKey]int64{}, bySource: map[sumKey]int64{},
		counts: map[countKey]int64{}}
}

// add adds the messages of one row.
func (s *sums) add(ctx context.Context, domain, day, reporter, source int64, o Outcome,
	n int64) error {
	if n == 0 {
		return nil
	}
	s.byReporter[sumKey{domain, day, reporter, o}] += n
	s.bySource[sumKey{domain, day, source, o}] += n
	if len(s.byReporter) < maxSums && len(s.bySource) < maxSums {
		return nil
	}
	return s.flush(ctx)
}

// flush writes the sums.
func (s *sums) flush(ctx context.Context) error {
	if err := s.write(ctx, "in_day_reporter", "reporter", s.byReporter); err != nil {
		return err
	}
	return s.write(ctx, "in_day_source", "source", s.bySource)
}

// finish writes the sums and the counts, at the end of the transaction.
func (s *sums) finish(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	keys := slices.SortedFunc(maps.Keys(s.counts), func(a, b countKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.what, b.what))
	})
	rows := make([]any, 0, 3*len(keys))
	for _, k := range keys {
		rows = append(rows, k.day, k.what, s.counts[k])
	}
	clear(s.counts)
	return s.words.insert(ctx, "INSERT INTO in_count (day, what, n)",
		"ON CONFLICT (day, what) DO UPDATE SET n = in_count.n + excluded.n", 3, rows)
}

// write adds sums to a table, in the order of its key: two writers that go the same way do not wait
// for each other in a circle.
func (s *sums) write(ctx context.Context, table, column string, of map[sumKey]int64) error {
	keys := make([]sumKey, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b sumKey) int {
		return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.day, b.day),
			cmp.Compare(a.other, b.other),
			cmp.Compare(a.outcome, b.outcome))
	})
	rows := make([]any, 0, 5*len(keys))
	for _, k := range keys {
		rows = append(rows, k.domain, k.day, k.other, int64(k.outcome), of[k])
	}
	clear(of)
	return s.words.insert(ctx, "INSERT INTO "+table+" (domain, day, "+column+", outcome, messages)",
		"ON CONFLICT (domain, day, "+column+", outcome) DO UPDATE SET messages = "+table+
			".messages + excluded.messages", 5, rows)
}

// updateSums adds the rows of a report that is in the store to the rollups, or takes them out
// again.
func (tx *Tx) updateSums(ctx context.Context, id int64, sign int) error {
	for _, q := range []string{
		`INSERT INTO in_day_reporter (domain, day, reporter, outcome, messages)
			SELECT r.domain, r.day, p.reporter, r.outcome, $1 * SUM(r.messages) FROM in_record r
			JOIN in_report p ON p.id = r.report
			WHERE r.report = $2 AND r.messages > 0 GROUP BY r.domain, r.day, p.reporter, r.outcome
			ON CONFLICT (domain, day, reporter, outcome) DO UPDATE
			SET messages = in_day_reporter.messages + excluded.messages`,
		`INSERT INTO in_day_source (domain, day, source, outcome, messages)
			SELECT domain, day, source, outcome, $1 * SUM(messages) FROM in_record
			WHERE report = $2 AND messages > 0 GROUP BY domain, day, source, outcome
			ON CONFLICT (domain, day, source, outcome) DO UPDATE
			SET messages = in_day_source.messages + excluded.messages`,
	} {
		if _, err := tx.ExecContext(ctx, q, sign, id); err != nil {
			return err
		}
	}
	if sign > 0 {
		return nil
	}
	for _, table := range []string{"in_day_reporter", "in_day_source"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE messages = 0 AND (domain, "+
			"day) IN (SELECT domain, day FROM in_record WHERE report = $1)", id); err != nil {
			return err
		}
	}
	return nil
}
