package store

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"

	"mailseal/milter/report"
)

// EachRow calls each for the rows that count and that a filter chooses, as they were in the
// reports. Feedback has the domain that the row belongs to, the alignment modes, the key of the
// reporter as Org, and the day as Begin. Both are valid until each returns.
func (s *Store) EachRow(ctx context.Context, f Filter,
	each func(*report.Feedback, *report.Row)) error {
	w := where{}
	w.number("p.counted = ", 1)
	w.add("d.name = ", f.Domain)
	w.add("o.key = ", f.Reporter)
	w.day("r.day >= ", f.Since)
	w.day("r.day < ", f.Until)
	q := `SELECT d.name, o.key, p.policy, r.day, s.ip, r.messages, r.outcome, h.name, e.name, a.results, r.facts
		FROM in_record r JOIN in_report p ON p.id = r.report JOIN in_reporter o ON o.id = p.reporter
		JOIN in_name d ON d.id = r.domain JOIN in_source s ON s.id = r.source JOIN in_name h ON h.id = r.header_from
		JOIN in_name e ON e.id = r.envelope_from JOIN in_authset a ON a.id = r.authset` + w.String()
	return s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, q, w.args...)
		if err != nil {
			return err
		}
		var last string // policy: most rows of a report come one after the other
		var published report.PolicyPublished
		sets := resultSets{}
		return eachRow(rows, func() error {
			var fb report.Feedback
			var row report.Row
			var at int64
			var o Outcome
			var policy, results, rare string
			err := rows.Scan(&fb.Policy.Domain, &fb.Metadata.Org, &policy, &at, &row.Source,
				&row.Count, &o,
				&row.HeaderFrom, &row.EnvelopeFrom, &results, &rare)
			if err != nil {
				return err
			}
			domain := fb.Policy.Domain
			if policy != last {
				last, published = policy, report.PolicyPublished{}
				if err := json.Unmarshal([]byte(policy), &published); err != nil {
					return err
				}
			}
			fb.Policy = published
			fb.Policy.Domain, fb.Metadata.Begin = domain, dayTime(at)
			if err := restore(&row, o, sets, results, rare); err != nil {
				return err
			}
			each(&fb, &row)
			return nil
		})
	})
}

// resultSet are the DKIM and SPF results of a row.
type resultSet struct {
	DKIM []report.SignatureResult `json:"dkim"`
	SPF  []report.SPFResult       `json:"spf"`
}

// resultSets remembers what was read of the column results: few sets stand in many rows. Rows share
// them, and they do not change.
type resultSets map[string]resultSet

// maxSets bounds the sets that are remembered.
const maxSets = 5000

func (r resultSets) read(text string) (resultSet, error) {
	set, ok := r[text]
	if ok {
		return set, nil
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return set, err
	}
	if len(r) < maxSets {
		r[text] = set
	}
	return set, nil
}

// restore fills a row with what an outcome, an authset and rare facts say.
func restore(row *report.Row, o Outcome, sets resultSets, results, rare string) error {
	set, err := sets.read(results)
	if err != nil {
		return err
	}
	var f facts
	if rare != "" {
		if err := json.Unmarshal([]byte(rare), &f); err != nil {
			return err
		}
	}
	word := map[bool]string{true: "pass", false: "fail"}
	row.Address, _ = netip.ParseAddr(row.Source) // what is not an address stays invalid
	row.DKIM, row.SPF = cmp.Or(f.DKIM, word[o.DKIM()]), cmp.Or(f.SPF, word[o.SPF()])
	row.Disposition = cmp.Or(f.Disposition, actionWord(o.Action()))
	row.Signatures, row.SPFResults, row.Reasons = set.DKIM, set.SPF, f.Reasons
	row.Derived, row.EnvelopeTo = f.Derived, f.To
	return nil
}
