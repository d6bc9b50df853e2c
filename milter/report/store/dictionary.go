package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
)

// dictionaries remember the ids of words that the store has given out, so that a batch of records
// asks for each once. They are forgotten as a whole when there are too many.
type dictionaries struct {
	mu  sync.Mutex
	ids map[string]map[string]int64 // table, word
}

// Bounds of the words of one table, of some 150 bytes each: those that are remembered, and those of
// one transaction. A report can have as many as it has rows, and asks for the rest each time.
const (
	maxRemembered = 50_000
	maxFresh      = 20_000
)

func newDictionaries() *dictionaries { return &dictionaries{ids: map[string]map[string]int64{}} }

func (d *dictionaries) find(table, word string) (int64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.ids[table][word]
	return id, ok
}

// learn adds what a transaction has looked up or added. It must be called after the commit: an id
// that was undone is given to another word.
func (d *dictionaries) learn(table string, ids map[string]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.ids[table]
	if known == nil || len(known)+len(ids) > maxRemembered {
		known = map[string]int64{}
		d.ids[table] = known
	}
	for word, id := range ids {
		known[word] = id
	}
}

// lookup gives out ids within one transaction.
type lookup struct {
	tx    *Tx
	names *dictionaries
	fresh map[string]map[string]int64 // what to remember after the commit
	ready map[string]*sql.Stmt        // by query; the transaction closes them
}

func (s *Store) lookup(tx *Tx) *lookup {
	return &lookup{tx: tx, names: s.names, fresh: map[string]map[string]int64{},
		ready: map[string]*sql.Stmt{}}
}

func (l *lookup) find(table, word string) (int64, bool) {
	if id, ok := l.names.find(table, word); ok {
		return id, true
	}
	id, ok := l.fresh[table][word]
	return id, ok
}

// id returns the id of a word in a table with the columns id and column, and adds the word if it is
// new.
func (l *lookup) id(ctx context.Context, table, column, word string) (int64, error) {
	if id, ok := l.find(table, word); ok {
		return id, nil
	}
	// The update changes nothing. It makes both drivers return the row that is there already.
	query := "INSERT INTO " + table + " (" + column + ") VALUES ($1) ON CONFLICT (" + column +
		") DO UPDATE SET " +
		column + " = excluded." + column + " RETURNING id"
	var id int64
	if err := l.ask(ctx, &id, query, word); err != nil {
		return 0, err
	}
	l.keep(table, word, id)
	return id, nil
}

// prepared returns a query that is prepared once in the transaction: all reports in it ask the same
// ones.
func (l *lookup) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	q := l.ready[query]
	if q == nil {
		var err error
		if q, err = l.tx.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		l.ready[query] = q
	}
	return q, nil
}

// ask runs a query for an id.
func (l *lookup) ask(ctx context.Context, id *int64, query string, args ...any) error {
	q, err := l.prepared(ctx, query)
	if err != nil {
		return err
	}
	return q.QueryRowContext(ctx, args...).Scan(id)
}

func (l *lookup) exec(ctx context.Context, query string, args ...any) error {
	q, err := l.prepared(ctx, query)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, args...)
	return err
}

// sizes are the numbers of rows that one statement inserts: a statement of each is prepared.
var sizes = []int{64, 8, 1}

// insert runs "head VALUES (...), (...) tail" for rows, which are values one after the other, width
// for each row.
func (l *lookup) insert(ctx context.Context, head, tail string, width int, rows []any) error {
	for _, size := range sizes {
		for len(rows) >= size*width {
			if err := l.exec(ctx, head+values(size, width)+tail, rows[:size*width]...); err != nil {
				return err
			}
			rows = rows[size*width:]
		}
	}
	return nil
}

// values is the list of placeholders of so many rows.
func values(rows, width int) string {
	var b strings.Builder
	b.WriteString(" VALUES ")
	for i := range rows * width {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%width == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteString(") ")
	return b.String()
}

func (l *lookup) keep(table, word string, id int64) {
	if l.fresh[table] == nil || len(l.fresh[table]) >= maxFresh {
		l.fresh[table] = map[string]int64{}
	}
	l.fresh[table][word] = id
}

// commit remembers the ids of a transaction that was committed.
func (l *lookup) commit() {
	for table, ids := range l.fresh {
		l.names.learn(table, ids)
	}
}
