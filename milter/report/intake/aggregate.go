package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"mailseal/milter/report"
)

// Report is an aggregate report that was read, without its rows.
type Report struct {
	*report.Feedback
	Digest string // SHA-256 of its bytes as they were inflated, in hex
}

// keptRows is how many rows of a report are kept while its head is read: 2 MB. A longer report is
// read twice.
const keptRows = 5000

// ReadAggregate reads an aggregate report. Head is called once, when all of it but its rows is
// known; if it returns false the rows are left out. Each is then called for every row. Both may be
// nil.
//
// What is wrong with the report beyond repair is the error, and nothing is called then.
func (p *Part) ReadAggregate(head func(*Report) (bool, error), each func(*report.Row) error) (*Report, error) {
	var kept []*report.Row
	out, err := p.read(func(row *report.Row) error {
		if len(kept) <= keptRows {
			kept = append(kept, row)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if head != nil {
		if wanted, err := head(out); err != nil || !wanted {
			return out, err
		}
	}
	if each == nil {
		return out, nil
	}
	if len(kept) > keptRows {
		_, err := p.read(each)
		return out, err
	}
	for _, row := range kept {
		if err := each(row); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (p *Part) read(each func(*report.Row) error) (*Report, error) {
	in, err := p.Open()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	all := io.TeeReader(in, sum)
	f, err := report.ReadXML(all, each)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	// what follows the report belongs to its digest, and to the budget
	if _, err := io.Copy(io.Discard, all); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	f.Supplement(report.ReadHints(p.Path[len(p.Path)-1], p.Subject))
	return &Report{f, hex.EncodeToString(sum.Sum(nil))}, nil
}
