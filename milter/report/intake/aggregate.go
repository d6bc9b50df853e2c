package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"mailseal/milter/report"
)

// Report is an aggregate report that was read, without its rows.
type Report struct {
	*report.Feedback
	// SHA-256 of its bytes as they were inflated, without white space around them, in hex
	Digest string
}

// keptRows is how many rows of a report are kept while its head is read: 2 MB. A longer report is
// read twice.
const keptRows = 5000

// ReadAggregate reads an aggregate report. Head is called once, when all of it but its rows is
// known; if it returns false the rows are left out. Each is then called for every row. Both may be
// nil.
//
// What is wrong with the report beyond repair is the error, and nothing is called then.
func (p *Part) ReadAggregate(head func(*Report) (bool, error),
	each func(*report.Row) error) (*Report, error) {
	var kept []*report.Row
	var out *Report
	err := survive(func() (err error) {
		out, err = p.read(func(row *report.Row) error {
			if len(kept) <= keptRows {
				kept = append(kept, row)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return out, err
	}
	return out, p.untimed(func() error { return p.give(out, kept, head, each) })
}

// give passes on a report that was read. Of one with more rows than were kept it reads them again.
func (p *Part) give(out *Report, kept []*report.Row, head func(*Report) (bool, error),
	each func(*report.Row) error) error {
	if head != nil {
		if wanted, err := head(out); err != nil || !wanted {
			return err
		}
	}
	if each == nil {
		return nil
	}
	if len(kept) > keptRows {
		_, err := p.read(each)
		return err
	}
	for _, row := range kept {
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

func (p *Part) read(each func(*report.Row) error) (*Report, error) {
	in, err := p.Open()
	if err != nil {
		return nil, err
	}
	sum := &digest{Hash: sha256.New()}
	all := io.TeeReader(in, sum)
	f, err := report.ReadXMLFrom(all, p.line, each)
	if err != nil && errors.Is(err, report.ErrHostile) {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	// what follows the report belongs to its digest, and to the budget; it may be another report
	if _, err := io.Copy(io.Discard, all); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	f.Supplement(report.ReadHints(p.Path[len(p.Path)-1], p.Subject))
	return &Report{f, hex.EncodeToString(sum.Sum(nil))}, nil
}

// digest is a hash of a text that leaves out the white space around it: joined to others a report
// is the same one.
type digest struct {
	hash.Hash
	isBegun bool
	blank   []byte // white space that may be at the end
}

// maxBlank bounds the white space that may be at the end, in bytes.
const maxBlank = 1 << 20

// Write implements io.Writer.
func (d *digest) Write(p []byte) (int, error) {
	text := p
	if !d.isBegun {
		text = bytes.TrimLeft(text, between)
	}
	if len(text) == 0 {
		return len(p), nil
	}
	d.isBegun = true
	end := bytes.TrimRight(text, between)
	if len(end) > 0 || len(d.blank) > maxBlank {
		d.Hash.Write(d.blank)
		d.blank = d.blank[:0]
	}
	d.Hash.Write(end)
	d.blank = append(d.blank, text[len(end):]...)
	return len(p), nil
}
