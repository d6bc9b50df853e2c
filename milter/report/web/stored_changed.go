package web

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// Mark is the point up to which a reader has read. Two marks are equal if nothing has changed
// between them.
type Mark struct {
	Raw, Report int64 // the last that arrived, and the last that was read
	DNS, Looked int64 // the last change of a record, and when records were compared with mail last
	// when a key of ours signed first, and when a person said who writes from a domain
	Key, Used int64
	Touched   int64 `json:",omitempty"` // the last change of reports that had arrived before
	Rest      [8]int64
}

// What the numbers of Rest count.
const (
	restAccepted = iota // reporters that a person accepted or refused
	restVerdict         // the last verdict
	restUndone          // verdicts that were undone
	restRecords         // the first day whose records are kept
	restReread          // mails that were read again
	restOwnDay          // the last day of which mail of ours was counted
	restKeys            // keys of ours
	restUses            // answers to who writes from a domain
)

// Change is what differs between a mark and now.
type Change struct {
	Mark    Mark
	All     bool     // anything may differ
	Sums    bool     // even the sums of messages of any domain
	Domains []string // on which reports have come
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
		{"SELECT COALESCE(MAX(id), 0) FROM in_raw", &m.Raw},
		{"SELECT COALESCE(MAX(id), 0) FROM in_report", &m.Report},
		{"SELECT CAST(COALESCE(SUM(accepted), 0) AS BIGINT) FROM in_reporter", &m.Rest[restAccepted]},
		{"SELECT COALESCE(MAX(id), 0) FROM in_verdict", &m.Rest[restVerdict]},
		{"SELECT COUNT(*) FROM in_verdict WHERE undone > 0", &m.Rest[restUndone]},
		{"SELECT COALESCE(MAX(at), 0) FROM in_told WHERE what = 'records_since'", &m.Rest[restRecords]},
		{"SELECT COALESCE(MAX(at), 0) FROM in_told WHERE what = 'read_again'", &m.Rest[restReread]},
		// What is counted of own mail moves these once a day, and with a new key.
		{"SELECT COALESCE(MAX(day), 0) FROM own_day", &m.Rest[restOwnDay]},
		{"SELECT COUNT(*) FROM own_selector", &m.Rest[restKeys]},
		{"SELECT COALESCE(MAX(first_at), 0) FROM own_selector", &m.Key},
		{"SELECT CAST(COALESCE(SUM(made), 0) AS BIGINT) FROM own_use", &m.Rest[restUses]},
		{"SELECT COALESCE(MAX(made), 0) FROM own_use", &m.Used},
		{"SELECT COALESCE(MAX(id), 0) FROM dns_change", &m.DNS},
		{"SELECT COALESCE(MAX(at), 0) FROM own_state", &m.Looked},
		{"SELECT COALESCE(MAX(id), 0) FROM in_touched", &m.Touched},
	} {
		if err := v.tx.QueryRowContext(ctx, q.query).Scan(q.into); err != nil {
			return Change{}, fmt.Errorf("web: %w", err)
		}
	}
	c := Change{Mark: m}
	if m == since {
		return c, nil
	}
	if (since == Mark{}) {
		c.All, c.Sums = true, true
		return c, nil
	}
	if err := v.touched(ctx, since, &c); err != nil {
		return c, err
	}
	if m.Raw != since.Raw || m.Report != since.Report {
		domains, tooMany, err := v.arrived(ctx, min(since.Report, m.Report), m.Report)
		if err != nil {
			return c, err
		}
		c.Domains, c.Sums = append(c.Domains, domains...), c.Sums || tooMany
	}
	c.All = c.Sums
	if err := v.answers(ctx, since, &c); err != nil {
		return c, err
	}
	return c, v.looked(ctx, since, &c)
}

// lateBatch is how much later than a key signed first another host may say so.
const lateBatch = 7 * 86400

// answers adds the domains that persons said something of, and those whose own mail was counted.
// What is gone names no domain, and a verdict may be on all of them.
func (v *view) answers(ctx context.Context, since Mark, c *Change) error {
	m := c.Mark
	undone := m.Rest[restUndone] - since.Rest[restUndone]
	c.All = c.All || undone < 0 || m.Rest[restKeys] < since.Rest[restKeys] ||
		m.Rest[restUses] < since.Rest[restUses]
	for _, q := range []struct {
		moved bool
		query string
		value int64
	}{
		{m.Rest[restVerdict] != since.Rest[restVerdict], "SELECT domain FROM in_verdict WHERE id > $1",
			since.Rest[restVerdict]},
		{undone > 0, `SELECT domain FROM in_verdict WHERE undone >= (SELECT MIN(x.undone) FROM
			(SELECT undone FROM in_verdict WHERE undone > 0 ORDER BY undone DESC LIMIT $1) AS x)`, undone},
		{m.Rest[restOwnDay] != since.Rest[restOwnDay], "SELECT DISTINCT domain FROM own_day WHERE day >= $1",
			since.Rest[restOwnDay]},
		{m.Rest[restKeys] != since.Rest[restKeys], "SELECT DISTINCT domain FROM own_selector WHERE first_at >= $1",
			since.Key - lateBatch},
		{m.Rest[restUses] != since.Rest[restUses], "SELECT domain FROM own_use WHERE made >= $1", since.Used},
	} {
		if c.All || !q.moved {
			continue
		}
		err := v.each(ctx, q.query, []any{q.value}, func(rows *sql.Rows) error {
			var n string
			err := rows.Scan(&n)
			c.All = c.All || n == ""
			for ; n != ""; n = parent(n) { // mail of names below a domain is the domain's, too
				c.Domains = append(c.Domains, n)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(c.Domains)
	c.Domains = slices.Compact(c.Domains)
	return nil
}

// looked adds the domains whose records have changed or were compared with their mail.
func (v *view) looked(ctx context.Context, since Mark, c *Change) error {
	if since.DNS == c.Mark.DNS && since.Looked == c.Mark.Looked {
		return nil
	}
	// The times of own_state are seconds: that of the mark may not be over.
	err := v.each(ctx, `SELECT domain FROM dns_change WHERE id > $1 UNION SELECT domain FROM own_state WHERE at >= $2`,
		[]any{since.DNS, since.Looked}, func(rows *sql.Rows) error {
			var n string
			err := rows.Scan(&n)
			c.Domains = append(c.Domains, n)
			return err
		})
	slices.Sort(c.Domains)
	c.Domains = slices.Compact(c.Domains)
	return err
}

// maxArrivals is how many reports are looked through for the domains that they are on. Where more
// have come, anything may differ.
const maxArrivals = 5000

// arrived returns the domains that reports from one on are on. The id of a report that was replaced
// may be given to another one, so the last is looked at again. The plus keeps a database from
// reading all of an index on the domain.
func (v *view) arrived(ctx context.Context, from, last int64) (domains []string, tooMany bool,
	err error) {
	if last-from > maxArrivals {
		return nil, true, nil
	}
	seen := map[int64]bool{}
	for _, q := range []string{"SELECT DISTINCT +domain FROM in_report WHERE id >= $1",
		"SELECT DISTINCT +domain FROM in_record WHERE report >= $1"} {
		err := v.each(ctx, q, []any{from}, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			seen[id] = true
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	for id := range seen {
		n, err := v.name(ctx, id)
		if err != nil {
			return nil, false, err
		}
		domains = append(domains, n)
	}
	slices.Sort(domains)
	return domains, false, nil
}

// touched adds the domains of reports that changed although they had arrived before: a reporter was
// accepted or refused, or mail was read again. What retention removes is not among them: the next
// day finds it out. A reader that is too far behind is told that anything may differ.
func (v *view) touched(ctx context.Context, since Mark, c *Change) error {
	if since.Touched == c.Mark.Touched {
		return nil
	}
	var first int64
	err := v.tx.QueryRowContext(ctx, "SELECT COALESCE(MIN(id), 0) FROM in_touched").Scan(&first)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	if first > since.Touched+1 || c.Mark.Touched < since.Touched {
		c.Sums = true
		return nil
	}
	return v.each(ctx, "SELECT DISTINCT n.name FROM in_touched t JOIN in_name n ON "+
		"n.id = t.domain WHERE t.id > $1", []any{since.Touched}, func(rows *sql.Rows) error {
		var n string
		err := rows.Scan(&n)
		c.Domains = append(c.Domains, n)
		return err
	})
}

// differs reports whether one of some numbers is another in the two marks.
func (m Mark) differs(since Mark, which ...int) bool {
	return slices.ContainsFunc(which, func(i int) bool { return m.Rest[i] != since.Rest[i] })
}

// spans returns the policies of each domain as reports named them. They are read once, or taken
// from what was kept in the store, and those of a domain again when a report on it has come.
func (s *Stored) spans(ctx context.Context, v *view) (map[string][]span, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policies == nil {
		if err := s.seed(ctx); err != nil {
			return nil, err
		}
	}
	c, err := v.changed(ctx, s.mark)
	if err != nil {
		return nil, err
	}
	if c.Mark == s.mark && s.policies != nil && len(s.behind) == 0 {
		return s.policies, nil
	}
	all, names := s.policies == nil || c.Sums, slices.Concat(c.Domains, s.behind)
	if all {
		names = nil
	}
	if all || len(names) > 0 {
		fresh, err := v.policies(ctx, names)
		if err != nil {
			return nil, err
		}
		s.policies = mergeSpans(s.policies, fresh, names, all)
	}
	s.mark, s.behind = c.Mark, nil
	return s.policies, nil
}

// mergeSpans replaces the spans of some domains, or of all. The old map is read by others.
func mergeSpans(old, fresh map[string][]span, names []string, all bool) map[string][]span {
	if all {
		return fresh
	}
	out := maps.Clone(old)
	for _, n := range names {
		delete(out, n)
		if len(fresh[n]) > 0 {
			out[n] = fresh[n]
		}
	}
	return out
}

// seed begins with the policies that role intake keeps, if it has. The caller holds the lock.
func (s *Stored) seed(ctx context.Context) error {
	kept, err := s.loadDomainStates(ctx, 0)
	if err == nil {
		s.addPolicies(kept)
	}
	return err
}

// addPolicies adds the stored policies, if there are none yet. The caller holds the lock.
func (s *Stored) addPolicies(kept DomainStates) {
	if s.policies != nil || kept.Mark == (Mark{}) {
		return
	}
	s.policies, s.mark = map[string][]span{}, kept.Mark
	for n, x := range kept.Domains {
		if len(x.Spans) > 0 {
			s.policies[n] = x.Spans
		}
	}
	s.behind = slices.Collect(maps.Keys(kept.unjudged()))
}

// Changed implements Reader: what is in memory does not change by itself.
func (m *Memory) Changed(context.Context, Mark) (Change, error) {
	return Change{Mark: Mark{Raw: 1}}, nil
}
