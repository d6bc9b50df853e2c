package keys

import "sync"

// maxBroken bounds what is remembered of rows that have no key.
const maxBroken = 10_000

// brokenRows are the questions whose last answer could not be used.
type brokenRows struct {
	mu   sync.Mutex
	rows map[question]struct{}
}

// note takes the outcome of a question. A source that is away says nothing about its rows.
func (b *brokenRows) note(q question, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		delete(b.rows, q)
	case isFailure(err) || len(b.rows) >= maxBroken || q.size() > maxQuestion:
	default:
		if b.rows == nil {
			b.rows = map[question]struct{}{}
		}
		b.rows[q] = struct{}{}
	}
}

func (b *brokenRows) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rows)
}
