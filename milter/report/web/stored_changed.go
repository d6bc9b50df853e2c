package web

import (
	"context"
	"database/sql"
	"fmt"
)

// Mark says how far a reader had read. Two marks are equal if nothing has changed between them.
type Mark struct {
	raw, report int64 // the last that arrived, and the last that was read
	rest        [10]int64
}

// Change is what differs between a mark and now.
type Change struct {
	Mark    Mark
	All     bool // anything may differ
	Domains []string
}

// Changed implements Reader. It asks for a few numbers that every change moves: arrivals have ids,
// and what changes reports that are there already is counted.
func (s *Stored) Changed(ctx context.Context, since Mark) (Change, error) {
	var c Change
	err := s.view(ctx, func(v *view) error {
		var err error
		c, err = v.changed(ctx, since)
		return err
	})
	return c, err
}

func (v *view) changed(ctx context.Context, since Mark) (Change, error) {
	m := Mark{}
	for _, q := range []struct {
		query string
		into  *int64
	}{
		{"SELECT COALESCE(MAX(id), 0) FROM in_raw", &m.raw},
		{"SELECT COALESCE(MAX(id), 0) FROM in_report", &m.report},
		{"SELECT CAST(COALESCE(SUM(accepted), 0) AS BIGINT) FROM in_reporter", &m.rest[0]},
		{"SELECT COALESCE(MAX(id), 0) FROM in_verdict", &m.rest[1]},
		{"SELECT COALESCE(MAX(undone), 0) FROM in_verdict", &m.rest[2]},
		{"SELECT COALESCE(MAX(at), 0) FROM in_told WHERE what = 'records_since'", &m.rest[3]},
		{"SELECT COALESCE(MAX(at), 0) FROM in_told WHERE what = 'read_again'", &m.rest[4]},
		// What is counted of own mail moves these once a day, and with a new key.
		{"SELECT COALESCE(MAX(day), 0) FROM own_day", &m.rest[5]},
		{"SELECT COUNT(*) FROM own_selector", &m.rest[6]},
		{"SELECT CAST(COALESCE(SUM(made), 0) AS BIGINT) FROM own_use", &m.rest[7]},
		{"SELECT COALESCE(MAX(id), 0) FROM own_record", &m.rest[8]},
		{"SELECT COALESCE(MAX(at), 0) / 86400 FROM own_state", &m.rest[9]},
	} {
		if err := v.tx.QueryRowContext(ctx, q.query).Scan(q.into); err != nil {
			return Change{}, fmt.Errorf("web: %w", err)
		}
	}
	c := Change{Mark: m}
	switch {
	case m == since:
		return c, nil
	case since == Mark{} || m.rest != since.rest:
		c.All = true
		return c, nil
	}
	// The id of a report that was replaced may be given to another one, so the last is looked at again.
	err := v.each(ctx, `SELECT name FROM in_name WHERE id IN (SELECT domain FROM in_report WHERE id >= $1
		UNION SELECT domain FROM in_record WHERE report >= $1)`, []any{min(since.report, m.report)}, func(rows *sql.Rows) error {
		var n string
		err := rows.Scan(&n)
		c.Domains = append(c.Domains, n)
		return err
	})
	return c, err
}

// spans returns the policies of each domain as reports named them. They are read once, and those of
// a domain again when a report on it has come.
func (s *Stored) spans(ctx context.Context, v *view) (map[string][]span, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := v.changed(ctx, s.mark)
	if err != nil {
		return nil, err
	}
	if c.All || s.policies == nil {
		if s.policies, err = v.policies(ctx, nil); err != nil {
			return nil, err
		}
	} else if len(c.Domains) > 0 {
		fresh, err := v.policies(ctx, c.Domains)
		if err != nil {
			return nil, err
		}
		all := map[string][]span{} // the old map is read by others
		for n, list := range s.policies {
			all[n] = list
		}
		for _, n := range c.Domains {
			delete(all, n)
			if len(fresh[n]) > 0 {
				all[n] = fresh[n]
			}
		}
		s.policies = all
	}
	s.mark = c.Mark
	return s.policies, nil
}

// Changed implements Reader: what is in memory does not change by itself.
func (m *Memory) Changed(context.Context, Mark) (Change, error) {
	return Change{Mark: Mark{raw: 1}}, nil
}
