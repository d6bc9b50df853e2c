package web

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"sync"
)

// anyReason selects the records whose receiver gave some reason: bits 4 and 5 of their outcome.
const anyReason = "x.outcome >= 16"

// reasonPattern is the pattern of LIKE for the facts of a record that has a reason.
func reasonPattern(reason string) (string, error) {
	quoted, err := json.Marshal(reason)
	return contains(`"type":` + string(quoted)), err
}

// reasonSums are messages by receiver and reason.
type reasonSums map[[2]string]*Counts

// add counts messages for each reason once.
func (m reasonSums) add(receiver string, reasons []Reason, c Counts) {
	seen := map[string]bool{}
	for _, r := range reasons {
		if seen[r.Type] {
			continue
		}
		seen[r.Type] = true
		k := [2]string{receiver, r.Type}
		if m[k] == nil {
			m[k] = &Counts{}
		}
		m[k].Add(c)
	}
}

// sorted returns the sums, by receiver, the largest first.
func (m reasonSums) sorted() []Sum {
	var out []Sum
	for k, c := range m {
		out = append(out, Sum{Receiver: k[0], Reason: k[1], Counts: *c})
	}
	slices.SortFunc(out, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(a.Receiver, b.Receiver), cmp.Compare(b.Messages, a.Messages),
			cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Reasons implements Reader. Only records with a reason are read; an index on the outcome of the
// domains' days finds them. They are added up as they come: a reporter may write another comment
// into each.
func (s *Stored) Reasons(ctx context.Context, f Filter) ([]Sum, error) {
	sums := reasonSums{}
	err := s.view(ctx, func(v *view) error {
		w, err := v.recordConditions(ctx, f)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, anyReason)
		byReporter := reasonTally{}
		err = v.each(ctx, `SELECT p.reporter, x.outcome, x.facts, CAST(SUM(x.messages) AS BIGINT)
			FROM in_record x JOIN in_report p ON p.id = x.report WHERE `+w.String()+
			" GROUP BY p.reporter, x.outcome, x.facts", w.values, func(rows *sql.Rows) error {
			var reporter, packed, n int64
			var facts string
			if err := rows.Scan(&reporter, &packed, &facts, &n); err != nil {
				return err
			}
			if o := outcome(packed); f.keeps(o) {
				byReporter.add(reporter, reasonsOf(o, facts), countsOf(o, n))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for k, c := range byReporter {
			receiver, err := v.reporter(ctx, k.reporter)
			if err != nil {
				return err
			}
			sums.add(receiver, []Reason{{Type: k.reason}}, *c)
		}
		return nil
	})
	return sums.sorted(), err
}

// maxReasonSums bounds the sums by reporter and reason, of some 150 bytes each. A report may have
// any word as reason; beyond the bound a new one counts as "other".
const maxReasonSums = 10_000

// reasonTally are messages by the number of a reporter and reason.
type reasonTally map[reasonKey]*Counts

type reasonKey struct {
	reporter int64
	reason   string
}

// add counts messages for each reason once.
func (m reasonTally) add(reporter int64, reasons []Reason, c Counts) {
	seen := map[string]bool{}
	for _, r := range reasons {
		k := reasonKey{reporter, r.Type}
		if m[k] == nil && len(m) >= maxReasonSums {
			k.reason = "other"
		}
		if seen[k.reason] {
			continue
		}
		seen[k.reason] = true
		if m[k] == nil {
			m[k] = &Counts{}
		}
		m[k].Add(c)
	}
}

// maxKeptReasons is how many sums of reasons are kept with the facts about a domain.
const maxKeptReasons = 2000

// keptReasons are the reasons of receivers for the mail of a domain, and of its sources, that were
// read since the facts about it were gathered.
type keptReasons struct {
	mu   sync.Mutex
	of   map[string][]Sum // by source; "" for all
	sums int
}

// reasons returns what receivers gave as reasons for the mail that f selects: that of a source of
// the domain, or all of it for "". It is read once for the same facts.
func (s *Server) reasons(ctx context.Context, x *facts, source string, f Filter) ([]Sum, error) {
	k := &x.reasons
	k.mu.Lock()
	defer k.mu.Unlock()
	if list, has := k.of[source]; has {
		return list, nil
	}
	list, err := s.read.Reasons(ctx, f)
	if err != nil {
		return nil, err
	}
	if k.of == nil || k.sums+len(list)+1 > maxKeptReasons {
		k.of, k.sums = map[string][]Sum{}, 0
	}
	if len(list) < maxKeptReasons {
		k.of[source] = list
		k.sums += len(list) + 1
	}
	return list, nil
}

// reasonsOf are the reasons of a record: those that it names, else the one of its outcome.
func reasonsOf(o outcome, text string) []Reason {
	var facts rare
	if text != "" {
		_ = json.Unmarshal([]byte(text), &facts) // what is rare may be missing
	}
	if len(facts.Reasons) == 0 && o.reason() != 0 {
		return []Reason{{Type: reasons[o.reason()]}}
	}
	return facts.Reasons
}
