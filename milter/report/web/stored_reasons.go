package web

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
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
// domains' days finds them.
func (s *Stored) Reasons(ctx context.Context, f Filter) ([]Sum, error) {
	sums := reasonSums{}
	err := s.view(ctx, func(v *view) error {
		w, err := v.recordConditions(ctx, f)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, anyReason)
		type row struct {
			reporter, outcome, n int64
			facts                string
		}
		var list []row
		err = v.each(ctx, `SELECT p.reporter, x.outcome, x.facts, SUM(x.messages) FROM in_record x
			JOIN in_report p ON p.id = x.report WHERE `+w.String()+
			" GROUP BY p.reporter, x.outcome, x.facts", w.values, func(rows *sql.Rows) error {
			var r row
			err := rows.Scan(&r.reporter, &r.outcome, &r.facts, &r.n)
			list = append(list, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range list {
			o := outcome(r.outcome)
			if !f.keeps(o) {
				continue
			}
			receiver, err := v.reporter(ctx, r.reporter)
			if err != nil {
				return err
			}
			sums.add(receiver, reasonsOf(o, r.facts), countsOf(o, r.n))
		}
		return nil
	})
	return sums.sorted(), err
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
