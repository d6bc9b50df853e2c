package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// maxTouched is how many rows about domains whose reports changed are kept. A reader that is
// further behind takes all domains for changed.
const maxTouched = 50_000

// touched collects domains whose reports a transaction changes although they had arrived before.
type touched map[int64]bool

// report adds the domains of a report and of its rows.
func (t touched) report(ctx context.Context, tx *Tx, id int64) error {
	return t.add(ctx, tx, "SELECT domain FROM in_report WHERE id = $1 UNION "+
		"SELECT domain FROM in_record WHERE report = $1", id)
}

// add adds the domains that a query returns.
func (t touched) add(ctx context.Context, tx *Tx, query string, args ...any) error {
	ids, err := tx.ids(ctx, query, args...)
	for _, id := range ids {
		t[id] = true
	}
	return err
}

// keep writes them. Only one transaction at a time does so, so that a row with a smaller number
// never appears after one with a larger number was read.
func (t touched) keep(ctx context.Context, tx *Tx) error {
	if len(t) == 0 {
		return nil
	}
	if err := tx.lock(ctx, "touched"); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(t)) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO in_touched (domain) VALUES ($1)",
			id); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("DELETE FROM in_touched WHERE id <= "+
		"(SELECT MAX(id) FROM in_touched) - %d", maxTouched))
	return err
}
